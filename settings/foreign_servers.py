"""What words of other tools are called in the stack, a server, its names, zones and backups.

Makes: one table a section, by the word. Leaves alone: who is told (`foreign`).
"""

from collections.abc import Mapping

from settings.foreign_containers import CLOCK, PROXY, SOURCE
from settings.foreign_word import Foreign, called, do

_BACKUPS = called("backups", 'backups: {repository: "s3:https://HOST/BUCKET", ...}')
_RESERVED_IPV4 = do(
    "every IPv4 address is reserved; leave it out (one that is reserved already: make adopt, docs/quickstart.md)"
)
_REGION = called("region", "region: ewr")
_HOST_ROLE = do("what a host needs is a role of its playbook (playbooks/roles); leave it out")
_REVERSE = do("the reverse name is the first of dns.public; leave it out")
_SUFFIXES = "its suffixes stand in ipv6.docker; write docker: {suffix_net: "
_PREFIX = do(f'the /64 is Vultr\'s to give; {_SUFFIXES}"2:0:0/96", static_web: "2:0:a"}}')
_ALERTS = do("who is told of trouble stands in alerts, of a stack that has a Monitor (docs/monitoring.md)")
_MONITOR = do("an application watches; write applications: {monitor: {build_dir: Monitor, ...}} (docs/monitoring.md)")

_DATA = called("data", "data: {gb: 40}, for volumes that outlive the server's disk (docs/block-storage.md)")
SERVER: Mapping[str, Foreign] = {
    "address": _RESERVED_IPV4,
    "ansible": _HOST_ROLE,
    "block_storage": _DATA,
    "cloud_init": _HOST_ROLE,
    "count": do("each server is an entry of its own under servers; leave it out"),
    "datacenter": _REGION,
    "dc": _REGION,
    "ddos": do("is not supported; leave it out"),
    "ddos_protection": do("is not supported; leave it out"),
    "disk": _DATA,
    "dns_private": called("dns", "dns: {private: [web1.internal.example.com]}"),
    "dns_public": called("dns", "dns: {public: [web1.example.com]}"),
    "dns_web": called("dns", "dns: {web: [example.com]}"),
    "floating_ip": _RESERVED_IPV4,
    "init_script": _HOST_ROLE,
    "ip": _RESERVED_IPV4,
    "ipv4": _RESERVED_IPV4,
    "iso": called("os", "os: 2136"),
    "name": do("a server is called as its key here; leave it out"),
    "notify": _ALERTS,
    "ntp": do("its clock is kept right already; leave it out"),
    "packages": _HOST_ROLE,
    "port": do("SSH answers at 22, and ssh_from says to whom; leave it out"),
    "provision": _HOST_ROLE,
    "public_ip": _RESERVED_IPV4,
    "reserved_ip": _RESERVED_IPV4,
    "role": called("swarm", "swarm: manager, for a server that runs replicas (docs/scale.md)"),
    "roles": called("playbook", "playbook: web.yml, which names its roles"),
    "script": _HOST_ROLE,
    "ssh_port": do("SSH answers at 22, and ssh_from says to whom; leave it out"),
    "startup_script": _HOST_ROLE,
    "storage": _DATA,
    "swap": do("none is made; leave it out, and take a plan with more memory"),
    "user": do("root alone logs in, with the stack's own key; leave it out"),
    "users": do("root alone logs in, with the stack's own key; leave it out"),
    "volumes": _DATA,
    "addons": do("is not supported; leave it out"),
    "applications": do("applications stand in a section of their own, each with server: NAME"),
    "backups": do(
        "backups are the stack's, of every server: apiary:backups: {repository: s3:https://HOST/BUCKET} "
        "(docs/backups.md); leave it out here"
    ),
    "distro": called("os", "os: 2136"),
    "domains": called("dns", "dns: {web: [example.com]}"),
    "firewall": called("ssh_from", 'ssh_from: ["203.0.113.0/24"]; other ports follow from what is published'),
    "flavor": called("plan", "plan: vc2-1c-2gb"),
    "hostname": do("a server is called as its key here; leave it out, and write its public name in dns.public"),
    "image": called("os", "os: 2136"),
    "ipv4_reserved": _RESERVED_IPV4,
    "ipv6_reserved": called("ipv6.reserved", "ipv6: {reserved: true}"),
    "jobs": do("jobs stand in a section of their own, each with server: NAME"),
    "label": do("a server is called as its key here; leave it out"),
    "location": _REGION,
    "mail": do("mail servers are not made; write the records of one under zones"),
    "mirrors": called("registry_mirrors"),
    "os_id": called("os", "os: 2136"),
    "private_network": called("private_ip", "private_ip: 192.168.150.10"),
    "provider": do("servers are rented at Vultr; leave it out"),
    "reserved": called("ipv6.reserved", "ipv6: {reserved: true}; its IPv4 address is reserved anyway"),
    "reserved_ipv4": _RESERVED_IPV4,
    "reserved_ipv6": called("ipv6.reserved", "ipv6: {reserved: true}"),
    "reverse_dns": _REVERSE,
    "server_type": called("plan", "plan: vc2-1c-2gb"),
    "size": called("plan", "plan: vc2-1c-2gb"),
    "snapshot": do("is not supported: a server is made from os; leave it out"),
    "ssh_key": do("the key is made by the program, in the state; leave it out"),
    "ssh_keys": do("the key is made by the program, in the state; leave it out"),
    "tags": do("tags are the program's own; leave it out"),
    "tz": called("timezone", "timezone: Europe/Berlin"),
    "type": called("plan", "plan: vc2-1c-2gb"),
    "user_data": do("is the program's own; what a host needs is a role of its playbook"),
    "vpc": called("private_ip", "private_ip: 192.168.150.10"),
    "vpn": do("there is no VPN: SSH with the stack's own key (docs/operations.md); leave it out"),
    "zone": _REGION,
}  # fmt: skip

DNS: Mapping[str, Foreign] = {
    "a": called("public", "public: [web1.example.com]"),
    "aaaa": called("public", "public: [web1.example.com]"),
    "ptr": _REVERSE,
    "rdns": _REVERSE,
    "reverse": _REVERSE,
    "www": do("www. is added to every domain of web; leave it out"),
    "domains": called("web", "web: [example.com]"),
    "hosts": called("public", "public: [web1.example.com]"),
    "internal": called("private", "private: [web1.internal.example.com]"),
    "mail": do("mail servers are not made; write the records of one under zones"),
    "names": called("public", "public: [web1.example.com]"),
    "records": do("further records stand under zones: {example.com: {records: [...]}}"),
    "sites": called("web", "web: [example.com]"),
    "zones": do("zones follow from the names; what differs stands in the section zones"),
}

ZONE: Mapping[str, Foreign] = {
    **dict.fromkeys(("a", "aaaa", "caa", "cname", "mx", "srv", "txt"), called("records", "records: [{type: MX, ...}]")),
    "domain": do("its name is the key of this section; leave it out"),
    "email": do("is the provider's; leave it out"),
    "name": do("its name is the key of this section; leave it out"),
    "default_ttl": called("ttl", "ttl: 300"),
    "deletion_protection": called("protect", "protect: true"),
    "dns_sec": do("is not supported; leave it out"),
    "dnssec": do("is not supported; leave it out"),
    "entries": called("records"),
    "nameservers": do("the name servers are Vultr's; leave it out"),
    "ns": do("the name servers are Vultr's; a part of the zone that others serve is a record of type NS"),
    "soa": do("is the provider's; leave it out"),
}

RECORD: Mapping[str, Foreign] = {
    "class": do("all are IN; leave it out"),
    "ip": called("data"),
    "rdata": called("data"),
    "record": called("data"),
    "address": called("data"),
    "content": called("data"),
    "host": called("name"),
    "hostname": called("name"),
    "kind": called("type"),
    "lifetime": called("ttl"),
    "port": do('stands in data of an SRV record: weight, port, target: "5 5060 sip.example.com"'),
    "preference": called("priority"),
    "prio": called("priority"),
    "proxied": do("is of another provider; leave it out"),
    "subdomain": called("name"),
    "target": called("data"),
    "value": called("data"),
    "weight": do('stands in data of an SRV record: weight, port, target: "5 5060 sip.example.com"'),
}

STACK: Mapping[str, Foreign] = {
    "email": _ALERTS,
    "firewall": do("it follows from what is published, and from ssh_from of each server; leave it out"),
    "mail": _ALERTS,
    "monitor": _MONITOR,
    "monitoring": _MONITOR,
    "notify": _ALERTS,
    "private_network": do("it is made for the servers that have private_ip; leave it out"),
    "users": do("root alone logs in, with the stack's own key; leave it out"),
    "vpc": do("it is made for the servers that have private_ip; leave it out"),
    "accessories": called("applications"),
    "apps": called("applications"),
    "backup": called("backups", 'backups: {repository: "s3:https://HOST/BUCKET", ...}'),
    "borg": _BACKUPS,
    "builder": do("images are built on the server; leave it out"),
    "config": do("write its sections straight under config, as apiary:servers"),
    "configs": do("a file comes in an image of your own (build_dir), or in a folder of the server, mounted by volumes"),
    "containers": called("applications"),
    "cron": CLOCK,
    "databases": do("a database server is an application; who uses one writes db: [postgres]"),
    "dns": called("zones", "zones: {example.com: {records: [...]}}"),
    "docker": do(
        "write what it holds under applications and jobs, each with server: NAME; a file of Bee2: make import-bee2 "
        "FILE=conf/settings.yml"
    ),
    "domains": do("domains stand in dns.web of their server, and in env.domains of their application"),
    "env": do("variables stand in env of each application and job"),
    "hosts": called("servers"),
    "include": SOURCE,
    "inventory": do("Ansible runs on the server itself; leave it out"),
    "networks": do("each server has one network, and a container reaches those that it names; leave it out"),
    "openvpn": do("there is no VPN: SSH with the stack's own key (docs/operations.md); leave it out"),
    "provisioner": do(
        "the API key is set by `pulumi config set --secret vultr:apiKey`, and each server says its region"
    ),
    "proxy": PROXY,
    "records": called("zones", "zones: {example.com: {records: [...]}}"),
    "registry": called("registries", "registries: {ghcr.io: {user: ..., password: _secrets^NAME}}"),
    "role": called("servers"),
    "restic": _BACKUPS,
    "scheduler": CLOCK,
    "security": do("passwords are generated and kept encrypted in the state; others stand in secrets"),
    "services": called("applications"),
    "ssh": do("the key is made by the program, in the state; leave it out"),
    "stacks": do("a stack is a file of its own, Pulumi.NAME.yaml"),
    "sync": do("is not supported; leave it out"),
    "tasks": called("jobs"),
    "version": do("the stack file has none; leave it out"),
    "volumes": do("a volume is made where an application or a job names it in volumes; leave it out"),
    "workers": called("applications"),
}

IPV6: Mapping[str, Foreign] = {
    "address": _PREFIX,
    "enable": do("every server has IPv6; leave it out"),
    "enabled": do("every server has IPv6; leave it out"),
    "nat": called("mode", "mode: nat"),
    "network": _PREFIX,
    "prefix": _PREFIX,
    "static": _PREFIX,
    "static_web": _PREFIX,
    "subnet": _PREFIX,
    "suffix": _PREFIX,
    "suffix_bridge": _PREFIX,
    "suffix_net": _PREFIX,
}

BACKUP_SECTION: Mapping[str, Foreign] = {
    "access_key_id": called("access_key"),
    "bucket": called("repository", 'repository: "s3:https://HOST/BUCKET"'),
    "cron": called("when", 'when: "17 2 * * *"'),
    "encryption": do("everything is encrypted before it leaves the server; leave it out"),
    "endpoint": called("repository", 'repository: "s3:https://HOST/BUCKET"'),
    "exclude": do("a volume is left out by backup: false of all containers that write to it"),
    "frequency": called("when", 'when: "17 2 * * *"'),
    "include": do("every named volume and database is saved; leave it out"),
    "passphrase": called("password"),
    "paths": do("every named volume and database is saved; leave it out"),
    "retention": called("keep", "keep: {daily: 7, weekly: 5, monthly: 12}"),
    "schedule": called("when", 'when: "17 2 * * *"'),
    "secret_access_key": called("secret_key"),
    "ssh_key": called("key"),
    "target": called("repository"),
    "url": called("repository"),
    "user": called("access_key"),
}

KEEP: Mapping[str, Foreign] = {
    "annually": called("yearly"),
    "days": called("daily"),
    "hourly": do("a backup a day is kept; leave it out, and write daily"),
    "last": do("one of each day, week, month and year is kept; write daily"),
    "months": called("monthly"),
    "weeks": called("weekly"),
    "within": do("one of each day, week, month and year is kept; write daily, weekly, monthly"),
    "years": called("yearly"),
}

BACKUP: Mapping[str, Foreign] = {
    "command": called("before", "before: [redis-cli, save]"),
    "enabled": called("save"),
    "exclude": do("a volume is saved as a whole or left out by save: false"),
    "pause": called("stop"),
    "pre": called("before", "before: [redis-cli, save]"),
    "skip": called("save", "save: false"),
}
