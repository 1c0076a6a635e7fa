"""Backups of a server: what is saved, how, and how it comes back. Its command is `apiary-backups`.

Standard library alone, of Python 3.11.

config, items    what there is to save, and what it is called
restic, docker   the only callers of these programs
engine_*         what each kind of database server is asked
run, fill        all is saved; what is empty is filled from what was saved last
"""
