"""Images are what they were: built where they were built."""

import pytest

from tests.unit.compose_kit import converted, entry, refused, verdicts

SHOP = """
services:
  web: {build: {context: ./app, target: web}, image: shop/app}
  worker: {image: "shop/app:latest", command: work, volumes: ["./app:/code"]}
  tool: {image: "shop/app:1"}
"""


def test_what_one_service_builds_is_built_for_those_that_name_its_image_and_not_pulled():
    done = converted(SHOP)
    assert refused(done) == {}
    assert entry(done, "worker")["build_dir"] == entry(done, "web")["build_dir"] == "App"
    assert entry(done, "worker")["target"] == "web"
    assert not {"image", "volumes"} & entry(done, "worker").keys()
    assert verdicts(done)["services.worker.image"][1] == "it is what web builds"
    assert entry(done, "tool")["image"] == "shop/app:1"


def test_what_is_built_without_a_context_is_built_from_the_project_s_folder_and_not_from_that_of_an_override():
    files = {
        "compose.yaml": "services: {web: {build: ./app}, own: {build: {target: x}}}",
        "more.yaml": "services: {web: {build: {target: y}}}",
    }
    done = converted(files, paths=("compose.yaml", "more.yaml"))
    assert refused(done) == {}
    assert (entry(done, "web")["build_dir"], entry(done, "web")["target"]) == ("App", "y")
    assert (entry(done, "own")["build_dir"], entry(done, "own")["target"]) == ("Shop", "x")


def test_a_socket_is_refused_with_the_way_to_keep_what_does_other_work_too():
    worker = "services: {worker: {image: sso, restart: always, volumes: ['/var/run/docker.sock:/var/run/docker.sock']}}"
    [(path, words)] = refused(converted(worker)).items()
    assert "--leave-out services.worker," in words
    assert "--leave-out 'services.worker.volumes[0]'" in words
    done = converted(worker, leave_out=(path,))
    assert refused(done) == {}
    assert "volumes" not in entry(done, "worker")


def test_what_every_server_has_of_its_own_is_mounted_and_not_copied():
    done = converted("services: {vpn: {image: x, restart: always, volumes: ['/lib/modules:/lib/modules:ro']}}")
    assert entry(done, "vpn")["volumes"] == ["/lib/modules/:/lib/modules:ro"]
    assert not any("/lib/modules" in step for step in done.told.todo)


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("/run/dbus:/run/dbus:ro", "is the server's own while it runs; leave it out by"),
        ("./conf/site:/etc/nginx/conf.d/site.template", "conf/site is not here to be read"),
    ],
)
def test_what_would_be_an_empty_folder_is_refused(mount, words):
    [(path, told)] = refused(
        converted(f"services: {{web: {{image: x, restart: always, volumes: ['{mount}']}}}}")
    ).items()
    assert path == "services.web.volumes[0]"
    assert words in told


def test_a_capability_that_reaches_beyond_the_container_is_told():
    done = converted("services: {vpn: {image: x, restart: always, cap_add: [NET_ADMIN, SYS_MODULE]}}")
    assert "server's kernel" in verdicts(done)["services.vpn.cap_add.SYS_MODULE"][1]
    assert entry(done, "vpn")["capabilities"][:2] == ["NET_ADMIN", "SYS_MODULE"]


@pytest.mark.parametrize(
    ("more", "is_root"),
    [
        ("", False),
        ("command: [redis-server, --save, '60']", False),
        ("command: --loglevel warning", False),
        ("command: [sh, -c, 'echo maxmemory 1gb > /etc/redis.conf; exec redis-server /etc/redis.conf']", True),
        ("entrypoint: [/start.sh]", True),
    ],
)
def test_an_official_image_runs_as_root_where_its_entrypoint_would_not_have_stepped_down(more, is_root):
    settings = entry(converted(f"services: {{cache: {{image: 'redis:7', restart: always, {more}}}}}"), "cache")
    assert ("user" in settings, "SETUID" in settings.get("capabilities", [])) == (not is_root, is_root)


@pytest.mark.parametrize(
    ("image", "mount", "is_root"),
    [
        ("postgres:16", "data:/var/lib/postgresql/data", False),
        ("postgres:16", "data:/var/lib/postgresql/data/pgdata", True),
        ("postgres:18", "data:/var/lib/postgresql", False),
        ("postgres:18-alpine", "data:/var/lib/postgresql/data", True),
        ("pgvector/pgvector:pg17", "./data:/var/lib/postgresql/data", False),
        ("timescale/timescaledb:2.26.4-pg17", "data:/var/lib/postgresql/data", False),
        ("timescale/timescaledb:latest-pg18", "data:/var/lib/postgresql/data", True),
        ("redis:7", "data:/data", False),
        ("redis:7", "data:/var/lib/redis", True),
        ("redis:7", "data:/usr/local/etc/redis:ro", False),
        ("redis:7", "/srv/redis:/var/lib/redis", False),  # a folder that is made is its user's
    ],
)
def test_an_official_image_begins_as_root_where_its_volume_would_be_root_s(image, mount, is_root):
    done = converted(f"""
services: {{one: {{image: "{image}", restart: always, volumes: ["{mount}"]}}}}
volumes: {{data: {{}}}}
""")
    assert ("user" in entry(done, "one"), "SETUID" in entry(done, "one").get("capabilities", [])) == (
        not is_root,
        is_root,
    )


@pytest.mark.parametrize(
    ("image", "folder", "user"),
    [
        ("timescale/timescaledb:2.26.4-pg17", "/var/lib/postgresql/data", "70:70"),  # on Alpine
        ("timescale/timescaledb-ha:pg17", "/home/postgres/pgdata/data", "1000:1000"),
        ("postgis/postgis:17-3.5-alpine", "/var/lib/postgresql/data", "70:70"),
    ],
)
def test_images_built_on_postgresql_s_run_as_their_own_user(image, folder, user):
    done = converted(f"services: {{db: {{image: '{image}', volumes: ['data:{folder}']}}}}\nvolumes: {{data: {{}}}}")
    assert entry(done, "db")["user"] == user
