"""What words of other tools are called in an application or a job, its health, repository and registry.

Makes: one table a section, by the word. The words come from Compose files, Kamal, Dokku, Coolify, `docker run` and
Bee2. Leaves alone: who is told (`foreign`).
"""

import json
from collections.abc import Mapping

from settings.foreign_word import Foreign, called, do
from settings.options import rows

_NO_SERVICE = "is of applications: a job ends; leave it out"
_NO_PORTS = "a job publishes no ports; make what others reach an application"
_AFTER = called("after", "after: [postgres]")
_BACKUP = called(
    "backup", "backup: false to leave its volumes out, backup: {stop: true} to have it stand still meanwhile"
)
_CAPABILITIES = called("capabilities", "capabilities: [NET_BIND_SERVICE]")
_DROPPED = do("every capability is dropped already; leave it out, and give back by capabilities what is needed")
_HEALTH = called("health", "health: {test: [CMD, pg_isready]}, or health: {path: /up} for a site", without=_NO_SERVICE)
_MEMORY = called("memory", 'memory: "256m"')
_NO_RESERVE = do("nothing is set aside for a container; leave it out, and limit the others by memory and cpus")
_CPUS = called("cpus", 'cpus: "0.5"')
_LOGS = do("container logs are kept and rotated by the host (30 MB each); leave it out, and see docs/logs.md")
_LABELS = called(
    "labels", 'labels: {com.example.team: "shop"}; a site is made by env: {domains: [...], http_port: ...}'
)
_NETWORK = do("a container reaches those of its server that it names, others by reach: [redis]; leave it out")
_LINKS = do("every container finds the others by name; leave it out, and write env: {db_host: $postgres}")
_HOST_NETWORK = do(
    'a container on the host\'s own network would pass by its firewall; publish ports, or write static_ipv6: "2:0:b" '
    "and open"
)
_ISOLATION = do("is refused: it would share what belongs to the host; leave it out, and write capabilities it needs")
_PRIVILEGED = do(
    "is refused: it would be the whole server; write the few it needs, capabilities: [NET_ADMIN], "
    "devices: [/dev/net/tun], sysctls: {...}"
)
_HOSTNAME = called("hostname", "hostname: mail.example.com")
_WORKDIR = called("working_dir", "working_dir: /srv/app")
_FILES = called("files", 'files: {/etc/app.yml: {content: "..."}}, or {from: config/app.yml}')
_ENV = called("env", "env: {http_port: 8080}")
_ENV_FILE = do("is not read; write the variables into env, and what is secret as _secrets^NAME")
_SECRETS = do("secrets stand in the section secrets of the stack file; write env: {password: _secrets^NAME}")
_OF_CONTAINER = "it stands beside git, not in it; write %s"
_BUILD = called("build_dir", "build_dir: NAME (a folder of images/), or git: {url: ...}")
_GRACE = called("grace_seconds", "grace_seconds: 30")
_DNS = do("is not supported; write whole names, and other resolvers by nameservers")
_DOMAINS = Foreign(
    "sites stand in env here; write env: {domains: [example.com], http_port: 8080}, and the domain in dns.web",
    "env",
)
_PORT = Foreign(
    "the port of a site stands in env here; write env: {http_port: 8080}; ports are published on the server itself",
    "env",
)
_EXPOSE = do("nothing has to be exposed: who reaches a container reaches every port of it; leave it out")
_DEPLOY = do("write its limits as memory and cpus, and how many of it as replicas, which want a swarm (docs/scale.md)")
_REPLICAS = called("replicas", "replicas: 3", without="a job is one container; leave it out")
_VOLUMES = called("volumes", 'volumes: ["data:/var/lib/data"]')
CLOCK = do('a scheduler runs jobs by the clock: build_dir: JobScheduler, env: {run_x: +job, when_x: "30 4 * * *"}')
_NO_LIMIT = do("is not supported: containers have Docker's own limits; leave it out")
_NO_GPU = do("servers have none; leave it out")
_SECURITY = do("is not supported: no-new-privileges and Docker's own profiles hold for all; leave it out")
_REGISTRY = do(
    "logins stand in a section of their own; write registries: {ghcr.io: {user: ..., password: _secrets^NAME}}"
)
SOURCE = do("is not supported: the stack file is one file; YAML's anchors (&x, *x, <<: *x) share what repeats")
_HOOKS = do("is not supported; what has to run before is a job, which an application waits for: after: [migrate]")
PROXY = do(
    "there is one proxy a server, made by env: {domains: [...], http_port: ...} and the job hasetup; leave it out"
)
_TERMINAL = do("nobody sits at a container's terminal; leave it out")
_PULL = do("an image is pulled when it is named anew; leave it out, and write another tag or digest")
_PLATFORM = do("servers are x86-64; leave it out")
_STATIC = called(
    "static_ipv6", 'static_ipv6: "2:0:b"', without="an address of its own is of applications; leave it out"
)
_NO_SITE = "is of a site, and sites are applications; leave it out"
_OPEN = called("open", "open: [tcp/25] with static_ipv6, or ports: [8080]", without=_NO_PORTS)
_PASSWORD = called("site.password", "site: {password: {anna: _secrets^anna_password}}", without=_NO_SITE)
_REDIRECTS = do(
    'they stand at the server; write servers: {web1: {redirects: {old.example.org: "https://example.com"}}}'
)
_RETRIES = called(
    "health.retries",
    "health: {test: [CMD, ...], retries: 5}",
    without="a job that fails ends the update, and runs again with the next one; leave it out",
)
_HTTPS = do("https is made where the proxy publishes 443 (docs/certificates.md); leave it out")
_USER = called("user", 'user: "1000:1000"')
_STATUS = called("status", 'status: "200-399,401"')
_PACK = do(
    "images are built by a Dockerfile; write git: {url: ..., dir: ...} of a repository that has one, or build_dir"
)

CONTAINER: Mapping[str, Foreign] = {
    **{
        row.docker.compose: called(row.word, f"{row.word}: {json.dumps(row.example)}")
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
    "container_name": do("its container is named by itself; leave it out: others find it by the key here"),
    "cpu_count": _CPUS,
    "cpu_percent": _CPUS,
    "cpu_period": _CPUS,
    "cpu_quota": _CPUS,
    "cpu_rt_period": _CPUS,
    "cpu_rt_runtime": _CPUS,
    "cpu_shares": _CPUS,
    "cpuset": _CPUS,
    "credential_spec": do("is of Windows; leave it out"),
    "depends_on": _AFTER,
    "deploy": _DEPLOY,
    "develop": do("is of a developer's machine; leave it out"),
    "device_cgroup_rules": do("is not supported; write the devices themselves, devices: [/dev/net/tun]"),
    "dns_opt": _DNS,
    "dns_search": _DNS,
    "domainname": _HOSTNAME,
    "driver_opts": _NETWORK,
    "env_file": _ENV_FILE,
    "expose": _EXPOSE,
    "extends": SOURCE,
    "external_links": _LINKS,
    "gpus": _NO_GPU,
    "healthcheck": _HEALTH,
    "ipc": do(
        "is refused: it would share the memory of other programs; where it wants more of its own write shm_size: 256m"
    ),
    "isolation": do("is of Windows; leave it out"),
    "label_file": _LABELS,
    "links": _LINKS,
    "logging": _LOGS,
    "mac_address": _NETWORK,
    "mem_reservation": _NO_RESERVE,
    "mem_swappiness": do("memory counts swap already; leave it out"),
    "memswap_limit": do("memory counts swap already; leave it out"),
    "models": do("is not supported: what runs is an application with an image; leave it out"),
    "network_mode": _HOST_NETWORK,
    "networks": _NETWORK,
    "oom_kill_disable": do("is refused: the server would stop instead; leave it out, and write a larger memory"),
    "oom_score_adj": _NO_RESERVE,
    "pid": do(
        "is refused: it would see and stop the host's own programs; what looks after the host is a role of its playbook"
    ),
    "platform": _PLATFORM,
    "ports": do(_NO_PORTS),
    "post_start": _HOOKS,
    "pre_stop": _HOOKS,
    "privileged": _PRIVILEGED,
    "profiles": do("is not supported: a job may be run by hand alone, run: manual; take out what shall not be there"),
    "provider": do("is not supported: what runs is an application with an image; leave it out"),
    "pull_policy": _PULL,
    "restart": do("a job ends, and is not started again; leave it out, or make it an application"),
    "runtime": _ISOLATION,
    "scale": _REPLICAS,
    "secrets": _SECRETS,
    "security_opt": _SECURITY,
    "stdin_open": _TERMINAL,
    "storage_opt": _NO_LIMIT,
    "tty": _TERMINAL,
    "use_api_socket": do("is refused: it would be the whole server; jobs are started by env: {run_x: +job}"),
    "userns_mode": do("is refused: what the host and its containers call users is one; leave it out, and write user"),
    "uts": _ISOLATION,
    "volumes_from": _VOLUMES,
    # docker run and plain words
    "add_host": called("extra_hosts", 'extra_hosts: {ldap.example.com: "192.0.2.10"}'),
    "args": called("command", "command: [serve, --quiet]"),
    "build_arg": called("build_args", 'build_args: {VERSION: "1.2"}'),
    "cmd": called("command", "command: [serve, --quiet], one item a word"),
    "context": _BUILD,
    "cron": CLOCK,
    "cpu": _CPUS,
    "cpu_limit": _CPUS,
    "databases": called("db", "db: [postgres]"),
    "depends": _AFTER,
    "device": called("devices", "devices: [/dev/net/tun]"),
    "domain": _DOMAINS,
    "domains": _DOMAINS,
    "envs": _ENV,
    "gpu": _NO_GPU,
    "http_port": _PORT,
    "image_name": called("image", "image: postgres:15"),
    "ip": _STATIC,
    "ip6": _STATIC,
    "ipv6": _STATIC,
    "ipv6_address": _STATIC,
    "ipv4_address": do("containers have no IPv4 address of their own choice; leave it out, and publish ports"),
    "log_driver": _LOGS,
    "log_opt": _LOGS,
    "mem": _MEMORY,
    "memory_limit": _MEMORY,
    "mount": _VOLUMES,
    "mounts": _VOLUMES,
    "name": do("its name is the key of this section; leave it out"),
    "net": _HOST_NETWORK,
    "network": _NETWORK,
    "port": _PORT,
    "publish": called("ports", "ports: [80, 443]", without=_NO_PORTS),
    "ram": _MEMORY,
    "replicas": _REPLICAS,
    "requires": _AFTER,
    "restart_policy": called("restart", without="a job ends, and is not started again; leave it out"),
    "schedule": CLOCK,
    "tag": do("a tag stands behind an image's name, image: postgres:15, or in git: {url: ..., tag: v1.4}"),
    "ulimit": called("ulimits", "ulimits: {nofile: 40000}"),
    "url": called("git.url", 'git: {url: "https://git.example.org/team/site.git"}'),
    "variables": _ENV,
    "volume": _VOLUMES,
    "wait_for": _AFTER,
    "workdir": _WORKDIR,
    "allow": _OPEN,
    "autoheal": do("Docker starts again what has ended, and the monitor tells what is ill; leave it out"),
    "basic_auth": _PASSWORD,
    "bind": _VOLUMES,
    "caps": _CAPABILITIES,
    "cert": _HTTPS,
    "certs": _HTTPS,
    "certificate": _HTTPS,
    "certificates": _HTTPS,
    "chdir": _WORKDIR,
    "cwd": _WORKDIR,
    "every": CLOCK,
    "firewall": _OPEN,
    "gid": _USER,
    "grace": _GRACE,
    "grace_period": _GRACE,
    "htpasswd": _PASSWORD,
    "https": _HTTPS,
    "kill_timeout": _GRACE,
    "log": _LOGS,
    "logs": _LOGS,
    "mac": _NETWORK,
    "max_body_size": called("site.body_limit", 'site: {body_limit: "1g"}', without=_NO_SITE),
    "open_ports": _OPEN,
    "public": called("ports", "ports: [80, 443]", without=_NO_PORTS),
    "redirect": _REDIRECTS,
    "redirects": _REDIRECTS,
    "retries": _RETRIES,
    "retry": _RETRIES,
    "settings": _ENV,
    "shm": called("shm_size", "shm_size: 256m"),
    "stop_timeout": _GRACE,
    "timeout": Foreign(
        "write which: health: {timeout: 120} for a release, grace_seconds: 30 for its end, site: {timeout: 300} for "
        "an answer"
    ),
    "timer": CLOCK,
    "tls": _HTTPS,
    "uid": _USER,
    "user_id": _USER,
    "username": _USER,
    "vars": _ENV,
    "watchtower": _PULL,
    "when": CLOCK,
    # Bee2
    "branch": called("git.branch", "git: {url: ..., branch: main}"),
    "capadd": _CAPABILITIES,
    "capdrop": _DROPPED,
    "dockerfile_path": called("dockerfile", "dockerfile: docker/web.Dockerfile"),
    "git_dir": called("git.dir", "git: {url: ..., dir: sites/blog}"),
    "internal_dns": _LINKS,
    "link": _LINKS,
    "static_ip": _STATIC,
    "traefik": PROXY,
    # Kamal
    "accessories": do("they are applications like any other; write each under applications"),
    "aliases": do("an alias is a script of yours around make; leave it out"),
    "asset_path": do("is not supported: assets go with their release; leave it out, or serve them by NginxStatic"),
    "boot": do("containers are replaced one by one, each when it is healthy; leave it out"),
    "builder": _BUILD,
    "clear": _ENV,
    "deploy_timeout": called("health.timeout", "health: {timeout: 120}", without=_NO_SERVICE),
    "directories": _VOLUMES,
    "drain_timeout": _GRACE,
    "host": called("server", "server: web1, a name under servers"),
    "hosts": called("server", "server: web1, a name under servers; each container runs on one"),
    "hooks_path": _HOOKS,
    "options": do("no options are handed to docker run; write each by its own setting, see docs/configuration.md"),
    "proxy": PROXY,
    "readiness_delay": called("health.start_period", 'health: {start_period: "30s"}', without=_NO_SERVICE),
    "registry": _REGISTRY,
    "registry_auth": _REGISTRY,
    "retain_containers": do("the old one goes when the new one serves; go back by the old stack file"),
    "role": called("server", "server: web1"),
    "roles": called("server", "server: web1"),
    "service": do("its name is the key of this section; leave it out"),
    "ssl": _HTTPS,
    # Dokku, Coolify
    "app": do("its name is the key of this section; leave it out"),
    "base_directory": called("git.dir", "git: {url: ..., dir: sites/blog}"),
    "build_command": _PACK,
    "build_pack": _PACK,
    "buildpack": _PACK,
    "buildpacks": _PACK,
    "checks": _HEALTH,
    "config": _ENV,
    "custom_labels": _LABELS,
    "fqdn": _DOMAINS,
    "git_branch": called("git.branch", "git: {url: ..., branch: main}"),
    "git_repository": called("git.url", 'git: {url: "https://git.example.org/team/site.git"}'),
    "health_check": _HEALTH,
    "health_check_path": called("health.path", "health: {path: /up}", without=_NO_SERVICE),
    "install_command": _PACK,
    "letsencrypt": do("certificates are made for every site by the job certbot (docs/certificates.md); leave it out"),
    "limits": do("write memory and cpus"),
    "ports_exposes": _PORT,
    "ports_mappings": called("ports", 'ports: ["8080:80"]', without=_NO_PORTS),
    "post_deployment_command": _HOOKS,
    "pre_deployment_command": _HOOKS,
    "procfile": _PACK,
    "publish_directory": do("a static site is built by SiteBuilder (docs/sites.md); leave it out"),
    "resource": do("write memory and cpus"),
    "resources": do("write memory and cpus"),
    "start_command": called("command", "command: [serve, --quiet]"),
    "static_image": _PACK,
    "storage": _VOLUMES,
    "stateless": do("an application is, where nothing says otherwise; leave it out"),
}  # fmt: skip

HEALTH: Mapping[str, Foreign] = {
    "code": _STATUS,
    "codes": _STATUS,
    "expect": _STATUS,
    "http": called("path", "path: /up"),
    "http_code": _STATUS,
    "status_code": _STATUS,
    "statuses": _STATUS,
    "cmd": called("test", "test: [CMD, pg_isready]"),
    "command": called("test", "test: [CMD, pg_isready]"),
    "disable": do("write test: [NONE]"),
    "endpoint": called("path", "path: /up"),
    "max_attempts": called("retries", "retries: 3"),
    "port": do("the proxy asks at the port of the site, env: {http_port: 8080}; leave it out"),
    "start_interval": do("is not supported; a release asks at its own pace until timeout; leave it out"),
    "uri": called("path", "path: /up"),
    "url": called("path", "path: /up"),
}

GIT: Mapping[str, Foreign] = {
    "base_directory": called("dir", "dir: sites/blog"),
    "context": called("dir", "dir: sites/blog"),
    "credentials": called("secret", "secret: _secrets^git_token"),
    "depth": do("no more of it is fetched than is built; leave it out"),
    "directory": called("dir", "dir: sites/blog"),
    "deploy_key": called("key", "key: _secrets^deploy_key, and its server's host_key"),
    "dockerfile": do(_OF_CONTAINER % "dockerfile: docker/web.Dockerfile"),
    "folder": called("dir", "dir: sites/blog"),
    "password": called("secret", "secret: _secrets^git_token"),
    "path": called("dir", "dir: sites/blog"),
    "ref": do("write branch, tag or commit, whichever it is"),
    "repo": called("url", 'url: "https://git.example.org/team/site.git"'),
    "repository": called("url", 'url: "https://git.example.org/team/site.git"'),
    "rev": called("commit"),
    "revision": called("commit"),
    "sha": called("commit"),
    "private_key": called("key", "key: _secrets^deploy_key, and its server's host_key"),
    "ssh_key": called("key", "key: _secrets^deploy_key, and its server's host_key"),
    "subdir": called("dir", "dir: sites/blog"),
    "submodules": do("they are fetched by themselves; leave it out"),
    "target": do(_OF_CONTAINER % "target: release"),
    "token": called("secret", "secret: _secrets^git_token"),
}

REGISTRY: Mapping[str, Foreign] = {
    "certificate": called("ca"),
    "login": called("user"),
    "secret": called("password", "password: _secrets^NAME"),
    "server": do("its host is the key of this section: registries: {ghcr.io: {...}}; leave it out"),
    "token": called("password", "password: _secrets^NAME"),
    "username": called("user"),
}
