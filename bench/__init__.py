"""Figures of the program: how long its verbs take, how fast the sites are, and how much room they need."""
