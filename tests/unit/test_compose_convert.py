"""What becomes of each key of a compose file: a word of the stack file, nothing with a reason, or a remedy."""

from __future__ import annotations

import pytest

from operations.coming.errors import SourceError
from operations.coming.told import Outcome
from operations.compose import keys
from tests.unit.compose_kit import converted, entry, refused, variables, verdicts

A, B, D, N, C = Outcome.AS_IS, Outcome.BECOMES, Outcome.DIFFERS, Outcome.NEEDLESS, Outcome.CANNOT

# what a service says; where in it a verdict stands, which one; the setting of the entry that it is then
KEYS = [
    ("command: serve --name 'a b'", "command", A, ("command", ["serve", "--name", "a b"])),
    ("command: [serve, 8080]", "command", A, ("command", ["serve", "8080"])),
    ("entrypoint: /bin/tool --x", "entrypoint", A, ("entrypoint", ["/bin/tool", "--x"])),
    ("working_dir: /srv", "working_dir", A, ("working_dir", "/srv")),
    ("user: 1000", "user", A, ("user", "1000")),
    ("hostname: rabbit-1", "hostname", A, ("hostname", "rabbit-1")),
    ("read_only: true", "read_only", A, ("read_only", True)),
    ("tmpfs: [/run, '/tmp:size=64m']", "tmpfs", A, ("tmpfs", {"/run": "", "/tmp": "size=64m"})),
    ("stop_grace_period: 1m30s", "stop_grace_period", B, ("grace_seconds", 90)),
    ("stop_signal: quit", "stop_signal", A, ("stop_signal", "SIGQUIT")),
    ("init: true", "init", N, ("init", None)),
    ("init: false", "init", A, ("init", False)),
    ("mem_limit: 512M", "mem_limit", B, ("memory", "512m")),
    ("mem_limit: 1.5gb", "mem_limit", B, ("memory", "1536m")),
    ("mem_limit: 100000000", "mem_limit", D, ("memory", "96m")),
    ("memswap_limit: 1g", "memswap_limit", N, None),
    ("cpus: 0.5", "cpus", B, ("cpus", "0.5")),
    ("cpu_quota: 50000", "cpu_quota", B, ("cpus", "0.5")),
    ("cpu_shares: 512", "cpu_shares", N, None),
    ("pids_limit: 100", "pids_limit", B, ("pids_limit", 100)),
    ("pids_limit: -1", "pids_limit", N, ("pids_limit", None)),
    ("shm_size: 128mb", "shm_size", B, ("shm_size", "128m")),
    ("ulimits: {nofile: 1024, nproc: {soft: 1, hard: 2}}", "ulimits", A,
     ("ulimits", {"nofile": 1024, "nproc": {"soft": 1, "hard": 2}})),
    ("sysctls: [net.core.somaxconn=1024]", "sysctls", A, ("sysctls", {"net.core.somaxconn": "1024"})),
    ("devices: ['/dev/net/tun:/dev/net/tun']", "devices[0]", A, ("devices", ["/dev/net/tun"])),
    ("group_add: [video, 44]", "group_add", A, ("group_add", ["video", 44])),
    ("extra_hosts: ['ldap:192.0.2.1']", "extra_hosts.ldap", A, ("extra_hosts", {"ldap": "192.0.2.1"})),
    ("dns: 9.9.9.9", "dns", B, ("nameservers", ["9.9.9.9"])),
    ("labels: {com.example.team: shop}", "labels", A, ("labels", {"com.example.team": "shop"})),
    ("labels: [traefik.enable=true]", 'labels["traefik.enable"]', N, None),
    ("cap_add: [CAP_NET_ADMIN]\nuser: '5'", "cap_add", B, ("capabilities", ["NET_ADMIN"])),
    ("cap_drop: [ALL]", "cap_drop", N, ("capabilities", None)),
    ("security_opt: ['no-new-privileges:true']", "security_opt[0]", N, None),
    ("restart: always", "restart", A, ("restart", "always")),
    ("restart: on-failure:3", "restart", D, ("restart", "on-failure")),
    ("restart: unless-stopped", "restart", N, ("restart", None)),
    ("container_name: x", "container_name", N, None),
    ("expose: [80]", "expose", N, None),
    ("logging: {driver: syslog}", "logging", N, None),
    ("privileged: false", "privileged", N, None),
    ("ipc: private", "ipc", N, None),
    ("platform: linux/amd64", "platform", N, None),
    ("network_mode: bridge", "network_mode", N, None),
    ("tty: true", "tty", N, None),
    ("scale: 1", "scale", N, None),
    ("deploy: {resources: {limits: {cpus: '0.5', memory: 50M, pids: 5}}}", "deploy.resources.limits.memory", B,
     ("memory", "50m")),
    ("deploy: {resources: {reservations: {memory: 20M}}}", "deploy.resources.reservations", N, None),
    ("deploy: {restart_policy: {condition: on-failure}}", "deploy.restart_policy", A, ("restart", "on-failure")),
    ("deploy: {restart_policy: {condition: always}}", "deploy.restart_policy", A, ("restart", "always")),
    ("deploy: {restart_policy: {condition: unless-stopped}}\nrestart: always", "deploy.restart_policy", N,
     ("restart", None)),
    ("deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}", "deploy.restart_policy", D,
     ("restart", "on-failure")),
    ("depends_on: []", "depends_on", N, ("after", None)),
    ("depends_on: {job: {condition: service_started, restart: true}}", "depends_on.job.restart", D,
     ("after", ["job"])),
    ("deploy: {placement: {constraints: [x]}}", "deploy.placement", N, None),
    ("healthcheck: {test: pg_isready, interval: 5s, retries: 5, start_period: 1m}", "healthcheck.test", B,
     ("health", {"test": ["CMD-SHELL", "pg_isready"], "interval": "5s", "start_period": "60s", "retries": 5,
                 "timeout": 85})),
    ("healthcheck: {test: [NONE]}", "healthcheck.test", B, ("health", {"test": ["NONE"]})),
    ("healthcheck: {disable: true}", "healthcheck.disable", B, ("health", {"test": ["NONE"]})),
    ("healthcheck: {test: [CMD, x], timeout: 3s}", "healthcheck.timeout", D, None),
    ("ports: ['2222:22']", "ports[0]", B, ("ports", ["2222:22"])),
    ("ports: ['53:53/udp']", "ports[0]", B, ("ports", ["53/udp"])),
    ("ports: ['6379:6379']", "ports[0]", N, ("ports", None)),
    ("ports: ['127.0.0.1:25:25']", "ports[0]", N, ("ports", None)),
    ("ports: ['192.0.2.1:25:25']", "ports[0]", D, ("ports", [25])),
    ("volumes: [data:/data:ro]", "volumes[0]", A, ("volumes", ["data:/data:ro"])),
    ("volumes: ['data:/data:z']", "volumes[0]", A, ("volumes", ["data:/data"])),
    ("volumes: [/cache]", "volumes[0]", B, ("volumes", ["web-cache:/cache"])),
    ("volumes: ['./media:/media']", "volumes[0]", B, ("volumes", ["media:/media"])),
    ("volumes: ['./pages:/pages:ro']", "volumes[0]", B, ("files", {"/pages": {"from": "config/shop/pages"}})),
    ("volumes: ['/srv/media:/media']", "volumes[0]", B, ("volumes", ["/srv/media/:/media"])),
    ("volumes: ['/etc/localtime:/etc/localtime:ro']", "volumes[0]", B,
     ("volumes", ["/etc/localtime:/etc/localtime:ro"])),
    ("volumes: ['/etc/localtime:/etc/localtime']", "volumes[0]", B,
     ("volumes", ["/etc/localtime:/etc/localtime:ro"])),
    ("volumes: [{type: tmpfs, target: /x, tmpfs: {size: 64m}}]", "volumes[0]", B, ("tmpfs", {"/x": "size=64m"})),
    ("build: {context: 'https://github.com/me/app.git#main:web'}", "build.context", B,
     ("git", {"url": "https://github.com/me/app.git", "branch": "main", "dir": "web"})),
    ("build: ./app\nvolumes: ['./app:/code', /code/node_modules]", "volumes[0]", N, ("volumes", None)),
    ("build: .\nvolumes: ['./data:/data']", "volumes[0]", B, ("volumes", ["data:/data"])),
    ("ports: [{target: 9000, published: 9000, app_protocol: tcp}]", "ports[0]", B, ("ports", [9000])),
    ("build: ./web-app", "build.context", B, ("build_dir", "WebApp")),
    ("build: {context: ., args: [VERSION=1]}", "build.args", B, ("build_args", {"VERSION": "1"})),
]  # fmt: skip

# what a service says that has no word; where, and what is to be done
REFUSED = [
    ("privileged: true", "privileged", "it would be the whole server; take it out, and write the few it needs"),
    (
        "network_mode: host",
        "network_mode",
        "pass by the server's firewall; take it out, and publish its",
    ),
    ("network_mode: 'service:vpn'", "network_mode", "publish its ports itself"),
    ("volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']", "volumes[0]", "leave the service out by --leave-out"),
    ("volumes: ['/:/host:ro']", "volumes[0]", "is the server itself; give the container the one folder"),
    ("volumes: ['/root/docker/data:/data']", "volumes[0]", "put it elsewhere, such as /srv/docker/data"),
    ("volumes: ['/etc/pihole:/etc/pihole']", "volumes[0]", "such as /srv/pihole, or mount it to be read only"),
    ("ports: ['8834:8834']", "ports[0]", "the proxy speaks http with containers"),
    ("ports: ['7443:7443']", "ports[0]", "the proxy speaks http with containers"),
    ("volumes: ['./app.conf:/etc/app.conf']", "volumes[0]", "app.conf is not here to be read; put it there"),
    (
        "build: ./app\nvolumes: ['./app/src:/code/src']",
        "volumes[0]",
        "if it is source, or put it elsewhere if it is data",
    ),
    ("deploy: swarm", "deploy", "must be a map, not text; write e.g."),
    ("cpu_quota: much", "cpu_quota", "is not a duration; write e.g."),
    ("pid: host", "pid", "it would share what is the server's; take it out"),
    ("ipc: host", "ipc", "take it out"),
    ("userns_mode: host", "userns_mode", "take it out"),
    ("cap_add: [ALL]", "cap_add", "name the few that are needed"),
    ("security_opt: ['seccomp:unconfined']", "security_opt[0]", "take it out"),
    ("runtime: nvidia", "runtime", "take it out"),
    ("gpus: all", "gpus", "take it out"),
    ("deploy: {replicas: 3}", "deploy.replicas", "write web twice, by two names"),
    ("scale: 0", "scale", "leave the service out by --leave-out services.web"),
    ("extra_hosts: ['ldap:192.0.2.1', 'ldap:192.0.2.2']", "extra_hosts.ldap", "leave one of 192.0.2.1, 192.0.2.2"),
    (
        "mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}",
        "mem_limit",
        "another key for it says 2g; leave one",
    ),
    ("cpus: 1\ndeploy: {resources: {limits: {cpus: '2'}}}", "cpus", "another key for it says 2; leave one"),
    ("pids_limit: 1\ndeploy: {resources: {limits: {pids: 2}}}", "pids_limit", "another key for it says 2; leave one"),
    ("platform: linux/arm64", "platform", "name an image of that"),
    ("external_links: ['redis_1:redis']", "external_links[0]", "convert them together"),
    ("volumes_from: [other]", "volumes_from", "write the volumes of that service here as well"),
    ("domainname: example.com", "domainname", "write the whole name into hostname"),
    ("command: 'serve \"x'", "command", "has a quote that is not closed"),
    ("command: []", "command", "write what shall run"),
    ("build: {dockerfile_inline: FROM x}", "build.dockerfile_inline", "write it into a Dockerfile in the context"),
    ("build: {context: ., args: {API_TOKEN: t0ps3cret}}", "build.args.API_TOKEN", "have the program read it later"),
    ("comand: x", "comand", 'did you mean "command"?'),
    ("healthcheck: {test: [CMD, x], intervall: 1s}", "healthcheck.intervall", "correct it, or take it out"),
    ("ports: ['8080:80', '9090:90']", "ports[1]", "leave this one out by --leave-out 'services.web.ports[1]'"),
    ("ports: ['443:443']", "ports[0]", "the proxy speaks http with containers"),
    ("restart: sometimes", "restart", 'write "no", always'),
    ("ulimits: {nofile: many}", "ulimits", "write a whole number"),
    ("stop_grace_period: long", "stop_grace_period", "write e.g. 30s"),
    ("working_dir: srv", "working_dir", "applications.web.working_dir would be refused"),
    ("image: traefik:v3", "image", "leave the service out by --leave-out services.web"),
    ("ports: ['99999:22']", "ports[0]", "applications.web.ports[0] would be refused: "),
]


def service(text):
    image = "" if text.startswith(("image", "build")) else "image: registry.example.com/x\n"
    lines = "\n".join(f"    {line}" for line in (image + text).splitlines())
    other = "  job: {image: y}\n" if "job:" in text else ""
    return f"services:\n  web:\n{lines}\n{other}volumes: {{data: }}\n"


@pytest.mark.parametrize(("text", "where", "outcome", "setting"), KEYS, ids=[text for text, *_ in KEYS])
def test_each_key_is_said_or_told_why_not(text, where, outcome, setting):
    done = converted(service(text))
    assert refused(done) == {}
    assert verdicts(done)[f"services.web.{where}"][0] is outcome
    if setting:
        assert entry(done, "web").get(setting[0]) == setting[1]


@pytest.mark.parametrize(("text", "where", "remedy"), REFUSED, ids=[text for text, *_ in REFUSED])
def test_what_has_no_word_is_told_by_path_with_what_to_do(text, where, remedy):
    found = refused(converted(service(text)))
    assert remedy in found.get(f"services.web.{where}", f"missing: {found}")


@pytest.mark.parametrize(("text", "where", "remedy"), REFUSED, ids=[text for text, *_ in REFUSED])
def test_what_has_no_word_can_be_left_out(text, where, remedy):
    if where in ("image", "build"):
        return
    done = converted(service(text), leave_out=(f"services.web.{where}",))
    assert refused(done) == {}
    assert Outcome.LEFT_OUT in {one.outcome for one in done.told.verdicts}


def test_every_key_of_the_specification_has_a_row():
    # https://github.com/compose-spec/compose-spec/blob/main/05-services.md, and what versions 1 and 2 had beside it
    known = """annotations attach build blkio_config cpu_count cpu_percent cpu_shares cpu_period cpu_quota
    cpu_rt_runtime cpu_rt_period cpus cpuset cap_add cap_drop cgroup cgroup_parent command configs container_name
    credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname
    entrypoint env_file environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image
    init ipc isolation labels label_file links logging mac_address mem_limit mem_reservation mem_swappiness
    memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start
    pre_stop privileged provider pull_policy read_only restart runtime scale secrets security_opt shm_size
    stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts
    volumes volumes_from working_dir log_driver log_opt net volume_driver"""
    assert sorted(known.split()) == sorted(keys.KEYS)


def test_a_service_that_begins_as_root_gets_what_docker_gave_it_and_others_get_nothing():
    done = converted(
        "services: {a: {image: x}, b: {image: x, user: '1000'}, c: {image: x, cap_drop: [ALL], cap_add: [CHOWN]}, "
        "d: {image: 'redis:7-alpine'}, e: {image: x, cap_drop: [SETUID]}}"
    )
    assert entry(done, "a")["capabilities"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"]
    assert "capabilities" not in entry(done, "b")
    assert entry(done, "c")["capabilities"] == ["CHOWN"]
    assert entry(done, "d")["user"] == "999:1000"
    assert entry(done, "e")["capabilities"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID"]


def test_a_service_that_others_log_in_to_may_lock_them_in_and_what_else_docker_gave_is_told_once():
    done = converted(
        "services: {git: {image: x, ports: ['3000:3000', '2222:22']}, mail: {image: y, ports: ['25:25']}, "
        "web: {image: z}}"
    )
    assert "SYS_CHROOT" in entry(done, "git")["capabilities"]
    assert "SYS_CHROOT" in entry(done, "mail")["capabilities"]
    assert "SYS_CHROOT" not in entry(done, "web")["capabilities"]
    [words] = [one.words for one in done.told.verdicts if one.path == "services"]
    assert "not AUDIT_WRITE," in words
    assert "KILL" not in words
    assert "services" not in verdicts(converted("services: {web: {image: x, user: '1000'}}"))


def test_a_web_port_becomes_a_site_behind_the_proxy_which_comes_with_it():
    done = converted("services: {shop_app: {image: x, ports: ['8080:3000', '8443:443']}}")
    assert entry(done, "shop-app")["env"] == {"domains": ["shop-app.example.com"], "http_port": 3000}
    assert "ports" not in entry(done, "shop-app")
    assert verdicts(done)["services.shop_app.ports[1]"][0] is N
    assert done.domains == ["shop-app.example.com"]
    assert {one.name for one in done.entries} == {"shop-app", "haproxy", "hasetup", "certbot"}
    assert any("--domain shop_app=DOMAIN" in step for step in done.told.todo)


@pytest.mark.parametrize(
    "said",
    [
        "ports: ['80:80'], labels: ['traefik.http.routers.x.rule=Host(`Shop.Example.org`)']",
        "expose: [80], environment: {VIRTUAL_HOST: 'shop.example.org,www.shop.example.org'}",
        "image: x, labels: {caddy: shop.example.org, caddy.reverse_proxy: '{{upstreams 80}}'}",
        "ports: ['80:80'], environment: {BASE_URL: 'https://shop.example.org/'}",
        "ports: ['80:80', '8080:8080'], environment: {VIRTUAL_HOST: shop.example.org, VIRTUAL_PORT: 80}",
    ],
)
def test_the_domain_and_the_port_are_taken_from_what_told_another_proxy(said):
    rest = said if said.startswith("image") else f"image: x, {said}"
    done = converted(f"services: {{web: {{{rest}}}}}", leave_out=("services.web.ports[1]",) if "8080:" in said else ())
    assert refused(done) == {}
    assert entry(done, "web")["env"]["domains"] == ["shop.example.org"]
    assert entry(done, "web")["env"]["http_port"] == 80


@pytest.mark.parametrize(
    ("api", "site"),
    [
        ("labels: ['traefik.http.routers.x.rule=Host(`example.org`) && PathPrefix(`/api/`)']", None),
        (
            "labels: ['traefik.http.routers.x.rule=Host(`example.org`) && PathPrefix(`/api`)', "
            "'traefik.http.routers.x.middlewares=x', 'traefik.http.middlewares.x.stripprefix.prefixes=/api']",
            {"strip": True},
        ),
        ("environment: {VIRTUAL_HOST: example.org, VIRTUAL_PATH: /api/, VIRTUAL_DEST: /}", {"strip": True}),
        ("environment: {VIRTUAL_HOST: example.org, VIRTUAL_PATH: /api}", None),
    ],
)
def test_a_path_of_a_domain_that_another_proxy_led_to_it_is_led_to_it_here(api, site):
    done = converted(
        f"services: {{api: {{image: x, ports: ['80:80'], {api}}}, "
        "web: {image: x, ports: ['81:80'], environment: {VIRTUAL_HOST: example.org}}}"
    )
    assert refused(done) == {}
    assert entry(done, "api")["env"]["domains"] == ["example.org/api"]
    assert entry(done, "api").get("site") == site
    assert entry(done, "web")["env"]["domains"] == ["example.org"]
    assert done.domains == ["example.org"]


def test_a_path_that_can_t_be_said_here_is_refused():
    rule = "'traefik.http.routers.x.rule=Host(`example.org`) && PathPrefix(`/a b`)'"
    done = converted(f"services: {{api: {{image: x, ports: ['80:80'], labels: [{rule}]}}}}")
    assert any("letters, digits" in said for said in refused(done).values())


def test_the_path_that_the_health_command_asks_for_is_that_of_the_site():
    done = converted(
        "services: {web: {image: x, ports: ['80:8080'], "
        "healthcheck: {test: 'curl -f http://localhost:8080/healthz || exit 1'}}}"
    )
    assert entry(done, "web")["health"]["path"] == "/healthz"


DATABASE = """
services:
  db:
    image: {image}
    environment: {server}
  web:
    image: x
    environment: {client}
"""


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("{DB_HOST: db, DB_USER: me, DB_PASSWORD: s3cretpw, DB_NAME: shop}",
         {"DB_HOST": "$db", "DB_USER": "shop", "DB_PASSWORD": "_db^password", "DB_NAME": "shop"}),
        ("{PGHOST: db, PGUSER: me, PGPASSWORD: s3cretpw, PGDATABASE: shop}",
         {"PGHOST": "$db", "PGUSER": "shop", "PGPASSWORD": "_db^password", "PGDATABASE": "shop"}),
        ("{DB_HOST: db, DB_PASSWORD: another}", {"DB_HOST": "$db", "DB_PASSWORD": "_db^password"}),
        ("{DB_HOST: db, DB_PASSWORD: s3cretpw, DB_CONNECTION: postgres}",
         {"DB_HOST": "$db", "DB_PASSWORD": "_db^password", "DB_CONNECTION": "postgres"}),
    ],
)  # fmt: skip
def test_what_a_client_says_of_its_database_is_put_into_references(client, expected):
    server = "{POSTGRES_USER: me, POSTGRES_PASSWORD: s3cretpw, POSTGRES_DB: shop, PGDATA: /x}"
    done = converted(DATABASE.format(image="postgres:16", server=server, client=client))
    assert refused(done) == {}
    assert variables(done, "web") == expected
    assert entry(done, "web")["db"] == ["db:shop"]
    assert variables(done, "db") == {"PGDATA": "/x", "POSTGRES_PASSWORD": "_db^adminpass"}
    assert entry(done, "db")["user"] == "999:999"
    assert entry(done, "dbsetup") == {"build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}}
    assert "s3cretpw" not in str(done.sections)
    assert done.secrets == {}


def test_mysql_and_its_root_are_recognised_too():
    done = converted(
        DATABASE.format(
            image="mariadb:11",
            server="{MARIADB_ROOT_PASSWORD: rootpw123, MARIADB_DATABASE: blog}",
            client="{DB_HOST: db, DB_USER: root, DB_PASSWORD: rootpw123}",
        )
    )
    assert variables(done, "web") == {"DB_HOST": "$db", "DB_USER": "blog", "DB_PASSWORD": "_db^password"}
    assert variables(done, "db") == {"MARIADB_ROOT_PASSWORD": "_db^adminpass"}


def test_images_that_are_postgresql_by_another_name_say_what_they_are():
    client = "{DB_HOST: db, DB_PASSWORD: s3cretpw, DB_NAME: maps}"
    done = converted(
        DATABASE.format(image="postgis/postgis:16-3.4", server="{POSTGRES_PASSWORD: s3cretpw}", client=client)
    )
    assert entry(done, "db")["database"] == "postgresql"


def test_a_database_by_a_name_that_none_may_have_is_called_another_way_and_that_is_told():
    client = "{DB_HOST: db, DB_USER: postgres, DB_PASSWORD: s3cretpw, DB_NAME: postgres}"
    done = converted(DATABASE.format(image="postgres:16", server="{POSTGRES_PASSWORD: s3cretpw}", client=client))
    assert entry(done, "web")["db"] == ["db:web"]
    assert variables(done, "web")["DB_NAME"] == "web"
    assert verdicts(done)["services.web.environment.DB_NAME"][0] is D


def test_secrets_become_references_and_stand_nowhere_in_the_stack_file():
    done = converted(
        "services: {a: {image: x, environment: {SMTP_PASSWORD: letters-99, TOKEN_TTL: 3600, API_KEY: '', "
        "PUBLIC_KEY: abc, SECRET: 'true'}}, b: {image: x, environment: {MAIL_PASS: letters-99}}}"
    )
    assert variables(done, "a") == {
        "SMTP_PASSWORD": "_secrets^a_smtp_password", "TOKEN_TTL": "3600", "API_KEY": "", "PUBLIC_KEY": "abc",
        "SECRET": "true",
    }  # fmt: skip
    assert variables(done, "b") == {"MAIL_PASS": "_secrets^a_smtp_password"}
    assert done.secrets == {"a_smtp_password": "letters-99"}
    assert "letters-99" not in str(done.sections)
    told = refused(converted(
        "services: {a: {image: x, command: serve --key hush-hush-hush, environment: {APP_KEY: hush-hush-hush}}}"
    ))  # fmt: skip
    assert "would stand in it for all to read" in told["services.a.command"]


def test_text_that_looks_like_a_reference_stays_text():
    done = converted("services: {a: {image: x, environment: {A: '$$HOME', B: _x, C: +49, D: 'a _db^password'}}}")
    assert refused(done) == {}
    assert variables(done, "a")["A"] == "$$HOME"
    assert variables(done, "a")["B"] == "__x"


def test_a_service_that_ends_is_a_job_and_others_come_after_it():
    done = converted(
        "services: {own: {image: x, command: chown, user: '0'}, once: {image: x, restart: 'no'}, "
        "web: {image: x, restart: 'no', ports: ['80:80']}, last: {image: x, restart: 'no', "
        "depends_on: {own: {condition: service_completed_successfully}, web: {condition: service_healthy}}}}"
    )
    sections = {one.name: one.section for one in done.entries}
    assert sections["own"] == sections["once"] == sections["last"] == "jobs"
    assert sections["web"] == "applications"
    assert entry(done, "last")["after"] == ["own", "web"]
    assert refused(done) == {}


def test_a_job_is_told_of_those_that_come_after_it_and_waits_for_none_of_them():
    """A migration that has the application's whole environment, in which others stand that wait for it."""
    source = """\
services:
  migrate:
    image: x
    environment: &app {HUB: "http://hub:8080/a", HUB_HOST: hub, CUBE: "http://cube:1/$${hub}", MAIL_HOST: mail}
  hub: {image: y, depends_on: {more: {condition: service_completed_successfully}}}
  more: {image: y, depends_on: {migrate: {condition: service_completed_successfully}}, environment: {A_HOST: cube}}
  cube: {image: z}
  mail: {image: m}
  web: {image: x, environment: *app, depends_on: {migrate: {condition: service_completed_successfully}}}
"""
    done = converted(source)
    assert refused(done) == {}
    assert variables(done, "migrate") == {
        "HUB": "http://hub:8080/a", "HUB_HOST": "hub", "CUBE": "http://${$cube}:1/$${hub}", "MAIL_HOST": "$mail",
    }  # fmt: skip
    assert entry(done, "migrate")["reach"] == ["hub"]
    assert "after" not in entry(done, "migrate")
    assert variables(done, "more") == {"A_HOST": "$cube"}
    assert variables(done, "web")["HUB"] == "http://${$hub}:8080/a"
    assert "plain text" in verdicts(done)["services.migrate.environment"][1]


def test_what_a_profile_chooses_and_nobody_waits_for_is_run_by_hand():
    source = (
        "services: {web: {image: x, depends_on: {own: {condition: service_completed_successfully}}}, "
        "own: {image: x, profiles: [a]}, tool: {image: x, restart: 'no', profiles: [a]}, "
        "once: {image: x, restart: 'no'}}"
    )
    done = converted(source, profiles=("a",))
    assert {name: entry(done, name).get("run") for name in ("own", "tool", "once")} == {
        "own": None, "tool": "manual", "once": None,
    }  # fmt: skip


def test_passwords_are_kept_where_the_caller_says_so():
    client = "{DB_HOST: db, DB_USER: me, DB_PASSWORD: s3cretpw, DB_NAME: shop}"
    server = "{POSTGRES_USER: me, POSTGRES_PASSWORD: s3cretpw, POSTGRES_DB: shop}"
    done = converted(DATABASE.format(image="postgres:16", server=server, client=client), keep_passwords=True)
    assert refused(done) == {}
    assert entry(done, "db")["passwords"] == {"shop": "_secrets^db_shop"}
    assert done.secrets == {"db_shop": "s3cretpw"}
    mysql = "{MYSQL_ROOT_PASSWORD: r00tpw, MYSQL_PASSWORD: s3cretpw, MYSQL_USER: me, MYSQL_DATABASE: shop}"
    done = converted(DATABASE.format(image="mysql:8", server=mysql, client=client), keep_passwords=True)
    assert entry(done, "db")["passwords"] == {"shop": "_secrets^db_shop", "adminpass": "_secrets^db_adminpass"}


def test_a_database_that_only_a_configuration_names_is_made_and_its_password_told():
    done = converted(
        "services: {web: {image: x, depends_on: [db]}, db: {image: 'postgres:16', "
        "environment: {POSTGRES_USER: chat, POSTGRES_PASSWORD: pw123456}}}"
    )
    assert entry(done, "web")["db"] == ["db:chat"]
    assert any("put the generated password of db/chat" in step for step in done.told.todo)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("redis://:p%40ss-word@cache:6379/0", "redis://:${_secrets^web_v_password}@${$cache}:6379/0"),
        (
            "postgres://me:s3cretpw@db/shop?sslmode=disable",
            "postgres://shop:${_db^password}@${$db}/shop?sslmode=disable",
        ),
        ("mysql://me:s3cretpw@tcp(db:3306)/shop", "mysql://shop:${_db^password}@tcp(${$db}:3306)/shop"),
        ("host=db user=me password=s3cretpw dbname=shop", "host=${$db} user=shop password=${_db^password} dbname=shop"),
        ("cache:6379,cache:6380", "${$cache}:6379,${$cache}:6380"),
        (
            "http://cache:80/ and http://elsewhere.example.com/",
            "http://${$cache}:80/ and http://elsewhere.example.com/",
        ),
        ("jdbc:postgresql://db:5432/shop", "jdbc:postgresql://${$db}:5432/shop"),
        ("the cache is redis:7", "the cache is redis:7"),
        ("${x} and $${y}", "$${x} and $$${y}"),
    ],
)
def test_references_stand_inside_text(value, expected):
    done = converted({
        "compose.yaml": (
            "services: {cache: {image: 'redis:7'}, db: {image: 'postgres:16', environment: {POSTGRES_USER: me, "
            "POSTGRES_PASSWORD: s3cretpw, POSTGRES_DB: shop}}, web: {image: x, env_file: [{path: v.env, format: raw}]}}"
        ),
        "v.env": f"V={value}\n",
    })  # fmt: skip
    assert refused(done) == {}
    assert variables(done, "web")["V"] == expected
    assert done.secrets in ({}, {"web_v_password": "p@ss-word"})


def test_a_prefix_lets_a_second_project_into_a_stack_and_without_one_it_is_refused():
    stack = {
        "servers": {"web1": {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136}},
        "applications": {"redis": {"image": "redis:7", "user": "999:999", "volumes": ["data:/data"]}},
    }
    source = (
        "services: {redis: {image: 'redis:7', volumes: ['data:/data']}, web: {image: x, environment: "
        "{CACHE_HOST: redis, DRIVER: redis}, depends_on: [redis]}}\nvolumes: {data: }"
    )
    told = refused(converted(source, stack=stack))
    assert "--prefix NAME" in told["services.redis"]
    assert "--prefix NAME" in told["services.redis.volumes[0]"]
    done = converted(source, stack=stack, prefix="blog")
    assert entry(done, "blog-redis")["volumes"] == ["blog-data:/data"]
    assert variables(done, "blog-web") == {"CACHE_HOST": "$blog-redis", "DRIVER": "redis"}


def test_the_server_is_named_where_there_are_several():
    place = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136}
    stack = {"servers": {"web1": place, "web2": place}}
    source = "services: {web: {image: x}}"
    with pytest.raises(SourceError, match="--server: missing; the stack has several: web1, web2"):
        converted(source, stack=stack)
    with pytest.raises(SourceError, match='is no server; did you mean "web2"'):
        converted(source, stack=stack, server="web22")
    assert entry(converted(source, stack=stack, server="web2"), "web")["server"] == "web2"
    assert "server" not in entry(converted(source, server="shop1"), "web")
    assert converted(source, server="shop1").makes_server


def test_what_the_stack_has_already_is_not_made_twice():
    place = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "dns": {"web": ["example.com"]}}
    first = converted("services: {web: {image: x, ports: ['80:80']}}")
    stack = {**first.sections, "servers": {"web1": place | {"dns": {"web": ["web.example.com"]}}}}
    done = converted("services: {shop: {image: x, ports: ['80:80']}}", stack=stack)
    assert [one.name for one in done.entries] == ["shop"]


def test_a_service_that_the_proxy_replaces_is_told_once():
    done = converted("services: {web: {image: x}, edge: {image: 'traefik:3', volumes: ['/run/docker.sock:/x']}}")
    assert list(refused(done)) == ["services.edge.image", "services.edge.volumes[0]"]


def test_what_is_left_out_has_to_be_there():
    with pytest.raises(SourceError, match=r"services.web.prots: is left out by --leave-out, and there is nothing"):
        converted("services: {web: {image: x}}", leave_out=("services.web.prots",))
    done = converted("services: {web: {image: x, depends_on: [db]}, db: {image: y}}", leave_out=("services.db",))
    assert [one.name for one in done.entries] == ["web"]


def test_a_service_that_may_end_and_does_not_say_so_is_told():
    done = converted(
        "services: {buckets: {image: mc, depends_on: [store]}, store: {image: y}, web: {image: x, expose: [80]}, "
        "worker: {image: x, restart: always}, db: {image: 'postgres:16', environment: {POSTGRES_PASSWORD: x}}}"
    )
    told = {path: words for path, (outcome, words) in verdicts(done).items() if outcome is D}
    assert list(told) == ["services", "services.db.volumes", "services.buckets.restart"]
    assert 'if it is to end, write restart: "no"' in told["services.buckets.restart"]


def test_a_script_that_others_wait_for_until_it_is_healthy_may_end_after_that():
    done = converted(
        "services: {certs: {image: es, command: [sh, -c, 'certs; sleep 60'], healthcheck: {test: [CMD, ls, crt]}}, "
        "search: {image: es, depends_on: {certs: {condition: service_healthy}}, expose: [9200]}, "
        "cache: {image: 'valkey', healthcheck: {test: [CMD, valkey-cli, ping]}}}"
    )
    told = [path for path, (outcome, _) in verdicts(done).items() if outcome is D]
    assert told == ["services", "services.certs.restart"]


LEFT_OUT = """
services:
  edge: {image: traefik:3, volumes: [/run/docker.sock:/x]}
  web:
    image: x
    extra_hosts: ["ldap:192.0.2.1", "host.docker.internal:host-gateway"]
    devices: [/dev/net/tun, /dev/fuse, /dev/kvm]
    sysctls: {kernel.shmmax: 1}
    deploy: {resources: {limits: {memory: 50M, cpus: '0.5'}}}
"""


def test_what_is_left_out_is_not_written_whatever_it_is_an_item_of():
    paths = ("extra_hosts['host.docker.internal']", "devices[1]", "sysctls['kernel.shmmax']",
             "deploy.resources.limits.memory")  # fmt: skip
    paths = ("services.edge", "services.edge.volumes[0]", *(f"services.web.{path}".replace("'", '"') for path in paths))
    done = converted(LEFT_OUT, leave_out=paths)
    assert refused(done) == {}
    made = entry(done, "web")
    assert made["extra_hosts"] == {"ldap": "192.0.2.1"}
    assert made["devices"] == ["/dev/net/tun", "/dev/kvm"]
    assert made["cpus"] == "0.5"
    assert not {"sysctls", "memory"} & made.keys()


def test_a_folder_that_one_writes_and_another_reads_is_one_volume():
    done = converted(
        "services: {a: {image: x, volumes: ['./pub:/out']}, b: {image: y, "
        "volumes: ['./pub:/in:ro', './conf/:/conf:ro']}}"
    )
    assert entry(done, "a")["volumes"] == ["pub:/out"]
    assert entry(done, "b")["volumes"] == ["pub:/in:ro"]
    assert entry(done, "b")["files"] == {"/conf": {"from": "config/shop/conf"}}


def test_scripts_stay_executable_and_large_files_are_kept_beside_the_stack_file():
    files = {
        "compose.yaml": "services: {web: {image: x, volumes: ['./run.sh:/run.sh', './big.json:/big.json:ro']}}",
        "run.sh": "#!/bin/sh\n",
        "big.json": "x" * 40_000,
    }
    assert entry(converted(files), "web")["files"] == {
        "/run.sh": {"content": "#!/bin/sh\n", "mode": "0555"},
        "/big.json": {"from": "config/shop/big.json"},
    }


def test_files_that_are_mounted_are_written_into_the_stack_file():
    files = {
        "compose.yaml": (
            "services: {web: {image: x, volumes: ['./app.conf:/etc/app.conf:ro'], configs: [{source: c, target: /c, "
            "mode: 0440}], secrets: [s]}}\nconfigs: {c: {content: 'n = 1'}}\nsecrets: {s: {file: ./s.txt}}"
        ),
        "app.conf": "home = ${HOME}\n",
        "s.txt": "hush-hush\n",
    }
    done = converted(files)
    assert entry(done, "web")["files"] == {
        "/etc/app.conf": {"content": "home = $${HOME}\n"},
        "/c": {"content": "n = 1", "mode": "0440"},
        "/run/secrets/s": {"content": "${_secrets^s}"},
    }
    assert done.secrets == {"s": "hush-hush"}


LONG = "9" * 5000


@pytest.mark.parametrize("ports", [f"['{LONG}']", f"['{LONG}:80']", f"[{{target: '{LONG}'}}]"])
def test_a_number_of_thousands_of_digits_is_no_port(ports):
    with pytest.raises(SourceError, match=r"services.web.ports\[0\]: .*write e.g."):
        converted(f"services: {{web: {{image: x, ports: {ports}}}}}")


@pytest.mark.parametrize(
    "key", [f"ports: [{{target: 53, protocol: udp, published: '{LONG}'}}]", f"group_add: ['{LONG}']"]
)
def test_nor_is_it_anything_else(key):
    [(path, words)] = refused(converted(f"services: {{web: {{image: x, {key}}}}}")).items()
    assert path.startswith(f"services.web.{key.partition(':')[0]}")
    assert "would be refused" in words
