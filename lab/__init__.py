"""The lab: a Vultr region on this machine. Everything it makes carries one label and lives in `.lab/`."""
