"""A bad stack file: every problem in one report, by path, in plain words, with what to write."""

import traceback

import pytest

import settings
from tests.unit.test_settings import good


def report(raw, **known):
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(raw, name="test", **known)
    return {problem.path: problem.message for problem in caught.value.problems}


def put(raw, path, value):
    *keys, last = path
    for key in keys:
        raw = raw.setdefault(key, {}) if isinstance(raw, dict) else raw[key]
    raw[last] = value


BLOG = ("applications", "blog")
WEB1 = ("servers", "web1")
SITE = "https://git.example.org/team/site.git"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
DOCKER = (*WEB1, "ipv6", "docker")
RECORDS = ("zones", "example.com", "records")

# what is written where; the one path and the beginning and end of the one message that must come of it
CASES = [
    # single settings
    ((*BLOG, "buid_dir"), "X", "applications.blog.buid_dir", 'unknown setting; did you mean "build_dir"?'),
    ((*BLOG, "zzz"), 1, "applications.blog.zzz", "unknown setting; nothing of a like name or meaning is known here;"),
    ((*WEB1, "os"), "2136", "servers.web1.os", "must be a whole number, not text; write 2136 without quotes"),
    (
        (*WEB1, "os"),
        True,
        "servers.web1.os",
        "must be a whole number, not true or false; write e.g. os: 2136",
    ),
    ((*WEB1, "os"), 0, "servers.web1.os", "0 is not supported; write 2136 (Debian 12), 2625 (Debian 13)"),
    ((*WEB1, "os"), 10**23, "servers.web1.os", "a very large number is not supported; write"),
    ((*WEB1, "plan"), None, "servers.web1.plan", 'is empty; write e.g. plan: "vc2-1c-2gb"'),
    (
        (*WEB1, "region"),
        "EWR",
        "servers.web1.region",
        '"EWR" is written in lower case; write "ewr"',
    ),
    (
        (*WEB1, "ndp"),
        "exakt",
        "servers.web1.ndp",
        '"exakt" is not one of "exact", "subnet"; did you mean "exact"?',
    ),
    (
        (*WEB1, "private_ip"),
        "8.8.8.8",
        "servers.web1.private_ip",
        '"8.8.8.8" is not a private IPv4 address; write',
    ),
    (
        (*WEB1, "timezone"),
        "Europe/Berln",
        "servers.web1.timezone",
        '"Europe/Berln" is not a time zone; did you mean',
    ),
    (
        (*WEB1, "registry_mirrors"),
        ["x"],
        "servers.web1.registry_mirrors[0]",
        '"x" is not a registry mirror; write',
    ),
    ((*WEB1, "dns", "web", 0), "Example.com", "servers.web1.dns.web[0]", '"Example.com" must be lower case'),
    (
        (*WEB1, "dns", "web", 0),
        "münchen.de",
        "servers.web1.dns.web[0]",
        '"münchen.de" is not ASCII; write its ASCII',
    ),
    (
        (*WEB1, "dns", "web", 0),
        f"{'a' * 64}.de",
        "servers.web1.dns.web[0]",
        '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    ),
    (
        (*WEB1, "dns", "web"),
        "example.com",
        "servers.web1.dns.web",
        "must be a list, not text; write e.g. web: [",
    ),
    (
        (*BLOG, "memory"),
        256,
        "applications.blog.memory",
        "must be text, but YAML read it as a whole number; write it",
    ),
    (
        (*BLOG, "memory"),
        "256q",
        "applications.blog.memory",
        '"256q" is not an amount of memory; write e.g. "256m"',
    ),
    ((*BLOG, "memory"), "9999g", "applications.blog.memory", '"9999g" is out of range; write "6m" to "1024g"'),
    ((*BLOG, "command"), ["a\0b"], "applications.blog.command[0]", "holds a character that no program can be given"),
    (
        (*BLOG, "tmpfs"),
        {"tmp": "size=1m"},
        "applications.blog.tmpfs.tmp",
        '"tmp": paths are absolute and without "..";',
    ),
    (
        (*BLOG, "health", "test"),
        ["pg_isready"],
        "applications.blog.health.test",
        'is not a health command; write ["CMD", "pg_isready"] (program and arguments), ["CMD-SHELL", ',
    ),
    ((*BLOG, "health", "test"), ["CMD"], "applications.blog.health.test", "is not a health command; write"),
    (
        (*BLOG, "build_args"),
        {"b c": "x"},
        'applications.blog.build_args["b c"]',
        "not a usable name of a build argument; write letters,",
    ),
    (
        (*BLOG, "env", "since"),
        "2026-11-25 00:00:00 +0000 UTC",  # what Pulumi makes of an unquoted 2026-11-25
        "applications.blog.env.since",
        "YAML read this as a date or a time, which is handed over in another spelling; write it in quotes",
    ),
    ((*BLOG, "env", "x"), "y" * 200_000, "applications.blog.env.x", "has 200000 bytes, and a program can be given"),
    (("secrets", "x"), "y" * 200_000, "secrets.x", "has 200000 bytes, and a program can be given"),
    (("applications", "mail", "image"), "mail:", "applications.mail.image", '"mail:" is not an image name; write e.g.'),
    (
        (*BLOG, "cpus"),
        "abc",
        "applications.blog.cpus",
        '"abc" is not a number of processors; write e.g. "0.5"',
    ),
    ((*BLOG, "cpus"), float("nan"), "applications.blog.cpus", "nan is not a number of processors; write"),
    (
        (*BLOG, "restart"),
        False,
        "applications.blog.restart",
        "YAML reads an unquoted yes, no, on or off as true",
    ),
    (
        (*BLOG, "command"),
        "run me",
        "applications.blog.command",
        "must be a list, not text; write e.g. command: [",
    ),
    (
        (*BLOG, "capabilities"),
        ["ALL"],
        "applications.blog.capabilities[0]",
        '"ALL" is not accepted; name the few',
    ),
    (
        (*BLOG, "capabilities"),
        ["CAP_CHOWN"],
        "applications.blog.capabilities[0]",
        '"CAP_CHOWN" is not a capability;',
    ),
    (
        ("applications", "haproxy-door"),
        {"build_dir": "NginxStatic"},
        "applications.haproxy-door",
        "haproxy-door is what holds the addresses and ports of the proxy haproxy; call this one something else",
    ),
    (
        (*BLOG, "health", "interval"),
        "5",
        "applications.blog.health.interval",
        '"5" is not a duration; write e.g.',
    ),
    (
        (*BLOG, "health"),
        {"interval": "30s"},
        "applications.blog.health.interval",
        "is of test, and there is none; write the command of the image as well: test: [CMD, /usr/local/bin/healthy.sh]",
    ),
    ((*BLOG, "health"), {"retries": 5}, "applications.blog.health.retries", "is of test, and there is none; write"),
    (
        (*BLOG, "health", "path"),
        "up",
        "applications.blog.health.path",
        '"up" is not a path; write it from "/" on',
    ),
    ((*BLOG, "health", "path"), "/a'b", "applications.blog.health.path", '"/a\'b" is not a path; write it from "/" on'),
    (
        (*BLOG, "env", "Debug"),
        "x",
        "applications.blog.env.Debug",
        "environment names are written in lower case; wr",
    ),
    (
        (*BLOG, "env", "x"),
        1.1,
        "applications.blog.env.x",
        "this number may not reach the container as it was writt",
    ),
    (
        (*BLOG, "env", "x"),
        {},
        "applications.blog.env.x",
        "must be text, a whole number, true, false or a list",
    ),
    (
        ("applications", "Blog_2"),
        {"image": "x"},
        "applications.Blog_2",
        '"Blog_2" is not a usable name; write',
    ),
    (("applications", "x"), None, "applications.x", "is empty; write its settings indented below its name"),
    (("applications", 5), {}, "applications.5", "this key is a whole number, not text; write it in quotes"),
    (
        ("applications", True),
        {},
        "applications.true",
        "this key is true or false, not text (YAML reads an unquoted",
    ),
    (("sercets",), {}, "sercets", 'unknown setting; did you mean "secrets"?'),
    (("secrets", "x"), 12, "secrets.x", "must be text, not a whole number; write it in quotes"),
    # options
    ((*BLOG, "memory"), "1.5x", "applications.blog.memory", '"1.5x" is not an amount of memory; write e.g. "256m" or'),
    (
        (*BLOG, "memory"),
        "1.0001g",
        "applications.blog.memory",
        '"1.0001g" is no whole number of MiB; write e.g. "1024m"',
    ),
    (
        (*BLOG, "shm_size"),
        128,
        "applications.blog.shm_size",
        "must be text, but YAML read it as a whole number; write it",
    ),
    (
        (*BLOG, "entrypoint"),
        "serve",
        "applications.blog.entrypoint",
        "must be a list, not text; write e.g. entrypoint: [",
    ),
    ((*BLOG, "entrypoint"), [], "applications.blog.entrypoint", "is empty; name the program, or leave it out for"),
    ((*BLOG, "entrypoint"), [""], "applications.blog.entrypoint[0]", "is empty, and Docker takes no empty word here"),
    ((*BLOG, "working_dir"), "srv", "applications.blog.working_dir", '"srv": paths are absolute and without ".."'),
    ((*BLOG, "hostname"), "a_b", "applications.blog.hostname", '"a_b" is not a host name; write letters, digits and'),
    (
        (*BLOG, "ulimits"),
        {"nofiles": 1},
        "applications.blog.ulimits.nofiles",
        '"nofiles" is not a limit; did you mean "nofile"?',
    ),
    (
        (*BLOG, "ulimits"),
        {"core": "0"},
        "applications.blog.ulimits.core",
        "is not a limit; write a number (-1: none), or",
    ),
    (
        (*BLOG, "ulimits"),
        {"core": {"soft": 2, "hard": 1}},
        "applications.blog.ulimits.core",
        "its soft limit 2 is above its hard one 1; write at most 1",
    ),
    (
        (*BLOG, "ulimits"),
        {"nofile": -1},
        "applications.blog.ulimits",
        "nofile is a number of open files; write 0 to 1048576",
    ),
    (
        (*BLOG, "sysctls"),
        {"vm.overcommit_memory": 1},
        'applications.blog.sysctls["vm.overcommit_memory"]',
        "\"vm.overcommit_memory\" is the whole server's, not a container's; leave it out, or write it into playbooks/",
    ),
    (
        (*BLOG, "sysctls"),
        {"net.core.rmem_max": 1},
        'applications.blog.sysctls["net.core.rmem_max"]',
        '"net.core.rmem_max" is the whole server\'s',
    ),
    ((*BLOG, "sysctls"), ["a=1"], "applications.blog.sysctls", "must be a map, not a list; write e.g. sysctls: {"),
    ((*BLOG, "devices"), ["tun"], "applications.blog.devices[0]", '"tun" is not a device; write "/dev/net/tun", or'),
    (
        (*BLOG, "devices"),
        ["/dev/vda1"],
        "applications.blog.devices[0]",
        '"/dev/vda1" is refused: whoever has /dev/vda1 may',
    ),
    (
        (*BLOG, "devices"),
        ["/dev/mem"],
        "applications.blog.devices[0]",
        '"/dev/mem" is refused: whoever has /dev/mem may',
    ),
    *(
        ((*BLOG, "devices"), [path], "applications.blog.devices[0]", f'"{path}" is refused: whoever has {tidy} may')
        for path, tidy in {
            "/dev//vda": "/dev/vda",
            "/dev/./vda:/dev/x": "/dev/vda",
            "/dev/mmcblk0": "/dev/mmcblk0",
            "/dev/hvc0": "/dev/hvc0",
            "/dev/ttyS0": "/dev/ttyS0",
            "/dev/vcs1": "/dev/vcs1",
            "/dev/watchdog": "/dev/watchdog",
            "/dev/loop-control": "/dev/loop-control",
            "/dev/disk/by-id/x": "/dev/disk/by-id/x",
            "/dev/net/tun/../../vda1".replace("/../..", "//."): "/dev/net/tun/vda1",
        }.items()
    ),
    ((*BLOG, "devices"), ["/dev/fuse::"], "applications.blog.devices[0]", '"/dev/fuse::" is not a device; write'),
    (
        (*BLOG, "group_add"),
        ["a b"],
        "applications.blog.group_add[0]",
        '"a b" is not a group; write its number, or its name',
    ),
    (
        (*BLOG, "extra_hosts"),
        {"a.example.com": "2001:db8::1"},
        'applications.blog.extra_hosts["a.example.com"]',
        '"2001:db8::1" is IPv6, which the Docker plugin can\'t keep here; give the name a record under zones',
    ),
    (
        (*BLOG, "extra_hosts"),
        {"host.docker.internal": "host-gateway"},
        'applications.blog.extra_hosts["host.docker.internal"]',
        "is refused: no container reaches its own server; what has to be reached runs as an application",
    ),
    ((*BLOG, "nameservers"), ["127.0.0.1"], "applications.blog.nameservers[0]", '"127.0.0.1" is the container itself'),
    (
        (*BLOG, "labels"),
        {"apiary.stack": "x"},
        'applications.blog.labels["apiary.stack"]',
        '"apiary.stack" is this program',
    ),
    (
        (*BLOG, "labels"),
        {"traefik.enable": True},
        'applications.blog.labels["traefik.enable"]',
        "nobody goes by it here: a site is made by env: {domains: [...], http_port: ...}; take it out",
    ),
    (
        (*BLOG, "stop_signal"),
        "QUIT",
        "applications.blog.stop_signal",
        '"QUIT" is not a signal that stops a program; did you',
    ),
    ((*BLOG, "pids_limit"), 0, "applications.blog.pids_limit", "0 is too small; write at least 1"),
    ((*BLOG, "init"), "yes", "applications.blog.init", "must be true or false, not text; write e.g. init: false"),
    (
        (*BLOG, "ports"),
        ["80-82:80-83"],
        "applications.blog.ports[0]",
        '"80-82:80-83" has not as many ports on both sides',
    ),
    (
        (*BLOG, "ports"),
        ["1000-2000"],
        "applications.blog.ports[0]",
        '"1000-2000" is 1001 ports, and 500 can be published',
    ),
    (
        (*BLOG, "ports"),
        ["20-30"],
        "applications.blog.ports[0]",
        "port 22/tcp is the server's own, for SSH; write another",
    ),
    (
        (*BLOG, "volumes"),
        ["/var/run/docker.sock:/s"],
        "applications.blog.volumes[0]",
        '"/var/run/docker.sock:/s" would hand the container the whole server, as by its Docker socket;',
    ),
    # passwords
    (
        ("applications", "postgres", "passwords"),
        {"adminpass": "hunter3"},
        "applications.postgres.passwords.adminpass",
        "is no reference to a secret; write _secrets^NAME, and set NAME with pulumi config set --secret",
    ),
    (
        ("applications", "postgres", "passwords"),
        {"blogg": "_secrets^mail_password"},
        "applications.postgres.passwords.blogg",
        "is no password of",
    ),
    # files
    (
        (*BLOG, "files"),
        {"etc": {"content": ""}},
        "applications.blog.files.etc",
        '"etc": paths are absolute and',
    ),
    ((*BLOG, "files"), {"/x": "a"}, 'applications.blog.files["/x"]', "must be a map, not text; write {content:"),
    ((*BLOG, "files"), {"/x": {}}, 'applications.blog.files["/x"]', "needs one of content and from; write {content:"),
    (
        (*BLOG, "files"),
        {"/x": {"contents": ""}},
        'applications.blog.files["/x"]',
        '"contents" is not known of a file',
    ),
    (
        (*BLOG, "files"),
        {"/x": {"content": 5}},
        'applications.blog.files["/x"]',
        "its content must be text, not a whole",
    ),
    ((*BLOG, "files"), {"/x": {"from": "../x"}}, 'applications.blog.files["/x"]', 'from "../x" is not a path of the'),
    ((*BLOG, "files"), {"/x": {"from": "/etc"}}, 'applications.blog.files["/x"]', 'from "/etc" is not a path of the'),
    (
        (*BLOG, "files"),
        {"/x": {"from": "x"}},
        'applications.blog.files["/x"]',
        "x is not in the checkout; put",
    ),
    (
        (*BLOG, "files"),
        {"/x": {"content": "", "mode": 256}},
        'applications.blog.files["/x"]',
        "its mode must be three or four octal digits in quotes, with a 0 in front; write mode: ",
    ),
    (
        (*BLOG, "files"),
        {"/x": {"content": "", "user": "www-data"}},
        'applications.blog.files["/x"]',
        'its user "www-data" is no number, and names are the image\'s; write user: "1000:1000"',
    ),
    (
        (*BLOG, "files"),
        {"/x": {"content": "url: redis://$postgres"}},
        'applications.blog.files["/x"]',
        'holds "$postgres", which is no reference within text; write "${$postgres}"',
    ),
    (
        (*BLOG, "files"),
        {"/x": {"content": "${host}"}},
        'applications.blog.files["/x"]',
        'holds "${" and no reference behind it; write',
    ),
    # order
    (
        (*BLOG, "after"),
        ["mial"],
        "applications.blog.after[0]",
        '"mial" is neither an application nor a job; did you mean',
    ),
    (
        ("jobs", "hasetup", "run"),
        "manual",
        "jobs.hasetup.run",
        "jobs.certs waits for it, and no update runs it; leave run out",
    ),
    # environment
    (
        (*BLOG, "environment"),
        {"a=b": 1},
        'applications.blog.environment["a=b"]',
        "not a name of a variable; write one with",
    ),
    (
        (*BLOG, "environment"),
        {"": 1},
        'applications.blog.environment[""]',
        "not a name of a variable; write one without",
    ),
    (
        (*BLOG, "environment"),
        {"x": ["a"]},
        "applications.blog.environment.x",
        "a variable of environment is one text, not",
    ),
    (
        (*BLOG, "environment"),
        {"x": 1.5},
        "applications.blog.environment.x",
        "this number may not reach the container as it",
    ),
    (
        (*BLOG, "environment"),
        {"DEBUG": "1"},
        "applications.blog.environment.DEBUG",
        "is given by applications.blog.env.debug",
    ),
    (
        (*BLOG, "environment"),
        {"x": "_dbmap"},
        "applications.blog.environment.x",
        "means something in env alone; write it",
    ),
    (
        (*BLOG, "environment"),
        {"x": "$postgress"},
        "applications.blog.environment.x",
        '"$postgress" is not an application;',
    ),
    (
        (*BLOG, "env", "x"),
        "postgres://x:_postgres^password@db/x",
        "applications.blog.env.x",
        'holds "_postgres^password", which is no reference within text; write "${_postgres^password}", or put the',
    ),
    (
        (*BLOG, "env", "x"),
        "tcp://$postgres:5432",
        "applications.blog.env.x",
        'holds "$postgres", which is no reference',
    ),
    (
        (*BLOG, "env", "x"),
        "a _secrets^b",
        "applications.blog.env.x",
        'holds "_secrets^b", which is no reference within',
    ),
    (
        (*BLOG, "env", "x"),
        "tcp://${$postgress}:1",
        "applications.blog.env.x",
        '"$postgress" is not an application; did you',
    ),
    (
        (*BLOG, "env", "x"),
        "${HOME}/x",
        "applications.blog.env.x",
        'holds "${" and no reference behind it; write ${$app},',
    ),
    # ports and volumes
    (
        (*BLOG, "ports"),
        [484840],
        "applications.blog.ports[0]",
        "484840 is not a port (1 to 65535); if you wrote 8080",
    ),
    ((*BLOG, "ports"), [0], "applications.blog.ports[0]", "0 is out of range; write a port, 1 to 65535"),
    ((*BLOG, "ports"), ["1-2-3"], "applications.blog.ports[0]", '"1-2-3" is not a port; write 80, "8080:80"'),
    (
        (*BLOG, "ports"),
        ["1/sctp"],
        "applications.blog.ports[0]",
        '"1/sctp" names an unknown protocol; write "/tcp"',
    ),
    (
        (*BLOG, "ports"),
        ["22"],
        "applications.blog.ports[0]",
        "port 22/tcp is the server's own, for SSH; write",
    ),
    (
        (*BLOG, "ports"),
        [81, "81:82"],
        "applications.blog.ports[1]",
        "port 81/tcp of web1 is published by applicatio",
    ),
    (
        (*BLOG, "ports"),
        ["80:8080"],
        "applications.blog.ports[0]",
        "port 80/tcp of web1 is published by applications.",
    ),
    ((*BLOG, "volumes"), ["x"], "applications.blog.volumes[0]", '"x" is not a volume; write "name:/path"'),
    (
        (*BLOG, "volumes"),
        ["x:/a/../b"],
        "applications.blog.volumes[0]",
        '"x:/a/../b": paths are absolute and with',
    ),
    (
        (*BLOG, "volumes"),
        ["/var/run:/x"],
        "applications.blog.volumes[0]",
        '"/var/run:/x" would hand the container t',
    ),
    *(
        (
            (*BLOG, "volumes"),
            [f"{path}:/x"],
            "applications.blog.volumes[0]",
            f'"{path}:/x" would hand the container the w',
        )
        for path in (
            "/run/containerd/containerd.sock",
            "/proc/1/root/run/docker.sock",
            "/var//run/./docker.sock",
            "/var/lib/docker/",
            "/var/lib",
            "/var/lib/apiary/metrics",
            "/root/.ssh",
            "/etc",
            "/etc/cron.d/",
            "/etc/ssh",
            "/usr/bin/",
            "/sys/",
            "/dev/vda",
            "/boot/",
        )
    ),
    (
        (*BLOG, "volumes"),
        ["/etc/ssh:/x:ro"],
        "applications.blog.volumes[0]",
        '"/etc/ssh:/x:ro" would hand the container the whole server, as by its Docker socket; mount',
    ),
    (
        (*BLOG, "volumes"),
        ["/etc/x:/x"],
        "applications.blog.volumes[0]",
        '"/etc/x:/x" would hand the container the whole server, as by its Docker socket; only to be read',
    ),
    (
        (*BLOG, "volumes"),
        ["/:/x"],
        "applications.blog.volumes[0]",
        '"/:/x" would hand the container the whole ser',
    ),
    (
        (*BLOG, "volumes"),
        ["aa:/x", "bb:/x/"],
        "applications.blog.volumes[1]",
        "/x is taken by applications.blog.volumes[0]; mount one",
    ),
    # images and servers
    (
        (*BLOG, "image"),
        "nginx",
        "applications.blog.image",
        "build_dir and image exclude each other; leave one out",
    ),
    (
        ("jobs", "x"),
        {},
        "jobs.x",
        "has no image; write build_dir: (a folder of images/), image: (a name to pull) or git: (a repository)",
    ),
    (
        (*BLOG, "build_dir"),
        "Nginxstatic",
        "applications.blog.build_dir",
        '"Nginxstatic" is not a folder of images/;',
    ),
    (
        ("jobs", "certs", "build_args"),
        {"a": "b"},
        "jobs.certs.build_args",
        "only an image built from build_dir or git takes",
    ),
    # repositories
    (("jobs", "certs", "git"), {"url": SITE}, "jobs.certs.git", "image and git exclude each other; leave one out"),
    (("jobs", "x"), {"git": {}}, "jobs.x.git.url", 'missing; write e.g. url: "https://git.example.org/team/site.git"'),
    (
        ("jobs", "x"),
        {"git": {"url": "github.com:me/site.git", "key": "_secrets^mail_password", "host_key": HOST_KEY}},
        "jobs.x.git.url",
        '"github.com:me/site.git" names no user; write git@github.com:me/site.git, or https://github.com/me/site.git',
    ),
    (
        ("jobs", "x"),
        {"git": {"url": "ssh://git.example.org/x", "key": "_secrets^mail_password", "host_key": HOST_KEY}},
        "jobs.x.git.url",
        '"ssh://git.example.org/x" names no user; write "ssh://git@git.example.org/x"',
    ),
    (
        ("jobs", "x"),
        {"git": {"url": "git@github.com:me/site.git", "key": "_secrets^mail_password"}},
        "jobs.x.git.host_key",
        'a repository by SSH needs it; write host_key: "ssh-ed25519 ..." of its server',
    ),
    (
        ("jobs", "x"),
        {"git": {"url": "git@github.com:me/site.git", "host_key": HOST_KEY}},
        "jobs.x.git.key",
        "a repository by SSH needs it; write key: _secrets^NAME (a deploy key)",
    ),
    (("jobs", "x"), {"git": {"url": SITE, "host_key": HOST_KEY}}, "jobs.x.git.host_key", "is of a repository by SSH;"),
    (("jobs", "x"), {"git": {"url": "git://git.example.org/x"}}, "jobs.x.git.url", '"git://" is not used here; write'),
    (("jobs", "x"), {"git": {"url": "https://git.example.org"}}, "jobs.x.git.url", '"https://git.example.org" is not'),
    (
        ("jobs", "x"),
        {"git": {"url": "https://me:hunter2@git.example.org/x"}},
        "jobs.x.git.url",
        "holds a password, which would be kept in plain text; take it out, and for a private one secret: _secrets^NAME",
    ),
    (("jobs", "x"), {"git": {"url": SITE, "ref": "x"}}, "jobs.x.git.ref", "unknown setting; write branch, tag or c"),
    (("jobs", "x"), {"git": {"url": SITE, "branch": "a b"}}, "jobs.x.git.branch", '"a b" is not the name of a branch'),
    (
        ("jobs", "x"),
        {"git": {"url": SITE, "branch": "--upload-pack=x"}},
        "jobs.x.git.branch",
        '"--upload-pack=x" is not the name of a branch or tag; write e.g. "main"',
    ),
    (
        ("jobs", "x"),
        {"git": {"url": SITE, "branch": "refs/heads/main"}},
        "jobs.x.git.branch",
        '"refs/heads/main" is a whole ref; write the bare name, "main"',
    ),
    (("jobs", "x"), {"git": {"url": SITE, "tag": 1.1}}, "jobs.x.git.tag", "must be text, but YAML read it as a number"),
    (
        ("jobs", "x"),
        {"git": {"url": SITE, "commit": "0a1b2c3"}},
        "jobs.x.git.commit",
        '"0a1b2c3" is not a whole commit; write its 40 digits',
    ),
    (
        ("jobs", "x"),
        {"git": {"url": SITE, "branch": "main", "tag": "v1"}},
        "jobs.x.git.tag",
        "branch and tag exclude each other; leave one out",
    ),
    (
        ("jobs", "x"),
        {"git": {"url": SITE, "dir": "../x"}},
        "jobs.x.git.dir",
        '"../x" is not a folder of the repository',
    ),
    (("jobs", "x"), {"git": {"url": SITE, "dir": "/x"}}, "jobs.x.git.dir", '"/x" is not a folder of the repository; '),
    (
        ("jobs", "x"),
        {"git": {"url": SITE, "secret": "ghp_hunter2"}},
        "jobs.x.git.secret",
        "is no reference to a secret; write _secrets^NAME, and set NAME with pulumi config set --secret",
    ),
    (
        ("jobs", "x"),
        {"git": {"url": SITE, "secret": "_secrets^mail_pasword"}},
        "jobs.x.git.secret",
        '"mail_pasword" is not a secret; did you mean "_secrets^mail_password"?',
    ),
    (
        ("jobs", "x"),
        {"git": {"url": "http://git.example.org/x", "secret": "_secrets^mail_password"}},
        "jobs.x.git.url",
        "http:// would show the token to everybody on the way; write https://",
    ),
    ((*BLOG, "server"), "web2", "applications.blog.server", '"web2" is not a server; did you mean "web1"?'),
    (
        (*WEB1, "playbook"),
        "wep.yml",
        "servers.web1.playbook",
        '"wep.yml" is not a file of playbooks/; did you mean',
    ),
    (
        ("jobs", "blog"),
        {"image": "x"},
        "jobs.blog",
        '"blog" is an application too; give the job another name',
    ),
    (
        ("applications", "secrets"),
        {"image": "x"},
        "applications.secrets",
        '"secrets" means the stack\'s secrets',
    ),
    # order
    (
        ("jobs", "certs", "after"),
        ["hassetup"],
        "jobs.certs.after[0]",
        '"hassetup" is neither an application nor a job',
    ),
    (
        ("jobs", "certs", "after"),
        ["certs"],
        "jobs.certs.after[0]",
        "nothing can come after itself; take it out",
    ),
    (
        ("jobs", "hasetup", "after"),
        ["certs"],
        "jobs.certs",
        "these wait for each other: certs needs hasetup needs",
    ),
    # addresses
    (
        (*DOCKER, "static_web"),
        7210,
        "servers.web1.ipv6.docker.static_web",
        "YAML read this suffix as the number 7210",
    ),
    (
        (*DOCKER, "static_web"),
        "3:0:a",
        "servers.web1.ipv6.docker.static_web",
        "3:0:a lies outside servers.web1.ipv6",
    ),
    (
        (*DOCKER, "static_web"),
        "2:0:1",
        "servers.web1.ipv6.docker.static_web",
        "2:0:1 is the network's own or its gat",
    ),
    (
        (*DOCKER, "static_web"),
        "2:8000:a",
        "servers.web1.ipv6.docker.static_web",
        "2:8000:a lies in the upper half",
    ),
    (
        (*DOCKER, "suffix_bridge"),
        "2:0:0/96",
        "servers.web1.ipv6.docker.suffix_net",
        "2:0:0/96 and suffix_bridge",
    ),
    (
        (*DOCKER, "suffix_bridge"),
        "1::/96",
        "servers.web1.ipv6.docker.suffix_bridge",
        '"1::/96" is not a suffix; wr',
    ),
    (
        ("applications", "mail", "static_ipv6"),
        "2:0:a",
        "applications.mail.static_ipv6",
        "2:0:a is taken by servers.",
    ),
    (
        (*BLOG, "static_ipv6"),
        "2:0:b",
        "applications.mail.static_ipv6",
        "2:0:b is taken by applications.blog.static",
    ),
    (
        ("applications", "mail", "ipv6_web"),
        True,
        "applications.mail.static_ipv6",
        "ipv6_web gives this application an",
    ),
    (
        (*BLOG, "ipv6_web"),
        True,
        "applications.blog.ipv6_web",
        "haproxy has the static web address of web1 already",
    ),
    (
        ("applications", "haproxy", "ipv6_web"),
        False,
        "servers.web1.dns.web",
        "no application of this server takes the",
    ),
    (
        (*WEB1, "ipv4_net"),
        "172.17.0.0/24",
        "servers.web1.ipv4_net",
        "172.17.0.0/24 overlaps Docker's default bridge",
    ),
    (
        (*WEB1, "ipv4_net"),
        "192.168.150.0/24",
        "servers.web1.ipv4_net",
        "192.168.150.0/24 overlaps the private",
    ),
    # domains
    (
        (*WEB1, "dns", "web", 0),
        "www.example.com",
        "servers.web1.dns.web[0]",
        '"www.example.com": www. is added by',
    ),
    (
        (*WEB1, "dns", "web", 1),
        "co.uk",
        "servers.web1.dns.web[1]",
        '"co.uk" is a public suffix, under which others',
    ),
    (
        (*WEB1, "dns", "public", 0),
        "example.com",
        "servers.web1.dns.web[0]",
        '"example.com" is listed at servers.web1',
    ),
    (
        (*WEB1, "dns", "public", 0),
        "www.example.com",
        "servers.web1.dns.public[0]",
        '"www.example.com" leads to the we',
    ),
    (
        (*WEB1, "private_ip"),
        None,
        "servers.web1.dns.private",
        "the server has no private address for these names;",
    ),
    (
        (*BLOG, "env", "domains", 0),
        "exmple.com",
        "applications.blog.env.domains[0]",
        'no server answers for "exmple.com',
    ),
    (
        (*BLOG, "env", "domains"),
        "example.com",
        "applications.blog.env.domains",
        "must be a list such as [example.com]",
    ),
    (
        (*BLOG, "env", "http_port"),
        "x",
        "applications.blog.env.http_port",
        "is not a port the proxy could ask; write",
    ),
    (
        ("applications", "mail", "env"),
        {"domains": ["example.com"], "http_port": 80},
        "applications.mail.env.domains[0]",
        '"example.com" is served by applications.blog already; leave one out',
    ),
    # records
    (
        (*RECORDS, 0),
        {"type": "A", "data": "::1", "name": "x"},
        'zones["example.com"].records[0].data',
        '"::1" is not an',
    ),
    (
        (*RECORDS, 0),
        {"type": "MX", "data": "m.example.com", "ttl": 60},
        'zones["example.com"].records[0].priority',
        "missing; wr",
    ),
    (
        (*RECORDS, 0),
        {"type": "A", "data": "9.9.9.9"},
        'zones["example.com"].records[0]',
        'A of "example.com" follows fr',
    ),
    (
        (*RECORDS, 0),
        {"type": "CNAME", "data": "x.example.com", "name": "k"},
        'zones["example.com"].records[0]',
        "a CNAME",
    ),
    (
        (*RECORDS, 0),
        {"type": "TXT"},
        'zones["example.com"].records[0].data',
        'missing; write e.g. data: "mail.exampl',
    ),
    (
        (*RECORDS, 0),
        {"type": "TXT", "data": "x", "name": "@"},
        'zones["example.com"].records[0].name',
        '"@" is not used',
    ),
    (
        (*RECORDS, 0),
        {"type": "TXT", "data": "x", "name": "a.internal"},
        'zones["example.com"].records[0]',
        '"a.internal.',
    ),
    (
        (*RECORDS, 0),
        {"type": "SRV", "data": "5 70000 sip.example.com", "priority": 1, "name": "_sip._tcp"},
        'zones["example.com"].records[0].data',
        '"5 70000 sip.example.com" is not SRV data; write weight, port, target',
    ),
    (
        (*RECORDS, 0),
        None,
        'zones["example.com"].records[0]',
        'is empty; write e.g. {"type": "MX", "data": "mail.example.com", "priority": 10}, or leave it out',
    ),
    # renames
    ((*BLOG, "renamed_from"), "blog", "applications.blog.renamed_from", "is its name already; leave renamed_from out"),
    (
        (*BLOG, "renamed_from"),
        "postgres",
        "applications.blog.renamed_from",
        '"postgres" is still there, at applications.postgres; take that out, or leave renamed_from out',
    ),
    (
        ("jobs", "certs", "renamed_from"),
        "hasetup",
        "jobs.certs.renamed_from",
        '"hasetup" is still there, at jobs.hasetup',
    ),
    # what counts as healthy
    (
        (*BLOG, "health", "status"),
        "2xx",
        "applications.blog.health.status",
        '"2xx" is not a list of statuses; write them and their ranges, as in "200-399,401"',
    ),
    (
        (*BLOG, "health", "status"),
        "200-399,503",
        "applications.blog.health.status",
        '"503" is no status or range from 200 to 499, its lower end first; write "200-399"',
    ),
    ((*BLOG, "health", "status"), "399-200", "applications.blog.health.status", '"399-200" is no status or range'),
    ((*BLOG, "health", "status"), [200], "applications.blog.health.status", "must be text, not a list"),
    (
        ("applications", "postgres", "health"),
        {"path": "/up"},
        "applications.postgres.health.path",
        "is what a site is asked by, and this application has no env.domains; leave it out, or write",
    ),
    (
        ("applications", "postgres", "health"),
        {"status": "200"},
        "applications.postgres.health.status",
        "is what a site is asked by, and this",
    ),
    # words and spellings of others
    (
        (*WEB1, "ipv4_reserved"),
        True,
        "servers.web1.ipv4_reserved",
        "unknown setting; every IPv4 address is reserved; leave it out",
    ),
    (
        (*WEB1, "ipv6_reserved"),
        True,
        "servers.web1.ipv6_reserved",
        "unknown setting; it is called ipv6.reserved here; write ipv6: {reserved: true}",
    ),
    ((*WEB1, "reserved"), True, "servers.web1.reserved", "unknown setting; it is called ipv6.reserved here"),
    (
        (*WEB1, "plan"),
        "VC2-1C-2GB",
        "servers.web1.plan",
        '"VC2-1C-2GB" is written in lower case; write "vc2-1c-2gb"',
    ),
    (
        (*WEB1, "plan"),
        "vc2_1c_2gb",
        "servers.web1.plan",
        '"vc2_1c_2gb" is not an identifier; the provider writes lower-case letters, digits, dots and hyphens',
    ),
    (
        (*WEB1, "plan"),
        "vc2-1c-0.5gb-v6",
        "servers.web1.plan",
        '"vc2-1c-0.5gb-v6" has no IPv4 address, and every server reserves one; write another plan',
    ),
    ((*WEB1, "plan"), "vx1-g-2c-8g", "servers.web1.plan", '"vx1-g-2c-8g" has no disk of its own; write the one that'),
    ((*WEB1, "plan"), "vbm-4c-32gb", "servers.web1.plan", '"vbm-4c-32gb" is bare metal, which is not rented here;'),
    (
        (*RECORDS, 0),
        {"type": "TXT", "data": "gr\u00fc\u00dfe"},
        'zones["example.com"].records[0].data',
        "holds a character beyond ASCII, and DNS does not say how that is spelled; write",
    ),
    (
        ("applications", "renew"),
        {"image": "docker.io/certbot/certbot:v2.11.0"},
        "applications.renew",
        '"certbot/certbot" runs to its end, so it is a job here; move it to jobs',
    ),
    # references
    (
        (*BLOG, "command"),
        ["serve", "_postgres^password"],
        "applications.blog.command[1]",
        '"_postgres^password" is a reference, which means something in env and environment alone; write it into env,',
    ),
    (
        (*BLOG, "command"),
        ["serve", "$postgres"],
        "applications.blog.command[1]",
        '"$postgres" is a reference, which means something in env and environment alone; write the name itself,',
    ),
    (
        (*BLOG, "build_args"),
        {"TOKEN": "_postgres^adminpass"},
        "applications.blog.build_args.TOKEN",
        '"_postgres^adminpass" is a reference, which means something in env and environment alone; a build keeps',
    ),
    (
        (*BLOG, "env", "db_host"),
        "$postgress",
        "applications.blog.env.db_host",
        '"$postgress" is not an application; did you mean "$postgres"?',
    ),
    ((*BLOG, "env", "x"), "$hasetup", "applications.blog.env.x", '"hasetup" is a job; write "+hasetup"'),
    ((*BLOG, "env", "x"), "+blog", "applications.blog.env.x", '"blog" is an application; write "$blog"'),
    (
        (*BLOG, "env", "x"),
        "_secrets^mail_pasword",
        "applications.blog.env.x",
        '"_secrets^mail_pasword" is not a secret;',
    ),
    (
        (*BLOG, "env", "x"),
        "_postgers^password",
        "applications.blog.env.x",
        '"_postgers" is not an application; did you',
    ),
    (
        (*BLOG, "env", "x"),
        "$ x",
        "applications.blog.env.x",
        'starts with "$" but does not name an application; for pl',
    ),
]


@pytest.mark.parametrize(
    ("where", "value", "path", "message"), CASES, ids=[f"{case[2]}-{n}" for n, case in enumerate(CASES)]
)
def test_one_mistake_is_one_line_that_says_what_to_write(where, value, path, message):
    raw = good()
    put(raw, where, value)
    found = report(
        raw, build_dirs={"HAProxy", "HAProxySetup", "NginxStatic"}, playbooks={"web.yml"}, is_there=lambda _: False
    )
    assert list(found) == [path] or path.startswith("servers.web1.dns.web["), found
    assert found[path].startswith(message)


def test_what_only_looks_like_a_reference_is_a_plain_word_of_a_command():
    raw = good()
    put(raw, (*BLOG, "command"), ["+x", "$HOME", "_blog", "$$postgres", "date", "+%s"])
    assert settings.load(raw, name="test").applications["blog"].command[0] == "+x"


def test_every_kind_of_mistake_is_reported_at_once():
    raw = good()
    put(raw, (*BLOG, "buid_dir"), "X")
    put(raw, (*BLOG, "env", "db_host"), "$postgress")
    put(raw, (*WEB1, "os"), "x")
    put(raw, (*WEB1, "dns", "web", 1), "www.example.com")
    put(raw, ("jobs", "hasetup", "after"), ["certs"])
    put(raw, ("applications", "haproxy", "ports"), ["x", 80, 80])
    put(raw, ("secrets", "x"), 5)
    found = report(raw)
    assert {
        "applications.blog.buid_dir",
        "applications.blog.env.db_host",
        "applications.haproxy.ports[0]",
        "applications.haproxy.ports[2]",  # counted as written, though the first item could not be read
        "jobs.certs",
        "secrets.x",
        "servers.web1.dns.web[1]",
        "servers.web1.os",
    } <= set(found)


def test_a_mistake_has_no_echo_where_it_is_only_missed():
    raw = good()
    raw["applications"]["haproxy"] = {"buid_dir": "HAProxy", "ipv6_web": "yes", "ports": 80}
    assert set(report(raw)) == {
        "applications.haproxy.buid_dir",
        "applications.haproxy.ipv6_web",
        "applications.haproxy.ports",
    }


def test_a_section_that_is_no_map_is_told_what_to_write():
    raw = good() | {"servers": ["web1"], "secrets": "hunter2"}
    found = report(raw)
    assert found["servers"].startswith('must be a map, not a list; write e.g. servers: {"web1": {"plan": ')
    assert found["secrets"] == 'must be a map, not text; write e.g. secrets: {"mail_password": "..."}'


def test_what_has_to_be_there_is_not_offered_to_be_left_out():
    raw = good()
    put(raw, (*WEB1, "region"), None)
    put(raw, (*WEB1, "timezone"), None)
    assert report(raw) == {
        "servers.web1.region": 'is empty; write e.g. region: "ewr"',
        "servers.web1.timezone": 'is empty; write e.g. timezone: "Europe/Berlin", or leave it out',
    }


def test_another_place_is_named_as_the_stack_file_counts_it():
    """What could not be read is gone from the lists that are checked, and is still there in the file."""
    raw = good()
    put(raw, (*WEB1, "ssh_from"), ["x", "203.0.113.7", "203.0.113.7/32"])
    put(raw, (*WEB1, "dns", "public"), ["X", "web1.example.com", "web1.example.com"])
    put(raw, ("applications", "haproxy", "ports"), ["x", 80, 81])
    put(raw, ("applications", "mail", "open"), ["x", "tcp/25", "tcp/25"])
    put(raw, (*BLOG, "volumes"), ["x", "aa:/x", "bb:/x"])
    put(raw, (*BLOG, "ports"), [81])
    put(raw, RECORDS, [{}, {"type": "TXT", "data": "x"}, {"type": "TXT", "data": "x"}])
    found = report(raw)
    for path, other in {
        "servers.web1.ssh_from[2]": "servers.web1.ssh_from[1]",
        "servers.web1.dns.public[2]": "servers.web1.dns.public[1]",
        "applications.mail.open[2]": "applications.mail.open[1]",
        "applications.blog.volumes[2]": "applications.blog.volumes[1]",
        "applications.blog.ports[0]": "applications.haproxy.ports[2]",
        'zones["example.com"].records[2]': 'zones["example.com"].records[1]',
    }.items():
        assert other in found[path]


def test_a_record_without_a_usable_name_is_not_taken_for_one_of_the_zone_itself():
    raw = good()
    put(raw, RECORDS, [{"type": "A", "data": "9.9.9.9", "name": "a b"}, {"type": "A", "data": "9.9.9.9", "name": "ä"}])
    assert set(report(raw)) == {'zones["example.com"].records[0].name', 'zones["example.com"].records[1].name'}


def test_the_report_is_one_sorted_line_a_problem():
    raw = good()
    put(raw, ("applications", "b\nad"), {"image": "x", "k\ney": 1})
    put(raw, (*WEB1, "plan"), "a\nb")
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(raw, name="test")
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems) == 3
    assert lines == sorted(lines)


def test_no_secret_and_no_word_of_the_validator_is_shown():
    secret = "hunter2-hunter2"
    raw = good()
    put(raw, ("secrets", "a"), [secret])
    put(raw, ("secrets", secret.upper() + "!"), None)
    put(raw, (*BLOG, "env", "password"), f"${secret}")
    put(raw, (*BLOG, "env", "a"), {"b": secret})
    put(raw, (*BLOG, "env", "b"), f"_{secret}")
    put(raw, (*BLOG, "env", "c"), [secret, f"a,{secret}"])
    put(raw, (*BLOG, "env", "d"), f"$ {secret}")
    put(raw, (*BLOG, "build_args"), {"x": [secret]})
    put(raw, (*BLOG, "command"), secret)
    raw["jobs"]["x"] = secret
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(raw, name="test")
    shown = "".join(traceback.format_exception(caught.value))
    assert len(caught.value.problems) >= 9
    assert secret not in shown
    assert not any(word in shown.lower() for word in ("pydantic", "input_value", "validation", "https://", "[key]"))


@pytest.mark.parametrize("raw", [None, {}, {"servers": None}, {"servers": {}}])
def test_an_empty_file_asks_for_a_server(raw):
    assert report(raw)["servers"].startswith("missing; a stack needs at least one server")


def test_with_several_servers_each_container_names_its_own():
    raw = good()
    raw["servers"]["web2"] = {"plan": "p", "region": "ams", "os": 2136}
    found = report(raw)
    assert {f"applications.{name}.server" for name in raw["applications"]} <= set(found)
    assert found["jobs.certs.server"].startswith("missing; with several servers every container names its own: web1,")


def test_what_runs_on_another_server_is_out_of_reach():
    raw = good()
    raw["servers"]["web2"] = {"plan": "p", "region": "ams", "os": 2136}
    for section in ("applications", "jobs"):
        for container in raw[section].values():
            container["server"] = "web1"
    put(raw, ("jobs", "hasetup", "server"), "web2")
    put(raw, (*BLOG, "server"), "web2")
    found = report(raw)
    assert found["jobs.hasetup.env.haproxy_container"].startswith('"$haproxy" runs on web1, this container on web2')
    assert found["applications.blog.env.domains[0]"].startswith('"example.com" leads to web1, but this application')


def test_a_network_is_not_reserved_for_containers_that_have_no_address_in_it():
    raw = good()
    raw["servers"]["web1"]["ipv6"] = {"mode": "nat", "reserved": True}
    assert report(raw)["servers.web1.ipv6.reserved"].startswith("with mode: nat containers have private addresses")
    raw["servers"]["web1"]["ipv6"] = {"reserved": True}
    assert settings.load(raw, name="test").servers["web1"].ipv6.reserved


def test_server_private_addresses_differ():
    raw = good()
    raw["servers"]["web2"] = {"plan": "p", "region": "ams", "os": 2136, "private_ip": "192.168.150.10"}
    assert report(raw)["servers.web2.private_ip"].startswith("192.168.150.10 is taken by servers.web1.private_ip")


def test_one_name_becomes_only_one_other():
    raw = good()
    raw["applications"]["blog"]["renamed_from"] = "site"
    raw["applications"]["postgres"]["renamed_from"] = "site"
    assert report(raw) == {
        "applications.postgres.renamed_from": '"site" was renamed to applications.blog already; leave one of them out'
    }


def test_who_refers_to_an_old_name_is_told_the_new_one():
    raw = good()
    raw["applications"]["db"] = raw["applications"].pop("postgres") | {"renamed_from": "postgres"}
    raw["applications"]["blog"]["env"] |= {"db_host": "$postgres", "db_password": "_postgres:blog^password"}
    assert report(raw) == {
        "applications.blog.env.db_host": '"$postgres" is not an application; did you mean "$db"?',
        "applications.blog.env.db_password": '"_postgres" is not an application; did you mean "_db"?',
    }


def test_a_rename_takes_no_application_s_database_away():
    """The database is called as the application that asks, where it has no name of its own."""
    raw = good()
    raw["applications"]["weblog"] = raw["applications"].pop("blog") | {"renamed_from": "blog"}
    raw["applications"]["weblog"]["env"] |= {"db_password": "_postgres^password"}
    (found,) = report(raw).items()
    assert found == (
        "applications.weblog.env.db_password",
        'would ask for a new database called "weblog" now; to keep that of "blog" write "_postgres:blog^password"',
    )
    raw["applications"]["weblog"]["env"]["db_password"] = "_postgres:blog^password"
    settings.load(raw, name="test")
