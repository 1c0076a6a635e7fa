"""The emulator as a process: killed and restarted, reached through its proxy, with faults injected."""

import contextlib
import json
import os
import socket
import ssl
import stat
import threading
import time

import httpx
import pytest
from cryptography import x509

from lab.api.testing import API, Emulator

PLAN = {"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2136, "enable_ipv6": True}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults_left(emulator):
    yield
    emulator.control.delete("/faults")


def keys(emulator):
    return [key["name"] for key in emulator.api.get("/v2/ssh-keys?per_page=500").json()["ssh_keys"]]


def key(name):
    return {"name": name, "ssh_key": "ssh-ed25519 AAAA generic"}


def test_what_was_answered_survives_a_kill_in_the_middle_of_a_burst(tmp_path):
    emulator = Emulator(tmp_path)
    emulator.start()
    ports, authority = dict(emulator.info), (tmp_path / "ca" / "ca.crt").read_bytes()
    answered = []

    def burst():
        with contextlib.suppress(httpx.HTTPError):
            for number in range(10_000):
                answer = emulator.api.post("/v2/instances", json={**PLAN, "label": f"n{number}"})
                assert answer.status_code == 202
                answered.append(answer.json()["instance"])

    thread = threading.Thread(target=burst)
    thread.start()
    while len(answered) < 12 and thread.is_alive():
        time.sleep(0.01)
    emulator.process.kill()
    thread.join()
    emulator.end()
    emulator.start()
    try:
        assert {k: emulator.info[k] for k in ports if k != "pid"} == {k: ports[k] for k in ports if k != "pid"}
        assert (tmp_path / "ca" / "ca.crt").read_bytes() == authority
        assert len(answered) >= 12
        for instance in answered:
            alive = emulator.active(instance["id"])
            assert alive["label"] == instance["label"]
        networks = [item["v6_network"] for item in emulator.state()["instances"].values()]
        assert len(set(networks)) == len(networks)
        after = emulator.api.post("/v2/instances", json=PLAN).json()["instance"]
        assert emulator.active(after["id"])["v6_network"] not in networks
    finally:
        emulator.end()


def test_secrets_of_the_region_are_for_its_owner_only(emulator):
    created = emulator.api.post("/v2/instances", json={**PLAN, "user_data": "c2VjcmV0"}).json()["instance"]
    emulator.active(created["id"])
    for name in ("region.json", "ca/ca.key", "ca/api.key"):
        assert stat.S_IMODE((emulator.directory / name).stat().st_mode) == 0o600
    shown = emulator.control.get("/state").text
    assert created["default_password"] not in shown
    assert "c2VjcmV0" not in shown


def test_one_directory_has_one_emulator(emulator):
    ready = emulator.directory / "run" / "api.json"
    info = ready.read_bytes()
    second = Emulator(emulator.directory)
    try:
        with pytest.raises(RuntimeError, match="an emulator already runs"):
            second.start()
    finally:
        second.process.kill()
        second.process.wait()
        ready.write_bytes(info)  # the helper removes it before it starts one


def test_a_damaged_state_is_reported_and_left_alone(tmp_path):
    (tmp_path / "region.json").write_text('{"version":1,')
    with pytest.raises(RuntimeError, match=r"region.json is damaged"):
        Emulator(tmp_path).start()
    assert (tmp_path / "region.json").read_text() == '{"version":1,'


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # of some old root of the system
def test_the_authority_vouches_for_the_one_name_only(emulator):
    bundle = (emulator.directory / "ca.pem").read_bytes()
    authority = x509.load_pem_x509_certificate((emulator.directory / "ca" / "ca.crt").read_bytes())
    names = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert names.critical
    assert names.value.permitted_subtrees == [x509.DNSName("api.vultr.com")]
    certificates = x509.load_pem_x509_certificates(bundle)
    assert authority in certificates
    assert len(certificates) > 20  # the system's roots besides


def test_a_bundle_that_already_holds_the_labs_authority_does_not_grow(tmp_path):
    with Emulator(tmp_path):
        first = (tmp_path / "ca.pem").read_bytes()
    with Emulator(tmp_path, "--backend", "memory", environment={"SSL_CERT_FILE": str(tmp_path / "ca.pem")}):
        assert (tmp_path / "ca.pem").read_bytes() == first


class Echo:
    """A TCP server on the loopback that answers what it got, in capitals."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests = []
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    while data := connection.recv(65536):
                        self.requests.append(data)
                        connection.sendall(self.answer(data))

    @staticmethod
    def answer(data):
        return data.upper()

    def __exit__(self, *_):
        self.listener.close()


class Upstream(Echo):
    """A proxy that says yes to every CONNECT and then echoes."""

    @staticmethod
    def answer(data):
        return b"HTTP/1.1 200 OK\r\n\r\n" if data.startswith(b"CONNECT") else data.upper()


def connect(port, target):
    tunnel = socket.create_connection(("127.0.0.1", port), timeout=10)
    tunnel.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n") and (data := tunnel.recv(1)):
        head += data
    return tunnel, head.split(b"\r\n")[0].decode()


def test_other_hosts_are_tunnelled_through_untouched(emulator):
    with Echo() as echo:
        tunnel, status = connect(emulator.info["proxy_port"], f"127.0.0.1:{echo.port}")
        with tunnel:
            assert status.split(" ")[1] == "200"
            tunnel.sendall(b"hello")
            assert tunnel.recv(100) == b"HELLO"


def test_the_api_shows_the_labs_certificate_through_the_proxy(emulator):
    tunnel, status = connect(emulator.info["proxy_port"], "api.vultr.com:443")
    assert status.split(" ")[1] == "200"
    context = ssl.create_default_context(cafile=emulator.info["ca"])
    with tunnel, context.wrap_socket(tunnel, server_hostname="api.vultr.com") as secure:
        assert ("DNS", "api.vultr.com") in secure.getpeercert()["subjectAltName"]
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.Client(proxy=emulator.proxy, trust_env=False).get(f"{API}/v2/account")


def test_a_host_that_does_not_answer_is_a_bad_gateway(emulator):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    tunnel, status = connect(emulator.info["proxy_port"], f"127.0.0.1:{port}")
    tunnel.close()
    assert status.split(" ")[1] == "502"


def test_plain_requests_and_nonsense_are_refused(emulator):
    for request, status in ((b"GET http://example.com/ HTTP/1.1\r\n\r\n", b"405"), (b"x\r\n\r\n", b"400")):
        with socket.create_connection(("127.0.0.1", emulator.info["proxy_port"]), timeout=10) as client:
            client.sendall(request)
            assert client.recv(100).split(b" ")[1] == status


def test_other_hosts_go_through_the_environments_proxy_except_those_of_no_proxy(tmp_path):
    with Upstream() as upstream, Echo() as echo:
        environment = {
            "HTTPS_PROXY": f"http://us%40er:pw@127.0.0.1:{upstream.port}", "https_proxy": "",
            "NO_PROXY": "127.0.0.1,.example.org", "no_proxy": "",
        }  # fmt: skip
        with Emulator(tmp_path, "--backend", "memory", environment=environment) as emulator:
            for target, asked in (("far.example.com:443", 1), (f"127.0.0.1:{echo.port}", 0)):
                upstream.requests.clear()
                tunnel, status = connect(emulator.info["proxy_port"], target)
                with tunnel:
                    assert status.split(" ")[1] == "200"
                    tunnel.sendall(b"hello")
                    assert tunnel.recv(100) == b"HELLO"
                connects = [request for request in upstream.requests if request.startswith(b"CONNECT")]
                assert len(connects) == asked
                if asked:
                    assert connects[0].startswith(b"CONNECT far.example.com:443 ")
                    assert b"Proxy-Authorization: Basic dXNAZXI6cHc=" in connects[0]
            own = emulator.info["proxy_port"]
        # A shell that is set up for the lab names the lab's own proxy: the real one is remembered.
        environment["HTTPS_PROXY"] = f"http://127.0.0.1:{own}"
        with Emulator(tmp_path, "--backend", "memory", environment=environment) as emulator:
            tunnel, status = connect(emulator.info["proxy_port"], "far.example.com:443")
            tunnel.close()
            assert status.split(" ")[1] == "200"


def fault(emulator, **fields):
    answer = emulator.control.post("/faults", json=fields)
    assert answer.status_code == 201, answer.text


def test_a_fault_strikes_its_operation_as_often_as_it_should(emulator):
    fault(emulator, method="POST", path="^/v2/ssh-keys$", status=502, body="bad gateway", count=2)
    answers = [emulator.api.post("/v2/ssh-keys", json=key("twice")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 201]
    assert answers[0].text == "bad gateway"
    assert keys(emulator).count("twice") == 1


def test_a_fault_after_the_work_leaves_the_object(emulator):
    fault(emulator, method="POST", path="^/v2/ssh-keys$", status=500, after=True)
    answer = emulator.api.post("/v2/ssh-keys", json=key("orphan"))
    assert (answer.status_code, answer.json()) == (500, {"error": "Injected fault", "status": 500})
    assert keys(emulator).count("orphan") == 1


@pytest.mark.parametrize("after", [True, False])
def test_a_dropped_connection_has_no_answer(emulator, after):
    name = f"dropped-{after}"
    fault(emulator, path="/ssh-keys", drop=True, after=after)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        emulator.api.post("/v2/ssh-keys", json=key(name))
    assert keys(emulator).count(name) == after


def test_a_delay_only_delays_and_headers_are_sent(emulator):
    fault(emulator, method="GET", path="/account", delay=0.3)
    fault(emulator, method="GET", path="/account", status=429, headers={"Retry-After": "3"})
    started = time.monotonic()
    assert emulator.api.get("/v2/account").status_code == 200
    assert time.monotonic() - started >= 0.3
    limited = emulator.api.get("/v2/account")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    assert emulator.api.get("/v2/account").status_code == 200
    assert [item["struck"] for item in emulator.control.get("/faults").json()["faults"]] == [1, 1]


@pytest.mark.parametrize(
    "body", [{}, {"path": "("}, {"path": "x"}, {"path": "x", "status": 42}, {"path": "x", "nix": 1}]
)
def test_a_fault_that_makes_no_sense_is_refused(emulator, body):
    assert emulator.control.post("/faults", json=body).status_code == 400


def test_an_instance_deleted_at_the_portal_is_gone_for_the_api(emulator):
    created = emulator.api.post("/v2/instances", json={**PLAN, "label": "portal"}).json()["instance"]
    emulator.active(created["id"])
    assert emulator.control.post("/instances/portal/delete").status_code == 200
    path = f"/v2/instances/{created['id']}"
    assert emulator.api.get(path).json() == {"error": "Server is pending destruction", "status": 404}
    emulator.until(lambda: emulator.api.get(path).json()["error"] != "Server is pending destruction")
    assert emulator.api.get(path).json() == {"error": "instance not found", "status": 404}
    assert emulator.state()["deleting"] == {}
    unknown = emulator.control.post("/instances/portal/delete")
    assert unknown.status_code == 404
    assert "'portal'" in unknown.json()["error"]


def test_the_control_handle_answers_to_loopback_names_only(emulator):
    assert emulator.control.get("/state", headers={"Host": "attacker.example"}).status_code == 403
    assert emulator.api.get("/state").status_code == 404


def test_keys_can_be_declared_bad(emulator):
    before = emulator.control.get("/state").json()["bad_keys"]
    emulator.control.post("/bad-keys", json={"keys": ["a-key"]})
    try:
        assert emulator.api.get("/v2/account").status_code == 401
    finally:
        emulator.control.post("/bad-keys", json={"keys": before})
    assert emulator.api.get("/v2/account").status_code == 200


def test_every_request_is_logged_and_counted(emulator):
    emulator.api.get("/v2/vpcs/none")
    line = json.loads((emulator.directory / "log" / "api-requests.jsonl").read_text().splitlines()[-1])
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v2/vpcs/none", 404)
    assert emulator.control.get("/state").json()["requests"]["GET /v2/vpcs/{id} 404"] >= 1


def test_it_ends_by_itself_on_a_signal_and_says_so(tmp_path):
    with Emulator(tmp_path) as emulator:
        pid = emulator.info["pid"]
        assert pid == emulator.process.pid
    assert emulator.process.returncode == 0
    assert not (tmp_path / "run" / "api.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(RuntimeError, match=f"can't listen on 127.0.0.1:{port}"):
            Emulator(tmp_path, "--backend", "memory", "--port", port).start()
