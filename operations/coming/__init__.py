"""What all importers share: YAML as written, problems by path, what became of each key, the text of a stack file."""
