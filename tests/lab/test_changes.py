"""A change touches what it has to and nothing else, and nobody notices."""

from __future__ import annotations

import json

from tests.lab.hive import Hive


def test_what_changed_alone_is_replaced_without_a_failed_request(hive: Hive) -> None:
    """The pages of one site, and the environment of another."""
    page = hive.program / "images" / "NginxStatic" / "site" / "index.html"
    page.write_text(page.read_text().replace("</body>", "<p>a word more</p></body>"))
    hive.settings["apiary:applications"]["echo"]["env"]["version"] = "two"
    loads = [hive.load("example.com"), hive.load()]
    done = hive.up()
    for load in loads:
        requests, failed = load.stop()
        assert (requests > 50, failed) == (True, [])
    releases = {f"{name}{part}" for name in ("site", "echo") for part in ("", "-rolling-release", "-drain")}
    assert done.touched() == {"web1/NginxStatic", *releases, "web1-verdict"}
    assert "a word more" in hive.get("http://example.com/", "-6")[1]
    answer = json.loads(hive.get("http://echo.example.net/", "-6", "-H", "Accept: application/json")[1])
    assert answer["version"] == "two"
    images = hive.on_server("docker images --format '{{.Repository}}:{{.Tag}}' apiary/nginxstatic").split()
    assert len(images) == 1, f"the old image is still there: {images}"


def test_a_new_domain_adds_its_records_and_its_route(hive: Hive) -> None:
    with hive.changed() as settings:
        settings["apiary:servers"]["web1"]["dns"]["web"].append("new.example.com")
        settings["apiary:applications"]["site"]["env"]["domains"].append("new.example.com")
        load = hive.load()
        done = hive.up()
        requests, failed = load.stop()
        names = {f"example.com/{name}/{kind}" for name in ("new", "www.new") for kind in ("A", "AAAA")}
        released = {"site", "site-rolling-release", "site-drain"}
        assert done.touched() == names | released | {"hasetup", "hasetup-closing", "hasetup-run", "web1-verdict"}
        assert (requests > 50, failed) == (True, [])
        for family in ("-6", "-4"):
            assert hive.get("http://new.example.com/", family)[0] == 200
    hive.up()
    assert hive.prober("dig", "+short", "new.example.com", "AAAA").stdout == ""


def test_a_step_that_fails_in_a_build_is_shown_and_nothing_stops_serving(hive: Hive) -> None:
    dockerfile = hive.program / "images" / "NginxStatic" / "Dockerfile"
    before = dockerfile.read_text()
    dockerfile.write_text(before + "\nUSER root\nRUN echo only the stylesheet is missing >&2 && false\n")
    failed = hive.up(check=False)
    dockerfile.write_text(before)
    assert failed.status != 0
    assert "only the stylesheet is missing" in failed.output
    hive.expect_served()
    hive.expect_no_changes()


def test_a_bad_stack_file_is_refused_before_anything_is_touched(hive: Hive) -> None:
    with hive.changed() as settings:
        settings["apiary:applications"]["echo"]["env"]["db_host"] = "$databas"
        settings["apiary:applications"]["site"]["prots"] = [80]
        refused = hive.up(check=False)
        assert refused.status != 0
        assert (
            'applications.echo.env.db_host: "$databas" is not an application; did you mean "$database"?'
            in refused.output
        )
        assert "applications.site.prots" in refused.output
        assert "Traceback" not in refused.output
        assert refused.touched() == set()
