"""Logs that people read: each visitor under his own address, no line lost, and a page that asks for a password."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.lab.browser import browser
from tests.lab.hive import Hive, until

LOGS = "/var/lib/docker/volumes/accesslog/_data"
STATS = "https://stats.example.net"
PAGES = "/var/lib/docker/volumes/reports/_data"
FAMILIES = ["-6", "-4"]
# As AWStats knows a browser: what it takes for a program is no visitor.
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
# An element that a page must not have. A visitor may write it into all that is logged of him.
TAKEN = """"'></script><script class=taken>document.title='taken'</script><img class=taken src=x onerror=alert(1)>"""

# Runs in the prober: kept connections over both families, every request under a path of its own.
REQUESTS = """
import http.client, json, socket, sys, threading, time
host, mark, seconds, pause = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
until, done, failed = time.monotonic() + seconds, [0] * 4, []
def visit(number, family):
    address = socket.getaddrinfo(host, 80, family, socket.SOCK_STREAM)[0][4][0]
    connection, count = http.client.HTTPConnection(address, 80, timeout=20), 0
    while time.monotonic() < until:
        try:
            connection.request("GET", f"/{mark}/{number}/{count}", headers={"Host": host})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            failed.append(f"{number}/{count}: {error!r}")
            connection.close()
        count += 1
        time.sleep(pause)
    done[number] = count
families = [socket.AF_INET6, socket.AF_INET] * 2
threads = [threading.Thread(target=visit, args=one) for one in enumerate(families)]
[one.start() for one in threads]
[one.join() for one in threads]
print(json.dumps({"requests": sum(done), "first": done[0], "failed": failed}))
"""


def lines_of(hive: Hive, site: str, mark: str) -> list[str]:
    """The lines with `mark` in all files of a site, rotated or not."""
    files = f"$(ls {LOGS}/{site}/access.log {LOGS}/{site}/2*.gz 2>/dev/null)"
    return hive.on_server(f"zcat -f {files} < /dev/null | grep -F -- '{mark}' || true").splitlines()


def lines_lost(hive: Hive, seconds: float, pause: float) -> tuple[int, int, int]:
    """(requests, lines, rotated files) of a load that lasts while everything that could lose a line happens.

    Every second a rotation; in turn a reload of the proxy and a restart of the collector every three.
    """
    mark = f"count-{time.monotonic_ns()}"
    logs, proxy = hive.container("logs"), hive.container("haproxy")
    disturb = (
        f"end=$((SECONDS + {int(seconds)})); turn=0; while [ $SECONDS -lt $end ]; do sleep 1; turn=$((turn + 1)); "
        f"case $((turn % 6)) in 2) docker kill -s USR2 {proxy} ;; 5) docker restart {logs} ;; "
        f"*) docker kill -s HUP {logs} ;; esac; done > /dev/null"
    )
    process = hive.in_prober("python3", "-c", REQUESTS, "www.example.com", mark, str(seconds), str(pause))
    hive.on_server(disturb)
    out, err = process.communicate(timeout=seconds + 120)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["failed"] == []
    requests = int(result["requests"])
    last = f"/{mark}/0/{int(result['first']) - 1} "
    until(lambda: lines_of(hive, "example.com", last), 15, "the last request is in the file")
    # A file that is being compressed is there twice for a moment.
    until(lambda: not hive.on_server(f"ls {LOGS}/example.com | grep '^2.*log$' || true"), 60, "all are compressed")
    files = int(hive.on_server(f"ls {LOGS}/example.com | grep -c '^2'"))
    return requests, len(lines_of(hive, "example.com", f"/{mark}/")), files


class Taken(HTMLParser):
    """The elements of a page that a visitor has put there, and all links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if ("class", "taken") in attrs:
            self.found.append(f"{tag} {attrs}")
        self.links |= {value for name, value in attrs if name in ("href", "src", "action") and value}


def visit_with_tags(hive: Hive) -> None:
    """A browser's visit that tries to put elements into whatever shows the log, and one that says who he is."""
    mark = f"tags-{time.monotonic_ns()}"
    url = f"{hive.scheme}://example.com/?{mark}"
    assert hive.get(url, "-6", "-A", FIREFOX)[0] == 200
    tags = quote(TAKEN, safe="<>'\"=")
    hive.get(f"{url}{tags}", "-6", "--globoff", "-A", f"{FIREFOX} {TAKEN}", "-e", f"https://example.org/{TAKEN}")
    hive.get(f"{url}{quote(TAKEN)}", "-6", "-A", TAKEN, "-e", TAKEN)
    until(lambda: len(lines_of(hive, "example.com", mark)) == 3, 15, "the visits are in the file")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_visit_is_in_the_file_of_its_site_with_the_visitor_s_own_address(whole: Hive, family: str) -> None:
    mark = f"visit{family}-{time.monotonic_ns()}"
    assert whole.get(f"{whole.scheme}://example.com/?{mark}", family, "-H", "X-Forwarded-For: 1.2.3.4")[0] == 200
    until(lambda: lines_of(whole, "example.com", mark), 15, "the visit is in the file")
    (line,) = lines_of(whole, "example.com", mark)
    assert line.startswith(f"example.com {whole.own_address(family)} - - ["), line
    assert f'"GET /?{mark} HTTP/' in line
    assert '" 200 ' in line


def test_a_visit_of_a_name_that_nobody_serves_makes_no_file_of_that_name(whole: Hive) -> None:
    mark = f"stranger-{time.monotonic_ns()}"
    address = f"http://[{whole.server['web_ipv6']}]/{mark}"
    assert whole.get(address, "-6", "-H", "Host: ../../evil.example.org")[0] in {400, 421}
    assert whole.get(address, "-6", "-H", "Host: stranger.example.org")[0] == 421
    until(lambda: lines_of(whole, "unserved", mark), 15, "the visit is in the file")
    assert any(line.startswith("stranger.example.org ") for line in lines_of(whole, "unserved", mark))
    made = whole.on_server(f"find {LOGS}/.. -name '*stranger*' -o -name '*evil*'")
    assert made == ""


def test_no_line_is_lost_in_rotations_reloads_and_restarts(whole: Hive) -> None:
    requests, lines, files = lines_lost(whole, seconds=12, pause=0.005)
    assert requests > 200
    assert lines == requests
    assert files >= 3


def test_the_proxy_s_pipe_is_open_to_its_reader_from_its_first_moment_on(whole: Hive) -> None:
    image = whole.on_server(f"docker inspect -f '{{{{.Config.Image}}}}' {whole.container('haproxy')}").strip()
    # In the place of mkfifo: makes it, tells its mode, and has the start fail.
    telling = 'printf "/usr/bin/mkfifo \\$1; stat -c %%a \\$1; exit 1" > /tmp/mkfifo; chmod +x /tmp/mkfifo'
    start = f"umask 077; {telling}; PATH=/tmp:$PATH exec start.sh"
    mode = whole.server_command("docker", "run", "--rm", "--entrypoint", "sh", image, "-c", start).stdout
    assert mode.strip() == "666"


def test_the_proxy_s_own_log_holds_no_visits_any_more(whole: Hive) -> None:
    said = whole.on_server(f"docker logs {whole.container('haproxy')} 2>&1")
    # But for those of the authority, before it was set up for the first time.
    visits = [line for line in said.splitlines() if '" 200 ' in line and not line.endswith("packaged-configuration")]
    assert visits == []


def test_the_statistics_ask_for_a_password(whole: Hive) -> None:
    password = whole.passwords()["stats/adminpass"]
    for family in FAMILIES:
        for options in ([], ["-u", "admin:wrong"], ["-u", f"root:{password}"]):
            status, answer = whole.get(f"{STATS}/", family, "--include", *options)
            assert status == 401
            assert 'www-authenticate: basic realm="stats.example.net"' in answer.lower()
        # What the proxy's health check is told.
        assert whole.get(f"{STATS}/", family, "-A", "apiary-health") == (204, "")
        assert whole.get(f"{STATS}/", family, "-u", f"admin:{password}")[0] == 200


@pytest.mark.soak
def test_awstats_makes_pages_that_show_the_visitor_s_ipv6_address_too(whole: Hive) -> None:
    """As the job `reports` does with `env: {program: awstats}`: its image, and its volumes, of one site.

    The other program of the same job; what it is given, and its pages: tests/unit/test_reports.py.
    """
    visit_with_tags(whole)
    job = whole.on_server("docker ps -aq --filter label=apiary.resource=jobs.reports").strip()
    volumes = f"-v {LOGS}/example.com:/var/log/sites/example.com:ro -v reports:/srv/site"
    image = f"$(docker inspect --format '{{{{.Image}}}}' {job})"
    said = whole.on_server(f"docker run --rm --cap-drop ALL --env PROGRAM=awstats {volumes} {image} 2>&1")
    assert re.search(r"^reports: example\.com: \d+ requests since ", said, re.MULTILINE), said
    assert "ERROR" not in said
    login = ["-u", f"admin:{whole.passwords()['stats/adminpass']}"]
    status, first = whole.get(f"{STATS}/example.com/", "-6", *login)
    assert status == 200
    (hosts,) = set(re.findall(r"[0-9-]+\.allhosts\.html", first))
    status, visitors = whole.get(f"{STATS}/example.com/{hosts}", "-6", *login)
    assert status == 200
    assert f">{whole.own_address('-6')}<" in visitors
    pages = Taken(whole.on_server(f"cat {PAGES}/example.com/*.html"))
    assert pages.found == []
    files = set(whole.on_server(f"cd {PAGES}/example.com && find -type f -printf '%P\\n'").split())
    leads = {link for link in pages.links if not link.startswith("#")}
    assert leads - files == {"../", "http://www.awstats.org"}


@pytest.mark.soak
def test_the_page_of_statistics_shows_the_visitor_s_ipv6_address_in_a_browser(whole: Hive, tmp_path: Path) -> None:
    """What is in the pages: tests/unit/test_reports.py; that a browser reaches the hive: test_browse."""
    visitor = whole.own_address("-6")
    visit_with_tags(whole)
    said = whole.operations("run", "web1:reports").stdout
    assert "are in no page" not in said
    password = whole.passwords()["stats/adminpass"]
    with browser(whole.paths.name("prober")) as chromium:
        # It would ask a person; nobody answers.
        refused = "net::ERR_INVALID_AUTH_CREDENTIALS"
        until(lambda: chromium.failure(f"{STATS}/example.com/") == refused, 60, "the browser is refused")
        own = STATS.replace("://", f"://admin:{password}@")
        assert 'href="example.com/"' in chromium.text(f"{own}/")
        page = ""

        def drawn() -> bool:
            """In the table that the page's scripts have drawn, not only in the data it was drawn from.

            On a busy machine the browser may give a page up before they are through.
            """
            nonlocal page
            page = chromium.text(f"{own}/example.com/")
            rows = re.findall(r'<tr[^>]*data-panel="hosts".*?</tr>', page, flags=re.DOTALL)
            return any(re.sub(r"<[^>]*>", "", row).endswith(visitor) for row in rows)

        until(drawn, 60, "the visitor's address is in the table")
        assert Taken(page).found == []
        assert "<title>taken" not in page
        picture = chromium.picture(f"{own}/example.com/", tmp_path / "statistics.png")
    print(f"the page as it is seen: {picture}")
