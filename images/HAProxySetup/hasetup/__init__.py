"""hasetup: domains in, a validated and reloaded HAProxy configuration out. Standard library and openssl only."""
