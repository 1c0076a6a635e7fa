"""A table of what the Vultr API is known to do, one row a fact with its source, and what runs it.

`facts.yaml` is the table, `table` reads it, `runner` plays rows against an API, `account` says what a run rents and
deletes all of it again. `python -m lab.truth` (`make truth`) runs it against the real API with a key of one's own; the
tests run it against the emulator, and its provider rows against the plugin.
"""
