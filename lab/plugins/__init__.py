"""Stand-ins for official Pulumi resource plugins, for machines that cannot download those.

Each module serves `pulumirpc.ResourceProvider` for the resource types that the program uses, held to the
recorded behaviour of the official plugin by a conformance test. They refuse to run outside the lab's own
PULUMI_HOME.
"""
