"""Compose files as entries of a stack file.

`project.load` reads the files as the Compose Specification says, `convert.convert` says what becomes of each key,
`stack_text` writes it. Nothing here asks the network, Pulumi or Docker; files are read through `files.Files` alone.
"""
