"""Stand-ins and emulator held to what the official plugins were recorded to do."""
