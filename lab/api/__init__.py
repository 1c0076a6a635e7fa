"""An emulator of the Vultr API v2, held to what a client of the real one sees.

It answers the paths, wrappers, status codes, error bodies, paging and states of the resources that a web host
needs, behind TLS as api.vultr.com, reached through a CONNECT proxy. Instances are real machines, made by a
backend (see `lab.api.backend`); all else is state in one JSON file. Left alone: billing, cloud firewall
enforcement, VPC traffic and additional addresses on a running machine: these are state only.

Error texts that clients are known to look for are exact; the remaining ones are plausible wording of our own
and are marked as such in `lab.api.errors`.
"""
