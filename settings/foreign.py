"""What words of other tools are called here, or what to do without them.

Makes: `advice`, the remedy for an unknown setting by its meaning; the words come from Compose files, Kamal, Dokku,
Coolify, `docker run` and Bee2. Leaves alone: words that are misspelt (`errors`), and what settings there are: a word
that becomes a setting is taken out here, which a test demands.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from settings.backups import Backup, Backups, Keep
from settings.containers import Application, Container, Health, Job
from settings.errors import closest
from settings.hosts import Dns, Record, Server, Zone
from settings.kinds import Settings
from settings.models import Stack
from settings.options import rows
from settings.sources import Git, Registry


@dataclass(frozen=True)
class Foreign:
    """A word: what to write in the place of it. With `setting`, what holds where the section has that one."""

    remedy: str
    setting: str = ""  # path within the section: `git.branch`
    without: str = ""  # the remedy in a section that has no such setting


def _is(setting: str, example: str = "", *, without: str = "") -> Foreign:
    """Another name of a setting."""
    return Foreign(f"it is called {setting} here" + (f"; write {example}" if example else ""), setting, without)


def _do(remedy: str) -> Foreign:
    """Nothing of the kind: what to do in its stead."""
    return Foreign(remedy)


_NO_SERVICE = "is of applications: a job ends; leave it out"
_NO_PORTS = "a job publishes no ports; make what others reach an application"
_AFTER = _is("after", "after: [postgres]")
_BACKUP = _is("backup", "backup: false to leave its volumes out, backup: {stop: true} to have it stand still meanwhile")
_BACKUPS = _is("backups", 'backups: {repository: "s3:https://HOST/BUCKET", ...}')
_CAPABILITIES = _is("capabilities", "capabilities: [NET_BIND_SERVICE]")
_DROPPED = _do("every capability is dropped already; leave it out, and give back by capabilities what is needed")
_HEALTH = _is("health", "health: {test: [CMD, pg_isready]}, or health: {path: /up} for a site", without=_NO_SERVICE)
_MEMORY = _is("memory", 'memory: "256m"')
_NO_RESERVE = _do("nothing is set aside for a container; leave it out, and limit the others by memory and cpus")
_CPUS = _is("cpus", 'cpus: "0.5"')
_LOGS = _do("container logs are kept and rotated by the host (30 MB each); leave it out, and see docs/logs.md")
_LABELS = _is("labels", 'labels: {com.example.team: "shop"}; a site is made by env: {domains: [...], http_port: ...}')
_NETWORK = _do("a container reaches those of its server that it names, others by reach: [redis]; leave it out")
_LINKS = _do("every container finds the others by name; leave it out, and write env: {db_host: $postgres}")
_HOST_NETWORK = _do(
    'a container on the host\'s own network would pass by its firewall; publish ports, or write static_ipv6: "2:0:b" '
    "and open"
)
_ISOLATION = _do("is refused: it would share what belongs to the host; leave it out, and write capabilities it needs")
_PRIVILEGED = _do(
    "is refused: it would be the whole server; write the few it needs, capabilities: [NET_ADMIN], "
    "devices: [/dev/net/tun], sysctls: {...}"
)
_HOSTNAME = _is("hostname", "hostname: mail.example.com")
_WORKDIR = _is("working_dir", "working_dir: /srv/app")
_FILES = _is("files", 'files: {/etc/app.yml: {content: "..."}}, or {from: config/app.yml}')
_ENV = _is("env", "env: {http_port: 8080}")
_ENV_FILE = _do("is not read; write the variables into env, and what is secret as _secrets^NAME")
_SECRETS = _do("secrets stand in the section secrets of the stack file; write env: {password: _secrets^NAME}")
_OF_CONTAINER = "it stands beside git, not in it; write %s"
_BUILD = _is("build_dir", "build_dir: NAME (a folder of images/), or git: {url: ...}")
_GRACE = _is("grace_seconds", "grace_seconds: 30")
_DNS = _do("is not supported; write whole names, and other resolvers by nameservers")
_DOMAINS = Foreign(
    "sites stand in env here; write env: {domains: [example.com], http_port: 8080}, and the domain in dns.web",
    "env",
)
_PORT = Foreign(
    "the port of a site stands in env here; write env: {http_port: 8080}; ports are published on the server itself",
    "env",
)
_EXPOSE = _do("nothing has to be exposed: containers of a server reach every port; leave it out")
_DEPLOY = _do("write its limits as memory and cpus, and how many of it as replicas, which want a swarm (docs/scale.md)")
_REPLICAS = _is("replicas", "replicas: 3", without="a job is one container; leave it out")
_VOLUMES = _is("volumes", 'volumes: ["data:/var/lib/data"]')
_CLOCK = _do('a scheduler runs jobs by the clock: build_dir: JobScheduler, env: {run_x: +job, when_x: "30 4 * * *"}')
_NO_LIMIT = _do("is not supported: containers have Docker's own limits; leave it out")
_NO_GPU = _do("servers have none; leave it out")
_SECURITY = _do("is not supported: no-new-privileges and Docker's own profiles hold for all; leave it out")
_REGISTRY = _do(
    "logins stand in a section of their own; write registries: {ghcr.io: {user: ..., password: _secrets^NAME}}"
)
_SOURCE = _do("is not supported: the stack file is one file; YAML's anchors (&x, *x, <<: *x) share what repeats")
_HOOKS = _do("is not supported; what has to run before is a job, which an application waits for: after: [migrate]")
_PROXY = _do(
    "there is one proxy a server, made by env: {domains: [...], http_port: ...} and the job hasetup; leave it out"
)
_TERMINAL = _do("nobody sits at a container's terminal; leave it out")
_PULL = _do("an image is pulled when it is named anew; leave it out, and write another tag or digest")
_PLATFORM = _do("servers are x86-64; leave it out")
_STATIC = _is("static_ipv6", 'static_ipv6: "2:0:b"', without="an address of its own is of applications; leave it out")
_RESERVED_IPV4 = _do(
    "every IPv4 address is reserved; leave it out (one that is reserved already: make adopt, docs/quickstart.md)"
)
_PACK = _do(
    "images are built by a Dockerfile; write git: {url: ..., dir: ...} of a repository that has one, or build_dir"
)

# The words of a Compose service, then those of others. Of each that is a setting here too there is no entry.
_CONTAINER: Mapping[str, Foreign] = {
    **{
        row.docker.compose: _is(row.word, f"{row.word}: {json.dumps(row.example)}")
        for row in rows()
        if row.docker.compose
    },
    "annotations": _LABELS,
    "attach": _LOGS,
    "backups": _BACKUP,
    "build": _BUILD,
    "blkio_config": _NO_LIMIT,
    "cap_drop": _DROPPED,
    "cgroup": _ISOLATION,
    "cgroup_parent": _ISOLATION,
    "configs": _FILES,
    "container_name": _do("its container is named by itself; leave it out: others find it by the key here"),
    "cpu_count": _CPUS,
    "cpu_percent": _CPUS,
    "cpu_period": _CPUS,
    "cpu_quota": _CPUS,
    "cpu_rt_period": _CPUS,
    "cpu_rt_runtime": _CPUS,
    "cpu_shares": _CPUS,
    "cpuset": _CPUS,
    "credential_spec": _do("is of Windows; leave it out"),
    "depends_on": _AFTER,
    "deploy": _DEPLOY,
    "develop": _do("is of a developer's machine; leave it out"),
    "device_cgroup_rules": _do("is not supported; write the devices themselves, devices: [/dev/net/tun]"),
    "dns_opt": _DNS,
    "dns_search": _DNS,
    "domainname": _HOSTNAME,
    "driver_opts": _NETWORK,
    "env_file": _ENV_FILE,
    "expose": _EXPOSE,
    "extends": _SOURCE,
    "external_links": _LINKS,
    "gpus": _NO_GPU,
    "healthcheck": _HEALTH,
    "ipc": _do(
        "is refused: it would share the memory of other programs; where it wants more of its own write shm_size: 256m"
    ),
    "isolation": _do("is of Windows; leave it out"),
    "label_file": _LABELS,
    "links": _LINKS,
    "logging": _LOGS,
    "mac_address": _NETWORK,
    "mem_reservation": _NO_RESERVE,
    "mem_swappiness": _do("memory counts swap already; leave it out"),
    "memswap_limit": _do("memory counts swap already; leave it out"),
    "models": _do("is not supported: what runs is an application with an image; leave it out"),
    "network_mode": _HOST_NETWORK,
    "networks": _NETWORK,
    "oom_kill_disable": _do("is refused: the server would stop instead; leave it out, and write a larger memory"),
    "oom_score_adj": _NO_RESERVE,
    "pid": _do(
        "is refused: it would see and stop the host's own programs; what looks after the host is a role of its playbook"
    ),
    "platform": _PLATFORM,
    "ports": _do(_NO_PORTS),
    "post_start": _HOOKS,
    "pre_stop": _HOOKS,
    "privileged": _PRIVILEGED,
    "profiles": _do("is not supported: a job may be run by hand alone, run: manual; take out what shall not be there"),
    "provider": _do("is not supported: what runs is an application with an image; leave it out"),
    "pull_policy": _PULL,
    "restart": _do("a job ends, and is not started again; leave it out, or make it an application"),
    "runtime": _ISOLATION,
    "scale": _REPLICAS,
    "secrets": _SECRETS,
    "security_opt": _SECURITY,
    "stdin_open": _TERMINAL,
    "storage_opt": _NO_LIMIT,
    "tty": _TERMINAL,
    "use_api_socket": _do("is refused: it would be the whole server; jobs are started by env: {run_x: +job}"),
    "userns_mode": _do("is refused: what the host and its containers call users is one; leave it out, and write user"),
    "uts": _ISOLATION,
    "volumes_from": _VOLUMES,
    # docker run and plain words
    "add_host": _is("extra_hosts", 'extra_hosts: {ldap.example.com: "192.0.2.10"}'),
    "args": _is("command", "command: [serve, --quiet]"),
    "build_arg": _is("build_args", 'build_args: {VERSION: "1.2"}'),
    "cmd": _is("command", "command: [serve, --quiet], one item a word"),
    "context": _BUILD,
    "cron": _CLOCK,
    "cpu": _CPUS,
    "cpu_limit": _CPUS,
    "databases": _is("db", "db: [postgres]"),
    "depends": _AFTER,
    "device": _is("devices", "devices: [/dev/net/tun]"),
    "domain": _DOMAINS,
    "domains": _DOMAINS,
    "envs": _ENV,
    "gpu": _NO_GPU,
    "http_port": _PORT,
    "image_name": _is("image", "image: postgres:15"),
    "ip": _STATIC,
    "ip6": _STATIC,
    "ipv6": _STATIC,
    "ipv6_address": _STATIC,
    "ipv4_address": _do("containers have no IPv4 address of their own choice; leave it out, and publish ports"),
    "log_driver": _LOGS,
    "log_opt": _LOGS,
    "mem": _MEMORY,
    "memory_limit": _MEMORY,
    "mount": _VOLUMES,
    "mounts": _VOLUMES,
    "name": _do("its name is the key of this section; leave it out"),
    "net": _HOST_NETWORK,
    "network": _NETWORK,
    "port": _PORT,
    "publish": _is("ports", "ports: [80, 443]", without=_NO_PORTS),
    "ram": _MEMORY,
    "replicas": _REPLICAS,
    "requires": _AFTER,
    "restart_policy": _is("restart", without="a job ends, and is not started again; leave it out"),
    "schedule": _CLOCK,
    "tag": _do("a tag stands behind an image's name, image: postgres:15, or in git: {url: ..., tag: v1.4}"),
    "ulimit": _is("ulimits", "ulimits: {nofile: 40000}"),
    "url": _is("git.url", 'git: {url: "https://git.example.org/team/site.git"}'),
    "variables": _ENV,
    "volume": _VOLUMES,
    "wait_for": _AFTER,
    "workdir": _WORKDIR,
    # Bee2
    "branch": _is("git.branch", "git: {url: ..., branch: main}"),
    "capadd": _CAPABILITIES,
    "capdrop": _DROPPED,
    "dockerfile_path": _is("dockerfile", "dockerfile: docker/web.Dockerfile"),
    "git_dir": _is("git.dir", "git: {url: ..., dir: sites/blog}"),
    "internal_dns": _LINKS,
    "link": _LINKS,
    "static_ip": _STATIC,
    "traefik": _PROXY,
    # Kamal
    "accessories": _do("they are applications like any other; write each under applications"),
    "aliases": _do("an alias is a script of yours around make; leave it out"),
    "asset_path": _do("is not supported: assets go with their release; leave it out, or serve them by NginxStatic"),
    "boot": _do("containers are replaced one by one, each when it is healthy; leave it out"),
    "builder": _BUILD,
    "clear": _ENV,
    "deploy_timeout": _is("health.timeout", "health: {timeout: 120}", without=_NO_SERVICE),
    "directories": _VOLUMES,
    "drain_timeout": _GRACE,
    "host": _is("server", "server: web1, a name under servers"),
    "hosts": _is("server", "server: web1, a name under servers; each container runs on one"),
    "hooks_path": _HOOKS,
    "options": _do("no options are handed to docker run; write each by its own setting, see docs/configuration.md"),
    "proxy": _PROXY,
    "readiness_delay": _is("health.start_period", 'health: {start_period: "30s"}', without=_NO_SERVICE),
    "registry": _REGISTRY,
    "registry_auth": _REGISTRY,
    "retain_containers": _do("the old one goes when the new one serves; go back by the old stack file"),
    "role": _is("server", "server: web1"),
    "roles": _is("server", "server: web1"),
    "service": _do("its name is the key of this section; leave it out"),
    "ssl": _do("https is made where the proxy publishes 443 (docs/certificates.md); leave it out"),
    # Dokku, Coolify
    "app": _do("its name is the key of this section; leave it out"),
    "base_directory": _is("git.dir", "git: {url: ..., dir: sites/blog}"),
    "build_command": _PACK,
    "build_pack": _PACK,
    "buildpack": _PACK,
    "buildpacks": _PACK,
    "checks": _HEALTH,
    "config": _ENV,
    "custom_labels": _LABELS,
    "fqdn": _DOMAINS,
    "git_branch": _is("git.branch", "git: {url: ..., branch: main}"),
    "git_repository": _is("git.url", 'git: {url: "https://git.example.org/team/site.git"}'),
    "health_check": _HEALTH,
    "health_check_path": _is("health.path", "health: {path: /up}", without=_NO_SERVICE),
    "install_command": _PACK,
    "letsencrypt": _do("certificates are made for every site by the job certbot (docs/certificates.md); leave it out"),
    "limits": _do("write memory and cpus"),
    "ports_exposes": _PORT,
    "ports_mappings": _is("ports", 'ports: ["8080:80"]', without=_NO_PORTS),
    "post_deployment_command": _HOOKS,
    "pre_deployment_command": _HOOKS,
    "procfile": _PACK,
    "publish_directory": _do("a static site is built by SiteBuilder (docs/sites.md); leave it out"),
    "resource": _do("write memory and cpus"),
    "resources": _do("write memory and cpus"),
    "start_command": _is("command", "command: [serve, --quiet]"),
    "static_image": _PACK,
    "storage": _VOLUMES,
    "stateless": _do("an application is, where nothing says otherwise; leave it out"),
}  # fmt: skip

_HEALTH_WORDS: Mapping[str, Foreign] = {
    "cmd": _is("test", "test: [CMD, pg_isready]"),
    "command": _is("test", "test: [CMD, pg_isready]"),
    "disable": _do("write test: [NONE]"),
    "endpoint": _is("path", "path: /up"),
    "max_attempts": _is("retries", "retries: 3"),
    "port": _do("the proxy asks at the port of the site, env: {http_port: 8080}; leave it out"),
    "start_interval": _do("is not supported; a release asks at its own pace until timeout; leave it out"),
    "uri": _is("path", "path: /up"),
    "url": _is("path", "path: /up"),
}

_GIT: Mapping[str, Foreign] = {
    "base_directory": _is("dir", "dir: sites/blog"),
    "context": _is("dir", "dir: sites/blog"),
    "credentials": _is("secret", "secret: _secrets^git_token"),
    "depth": _do("no more of it is fetched than is built; leave it out"),
    "directory": _is("dir", "dir: sites/blog"),
    "deploy_key": _is("key", "key: _secrets^deploy_key, and its server's host_key"),
    "dockerfile": _do(_OF_CONTAINER % "dockerfile: docker/web.Dockerfile"),
    "folder": _is("dir", "dir: sites/blog"),
    "password": _is("secret", "secret: _secrets^git_token"),
    "path": _is("dir", "dir: sites/blog"),
    "ref": _do("write branch, tag or commit, whichever it is"),
    "repo": _is("url", 'url: "https://git.example.org/team/site.git"'),
    "repository": _is("url", 'url: "https://git.example.org/team/site.git"'),
    "rev": _is("commit"),
    "revision": _is("commit"),
    "sha": _is("commit"),
    "private_key": _is("key", "key: _secrets^deploy_key, and its server's host_key"),
    "ssh_key": _is("key", "key: _secrets^deploy_key, and its server's host_key"),
    "subdir": _is("dir", "dir: sites/blog"),
    "submodules": _do("they are fetched by themselves; leave it out"),
    "target": _do(_OF_CONTAINER % "target: release"),
    "token": _is("secret", "secret: _secrets^git_token"),
}

_SERVER: Mapping[str, Foreign] = {
    "addons": _do("is not supported; leave it out"),
    "applications": _do("applications stand in a section of their own, each with server: NAME"),
    "backups": _do(
        "backups are the stack's, of every server: apiary:backups: {repository: s3:https://HOST/BUCKET} "
        "(docs/backups.md); leave it out here"
    ),
    "distro": _is("os", "os: 2136"),
    "domains": _is("dns", "dns: {web: [example.com]}"),
    "firewall": _is("ssh_from", 'ssh_from: ["203.0.113.0/24"]; other ports follow from what is published'),
    "flavor": _is("plan", "plan: vc2-1c-2gb"),
    "hostname": _do("a server is called as its key here; leave it out, and write its public name in dns.public"),
    "image": _is("os", "os: 2136"),
    "ipv4_reserved": _RESERVED_IPV4,
    "ipv6_reserved": _is("ipv6.reserved", "ipv6: {reserved: true}"),
    "jobs": _do("jobs stand in a section of their own, each with server: NAME"),
    "label": _do("a server is called as its key here; leave it out"),
    "location": _is("region", "region: ewr"),
    "mail": _do("mail servers are not made; write the records of one under zones"),
    "mirrors": _is("registry_mirrors"),
    "os_id": _is("os", "os: 2136"),
    "private_network": _is("private_ip", "private_ip: 192.168.150.10"),
    "provider": _do("servers are rented at Vultr; leave it out"),
    "reserved": _is("ipv6.reserved", "ipv6: {reserved: true}; its IPv4 address is reserved anyway"),
    "reserved_ipv4": _RESERVED_IPV4,
    "reserved_ipv6": _is("ipv6.reserved", "ipv6: {reserved: true}"),
    "reverse_dns": _do("the reverse name is the first of dns.public; leave it out"),
    "server_type": _is("plan", "plan: vc2-1c-2gb"),
    "size": _is("plan", "plan: vc2-1c-2gb"),
    "snapshot": _do("is not supported: a server is made from os; leave it out"),
    "ssh_key": _do("the key is made by the program, in the state; leave it out"),
    "ssh_keys": _do("the key is made by the program, in the state; leave it out"),
    "tags": _do("tags are the program's own; leave it out"),
    "tz": _is("timezone", "timezone: Europe/Berlin"),
    "type": _is("plan", "plan: vc2-1c-2gb"),
    "user_data": _do("is the program's own; what a host needs is a role of its playbook"),
    "vpc": _is("private_ip", "private_ip: 192.168.150.10"),
    "vpn": _do("there is no VPN: SSH with the stack's own key (docs/operations.md); leave it out"),
    "zone": _is("region", "region: ewr"),
}  # fmt: skip

_DNS_WORDS: Mapping[str, Foreign] = {
    "domains": _is("web", "web: [example.com]"),
    "hosts": _is("public", "public: [web1.example.com]"),
    "internal": _is("private", "private: [web1.internal.example.com]"),
    "mail": _do("mail servers are not made; write the records of one under zones"),
    "names": _is("public", "public: [web1.example.com]"),
    "records": _do("further records stand under zones: {example.com: {records: [...]}}"),
    "sites": _is("web", "web: [example.com]"),
    "zones": _do("zones follow from the names; what differs stands in the section zones"),
}

_ZONE: Mapping[str, Foreign] = {
    "default_ttl": _is("ttl", "ttl: 300"),
    "deletion_protection": _is("protect", "protect: true"),
    "dns_sec": _do("is not supported; leave it out"),
    "dnssec": _do("is not supported; leave it out"),
    "entries": _is("records"),
    "nameservers": _do("the name servers are Vultr's; leave it out"),
    "ns": _do("the name servers are Vultr's; a part of the zone that others serve is a record of type NS"),
    "soa": _do("is the provider's; leave it out"),
}

_RECORD: Mapping[str, Foreign] = {
    "address": _is("data"),
    "content": _is("data"),
    "host": _is("name"),
    "hostname": _is("name"),
    "kind": _is("type"),
    "lifetime": _is("ttl"),
    "port": _do('stands in data of an SRV record: weight, port, target: "5 5060 sip.example.com"'),
    "preference": _is("priority"),
    "prio": _is("priority"),
    "proxied": _do("is of another provider; leave it out"),
    "subdomain": _is("name"),
    "target": _is("data"),
    "value": _is("data"),
    "weight": _do('stands in data of an SRV record: weight, port, target: "5 5060 sip.example.com"'),
}

_STACK: Mapping[str, Foreign] = {
    "accessories": _is("applications"),
    "apps": _is("applications"),
    "backup": _is("backups", 'backups: {repository: "s3:https://HOST/BUCKET", ...}'),
    "borg": _BACKUPS,
    "builder": _do("images are built on the server; leave it out"),
    "config": _do("write its sections straight under config, as apiary:servers"),
    "configs": _do(
        "a file comes in an image of your own (build_dir), or in a folder of the server, mounted by volumes"
    ),
    "containers": _is("applications"),
    "cron": _CLOCK,
    "databases": _do("a database server is an application; who uses one writes db: [postgres]"),
    "dns": _is("zones", "zones: {example.com: {records: [...]}}"),
    "docker": _do("write what it holds under applications and jobs, each with server: NAME"),
    "domains": _do("domains stand in dns.web of their server, and in env.domains of their application"),
    "env": _do("variables stand in env of each application and job"),
    "hosts": _is("servers"),
    "include": _SOURCE,
    "inventory": _do("Ansible runs on the server itself; leave it out"),
    "networks": _do("each server has one network, and a container reaches those that it names; leave it out"),
    "openvpn": _do("there is no VPN: SSH with the stack's own key (docs/operations.md); leave it out"),
    "provisioner": _do(
        "the API key is set by `pulumi config set --secret vultr:apiKey`, and each server says its region"
    ),
    "proxy": _PROXY,
    "records": _is("zones", "zones: {example.com: {records: [...]}}"),
    "registry": _is("registries", "registries: {ghcr.io: {user: ..., password: _secrets^NAME}}"),
    "role": _is("servers"),
    "restic": _BACKUPS,
    "scheduler": _CLOCK,
    "security": _do("passwords are generated and kept encrypted in the state; others stand in secrets"),
    "services": _is("applications"),
    "ssh": _do("the key is made by the program, in the state; leave it out"),
    "stacks": _do("a stack is a file of its own, Pulumi.NAME.yaml"),
    "sync": _do("is not supported; leave it out"),
    "tasks": _is("jobs"),
    "version": _do("the stack file has none; leave it out"),
    "volumes": _do("a volume is made where an application or a job names it in volumes; leave it out"),
    "workers": _is("applications"),
}

_BACKUP_SECTION: Mapping[str, Foreign] = {
    "access_key_id": _is("access_key"),
    "bucket": _is("repository", 'repository: "s3:https://HOST/BUCKET"'),
    "cron": _is("when", 'when: "17 2 * * *"'),
    "encryption": _do("everything is encrypted before it leaves the server; leave it out"),
    "endpoint": _is("repository", 'repository: "s3:https://HOST/BUCKET"'),
    "exclude": _do("a volume is left out by backup: false of all containers that write to it"),
    "frequency": _is("when", 'when: "17 2 * * *"'),
    "include": _do("every named volume and database is saved; leave it out"),
    "passphrase": _is("password"),
    "paths": _do("every named volume and database is saved; leave it out"),
    "retention": _is("keep", "keep: {daily: 7, weekly: 5, monthly: 12}"),
    "schedule": _is("when", 'when: "17 2 * * *"'),
    "secret_access_key": _is("secret_key"),
    "ssh_key": _is("key"),
    "target": _is("repository"),
    "url": _is("repository"),
    "user": _is("access_key"),
}

_KEEP_WORDS: Mapping[str, Foreign] = {
    "annually": _is("yearly"),
    "days": _is("daily"),
    "hourly": _do("a backup a day is kept; leave it out, and write daily"),
    "last": _do("one of each day, week, month and year is kept; write daily"),
    "months": _is("monthly"),
    "weeks": _is("weekly"),
    "within": _do("one of each day, week, month and year is kept; write daily, weekly, monthly"),
    "years": _is("yearly"),
}

_BACKUP_WORDS: Mapping[str, Foreign] = {
    "command": _is("before", "before: [redis-cli, save]"),
    "enabled": _is("save"),
    "exclude": _do("a volume is saved as a whole or left out by save: false"),
    "pause": _is("stop"),
    "pre": _is("before", "before: [redis-cli, save]"),
    "skip": _is("save", "save: false"),
}

_REGISTRY_WORDS: Mapping[str, Foreign] = {
    "certificate": _is("ca"),
    "login": _is("user"),
    "secret": _is("password", "password: _secrets^NAME"),
    "server": _do("its host is the key of this section: registries: {ghcr.io: {...}}; leave it out"),
    "token": _is("password", "password: _secrets^NAME"),
    "username": _is("user"),
}

WORDS: Mapping[type[Settings], Mapping[str, Foreign]] = {
    Stack: _STACK,
    Server: _SERVER,
    Dns: _DNS_WORDS,
    Zone: _ZONE,
    Record: _RECORD,
    Container: _CONTAINER,
    Health: _HEALTH_WORDS,
    Git: _GIT,
    Registry: _REGISTRY_WORDS,
    Backups: _BACKUP_SECTION,
    Keep: _KEEP_WORDS,
    Backup: _BACKUP_WORDS,
}


def words_of(section: type[Settings]) -> Mapping[str, Foreign]:
    """Return the words of others that somebody may bring to a section, without those that are settings of it."""
    words = WORDS.get(Container if section in (Application, Job) else section, {})
    return {word: foreign for word, foreign in words.items() if word not in section.model_fields}


def stands_for(section: type[Settings], word: str) -> str | None:
    """Return the setting of a section that a word of others means, so that it is not taken for missing."""
    meant = _meant(section, word)
    setting = words_of(section)[meant].setting.split(".")[0] if meant else ""
    return setting if setting in section.model_fields else None


def advice(section: type[Settings], word: str) -> str | None:
    """Say what to write instead of an unknown setting; None when nothing is known by that name, or a near one.

    A setting of the section that is nearer than any word of others is a matter of spelling (`errors`).
    """
    meant = _meant(section, word)
    if meant is None:
        return None
    foreign = words_of(section)[meant]
    there = not foreign.setting or foreign.setting.split(".")[0] in section.model_fields
    remedy = foreign.remedy if there or not foreign.without else foreign.without
    return remedy if _bare(meant) == _bare(word) else f'if "{meant}" is meant: {remedy}'


def _meant(section: type[Settings], word: str) -> str | None:
    """The word of others that is meant: in another spelling (`capAdd`, `cap-add`), or misspelt."""
    words = words_of(section)
    exact = {_bare(one): one for one in words}.get(_bare(word))
    near = closest(word, {*words, *section.model_fields})
    return exact or (near if near in words else None)


def _bare(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
