"""CertBot puts a certificate into a real HAProxy's place: before that knows the site, while it reloads, and after."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "CertBot"))

from certjob.certificate import read
from certjob.proxy import SERVED, WAITS, Proxy, ProxyError

from tests.conformance.applications import named, port
from tests.conformance.proxy import needs_proxy, running
from tests.unit.test_hasetup_certificates import made

pytestmark = needs_proxy
DOMAIN, NEW = "shop.example.org", "new.example.org"


@dataclass(frozen=True)
class Place:
    proxy: Proxy
    folder: Path

    def serves(self, pem: str, name: str) -> bool:
        """Whether a visitor of the name gets this certificate."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                socket.create_connection(("127.0.0.1", self.proxy.https_port), 10) as plain,
                context.wrap_socket(plain, server_hostname=name) as visitor,
            ):
                known = read(pem)
                return known is not None and visitor.getpeercert(binary_form=True) == known.der
        except OSError:
            return False

    def list_as_hasetup_does(self, *names: str) -> None:
        """A file for each name, self-signed where there is none, and the list that the configuration names."""
        lines = []
        for name in names:
            path = self.proxy.certificates / f"{name}.pem"
            if not path.exists():
                path.write_text(made(name))
            lines.append(f"{path} {name}\n")
        (self.folder / "sites.list").write_text("".join(lines))

    def reload(self) -> None:
        os.kill(int((self.folder / "run" / "pid").read_text()), signal.SIGUSR2)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    def edited(text: str) -> str:
        return text.replace(f"{tmp_path}/all.list", f"{tmp_path}/sites.list")

    (tmp_path / "certs").mkdir()
    Place(Proxy("127.0.0.1", tmp_path), tmp_path).list_as_hasetup_does(DOMAIN)
    with named("shop") as listening:
        here = {name: port(listener) for name, listener in listening.items()}
        told = {DOMAIN: {"app": "shop", "port": 8080, "tls": True, "www": False}}
        with running(tmp_path, told, here, edited) as ports:
            yield Place(Proxy("127.0.0.1", tmp_path, ports["http"], ports["https"]), tmp_path)


def test_a_certificate_takes_the_place_of_the_one_that_is_served(place: Place):
    for pem in (made(DOMAIN), made(DOMAIN)):
        assert place.proxy.install(DOMAIN, pem, DOMAIN, 0) == SERVED
        assert place.serves(pem, DOMAIN)
        assert place.proxy.install(DOMAIN, pem, DOMAIN, 0) == ""


def test_a_site_that_is_still_to_come_opens_with_the_certificate_that_waits_for_it(place: Place):
    pem = made(NEW)
    assert place.proxy.install(NEW, pem, NEW, 0) == WAITS
    assert place.proxy.install(NEW, pem, NEW, 0) == ""
    place.list_as_hasetup_does(DOMAIN, NEW)
    assert not place.serves(pem, NEW)
    place.reload()
    place.proxy.install(NEW, pem, NEW, 20)  # ends when it is served
    assert place.serves(pem, NEW)


def test_one_that_comes_while_the_proxy_reloads_is_served_all_the_same(place: Place):
    """hasetup has signed one itself by then, and the proxy may have read that."""
    place.list_as_hasetup_does(DOMAIN, NEW)
    pem = made(NEW)
    later = threading.Timer(0.5, place.reload)
    later.start()
    try:
        assert place.proxy.install(NEW, pem, NEW, 20) == SERVED
    finally:
        later.join()
    assert place.serves(pem, NEW)


def test_a_proxy_that_goes_on_serving_another_one_is_told(place: Place):
    place.list_as_hasetup_does(DOMAIN, NEW)
    with pytest.raises(ProxyError, match="is in place, but the running proxy serves another"):
        place.proxy.install(NEW, made(NEW), NEW, 0.5)
