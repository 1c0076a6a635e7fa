"""Verbs on a live stack that plain `pulumi` does not have: `python -m operations --help`."""
