"""Bee2's settings as a stack file.

`reading.load` reads settings.yml in either layout and the state, `convert.convert` says what becomes of each key.
Nothing here asks the network, Pulumi or Docker; files are read through `coming.files.Files` alone.
"""
