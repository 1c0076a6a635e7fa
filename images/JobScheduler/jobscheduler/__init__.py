"""Starts jobs by the clock, as crontab(5) says, and keeps a record of every run. Standard library only."""
