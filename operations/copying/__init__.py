"""Data from an old host, which is no server of the stack, into the named volumes of one that is.

`items` says what goes where, `plan` what is in the way, `volumes` copies. The old host needs Docker, rsync and a root
who is let in by SSH; nothing is written on it, and with `--final` its containers are stopped.
"""
