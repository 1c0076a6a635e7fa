"""What a resource plugin in Python is made of: the engine's protocol, tables of properties, their differences.

Knows no resource type; `provider/` and the lab's stand-ins are built on it.
"""
