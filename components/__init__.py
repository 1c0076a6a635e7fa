"""The parts of a hive, one ComponentResource a file; `__main__.py` wires them together.

Reading order, which is also the order of the graph: access, server, zone, bootstrap, network, volumes,
image, application, job.
"""
