"""Clients of the Vultr API that others wrote, each through a whole life of what it can do, against the emulator."""
