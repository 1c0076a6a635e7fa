"""Backups of a server: what is saved, how, and how it comes back. Its command is `apiary-backups`.

Standard library alone, of Python 3.11.

config, items           what there is to save, and what it is called
tell                    what the stack says of it comes, changes, goes
restic, calls, docker   the only callers of these programs; complaints: what restic's mean
engine_*                what each kind of database server is asked
run, outcome, quiet     all is saved; what became of each; what stands still meanwhile
apart                   whom nobody reaches any more, as it is saved for the last time
keeping, prune          which snapshots are kept; the others go
fill, filling           what is empty is filled from what was saved last; what is still to be
restore, plan, journal  what was saved is put back; swap_*: how it changes places with what is there
drill, drill_*          what was saved is rehearsed
"""
