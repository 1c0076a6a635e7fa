"""Stand-ins for the images of examples/, which can't be pulled where the tests run."""
