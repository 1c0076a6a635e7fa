"""What is mounted holds what it held: no two data in one volume, none twice, no part in the place of the whole."""

import pytest

from operations.coming.files import Disk
from operations.coming.told import Outcome
from operations.compose import convert, project
from operations.compose.scene import Wish
from tests.unit.compose_kit import converted, entry, refused, verdicts


def test_what_is_called_alike_and_holds_something_else_has_a_volume_of_its_own():
    done = converted(
        "services: {a: {image: x, volumes: ['./data:/data', './a/b:/b', './a-b:/c', /cache]}, "
        "b: {image: y, volumes: ['data:/data', './data:/theirs', a-cache:/cache]}}\n"
        "volumes: {data: , a-cache: }"
    )
    assert refused(done) == {}
    assert entry(done, "a")["volumes"] == ["data-2:/data", "a-b:/b", "a-b-2:/c", "a-cache-2:/cache"]
    assert entry(done, "b")["volumes"] == ["data:/data", "data-2:/theirs", "a-cache:/cache"]
    assert "data-2 (now the folder data)" in "".join(done.told.todo)


NESTED = """
services:
  a: {image: x, volumes: ['/home:/host', './html:/html', './html/up:/up:ro', './html/site.conf:/site.conf:ro']}
  b: {image: y, volumes: ['./html/up:/up', './conf:/conf:ro', './conf/more:/more:ro', '/srv/x:/x', '/srv/x/y:/y']}
"""


def test_a_folder_within_another_one_that_is_mounted_is_no_volume_beside_it():
    files = {"compose.yaml": NESTED, "html/site.conf": "x", "conf/more/a": "y"}
    found = refused(converted(files))
    assert list(found) == ["services.a.volumes[2]", "services.b.volumes[0]"]
    assert "it lies in html, which is mounted too, and they would be two volumes here" in found["services.b.volumes[0]"]
    done = converted(files, leave_out=tuple(found))
    assert refused(done) == {}
    assert entry(done, "a")["volumes"] == ["/home/:/host", "html:/html"]
    assert entry(done, "b")["files"] == {
        "/conf": {"from": "config/shop/conf"}, "/more": {"from": "config/shop/conf/more"},
    }  # fmt: skip
    assert "later is not seen" in verdicts(done)["services.a.volumes[3]"][1]


def test_the_source_of_an_image_is_no_folder_around_others():
    done = converted("services: {a: {build: ., volumes: ['.:/code']}, b: {image: y, volumes: ['./static:/static']}}")
    assert refused(done) == {}
    assert entry(done, "b")["volumes"] == ["static:/static"]


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("{type: volume, source: data, target: /d, volume: {subpath: in}}", "have in in a volume of its own"),
        ("{type: bind, source: /srv/x, target: /x, bind: {propagation: rslave}}", "take the propagation out"),
        ("'/srv/x:/x:ro,rshared'", "take the propagation out"),
    ],
)
def test_an_option_that_makes_another_mount_of_it_is_refused(mount, words):
    done = converted(f"services: {{web: {{image: x, volumes: [{mount}]}}}}\nvolumes: {{data: }}")
    assert words in refused(done)["services.web.volumes[0]"]


def test_a_volume_that_begins_empty_is_told_and_a_folder_in_memory_keeps_size_and_mode():
    done = converted(
        "services: {web: {image: x, volumes: ['data:/d:nocopy', {type: tmpfs, target: /t, tmpfs: {size: 64mb, "
        "mode: 01777}}]}}\nvolumes: {data: }"
    )
    assert refused(done) == {}
    assert verdicts(done)["services.web.volumes[0].volume.nocopy"][0] is Outcome.DIFFERS
    assert entry(done, "web")["tmpfs"] == {"/t": "size=64m,mode=1777"}


@pytest.mark.parametrize("options", ["{type: tmpfs, device: tmpfs, o: size=10m}", "{type: btrfs}", "{o: uid=1000}"])
def test_a_volume_of_another_kind_is_refused(options):
    done = converted(
        f"services: {{web: {{image: x, volumes: ['data:/d']}}}}\nvolumes: {{data: {{driver_opts: {options}}}}}"
    )
    assert "volumes.data.driver_opts say another kind" in refused(done)["services.web.volumes[0]"]


def test_a_volume_that_is_a_folder_of_the_project_is_that_folder():
    done = converted(
        "services: {web: {image: x, volumes: ['data:/d']}}\n"
        "volumes: {data: {driver_opts: {type: none, o: bind, device: ./media}}}"
    )
    assert refused(done) == {}
    assert entry(done, "web")["volumes"] == ["media:/d"]


def test_a_secret_s_last_line_end_is_told():
    files = {"compose.yaml": "services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: ./s}}", "s": "hush-hush\n"}
    assert "without the end of its last line" in verdicts(converted(files))["services.web.secrets[0]"][1]


def test_a_file_that_is_no_text_is_kept_where_it_is_only_read(tmp_path):
    (tmp_path / "logo.ico").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "compose.yaml").write_text(
        "services: {web: {image: x, volumes: ['./logo.ico:/a.ico:ro', './logo.ico:/b.ico', 'data:/data']}}\n"
        "volumes: {data: }"
    )
    made = project.load([str(tmp_path / "compose.yaml")], Disk(), {})
    done = convert.convert(made, Disk(), Wish(), {})
    found = refused(done)
    assert list(found) == ["services.web.volumes[1]"]
    assert "logo.ico is no text; write logo.ico:/b.ico:ro if it is only read" in found["services.web.volumes[1]"]
    assert list(entry(done, "web")["files"]) == ["/a.ico"]
    assert entry(done, "web")["volumes"] == ["data:/data"]


def test_a_file_that_a_container_could_write_is_told_since_it_only_reads_it_here():
    done = converted({
        "compose.yaml": "services: {web: {image: x, volumes: ['./a.conf:/a.conf', './b.conf:/b.conf:ro']}}",
        "a.conf": "a", "b.conf": "b",
    })  # fmt: skip
    assert verdicts(done)["services.web.volumes[0]"][0] is Outcome.DIFFERS
    assert "can only read" in verdicts(done)["services.web.volumes[0]"][1]
    assert verdicts(done)["services.web.volumes[1]"][0] is Outcome.BECOMES


def test_a_file_beside_the_source_that_is_only_read_is_a_file():
    done = converted({
        "compose.yaml": "services: {web: {build: ./app, volumes: ['./app/a.conf:/etc/a.conf:ro', './app/src:/src']}}",
        "app/a.conf": "a",
    })  # fmt: skip
    assert list(refused(done)) == ["services.web.volumes[1]"]
    assert entry(done, "web")["files"] == {"/etc/a.conf": {"content": "a"}}


def test_the_projects_own_folder_is_one_volume_whoever_mounts_it():
    done = converted(
        "services:\n  web: {image: nginx, volumes: ['.:/srv']}\n  php: {image: php, volumes: ['.:/var/www', './x:/x']}"
        "\n  asks: {image: x, volumes: ['.:/srv:ro']}",
        leave_out=("services.php.volumes[1]",),
    )
    assert [entry(done, name)["volumes"] for name in ("web", "php", "asks")] == [
        ["shop:/srv"], ["shop:/var/www"], ["shop:/srv:ro"],
    ]  # fmt: skip
