"""The parts of a hive, one ComponentResource a file; `__main__.py` wires them together.

Reading order, which is also the order of the graph: access, vpc, server, bootstrap, network, volumes, zone, reverse,
image, docker_access, application, job.
"""
