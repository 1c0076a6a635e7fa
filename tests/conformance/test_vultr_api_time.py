"""The emulator in time: states in their order, releases that come late, the limit, and faults that stretch them."""

import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lab.api.testing import API, Emulator
from lab.cli import main as lab

PLAN = {"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2136, "enable_ipv6": True}
LOCKED = "Unable to destroy server: Unable to remove VM: Server is currently locked"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(emulator):
    yield
    emulator.control.delete("/faults")
    emulator.control.post("/pace", json=dict.fromkeys(emulator.control.get("/pace").json()["pace"]))


def created(emulator, **more):
    answer = emulator.api.post("/v2/instances", json={**PLAN, **more})
    assert answer.status_code == 202, answer.text
    return answer.json()["instance"]


def pace(emulator, **settings):
    emulator.control.post("/pace", json=settings).raise_for_status()


def fault(emulator, **words):
    answer = emulator.control.post("/faults", json=words)
    assert answer.status_code == 201, answer.text


def refusal(answer):
    return answer.status_code, answer.json()["error"]


def states(emulator, id_, last, first=()):
    """The states that polling shows, each once, until the last."""
    seen = [first] if first else []
    deadline = time.monotonic() + 10
    while not seen or seen[-1] != last:
        shown = emulator.api.get(f"/v2/instances/{id_}").json()["instance"]
        state = (shown["status"], shown["server_status"], shown["main_ip"] != "0.0.0.0", shown["disk"])
        seen += [state] if state not in seen[-1:] else []
        assert time.monotonic() < deadline, seen
    return seen


def test_an_instance_is_pending_then_installing_then_ok_and_locked_at_first(emulator):
    pace(emulator, pending=1, installing=1)
    id_ = created(emulator)["id"]
    assert refusal(emulator.api.delete(f"/v2/instances/{id_}")) == (500, LOCKED)
    assert states(emulator, id_, ("active", "ok", True, 25)) == [
        ("pending", "none", False, 0),
        ("active", "installingbooting", True, 25),
        ("active", "ok", True, 25),
    ]
    assert emulator.api.delete(f"/v2/instances/{id_}").status_code == 204


def test_a_restart_of_the_emulator_ends_no_wait_and_loses_none(tmp_path):
    with Emulator(tmp_path) as emulator:
        fault(emulator, release="destruction", seconds=6)
        old = created(emulator, label="old")["id"]
        emulator.active(old)
        pace(emulator, installing=3)
        emulator.api.delete(f"/v2/instances/{old}")
        new = created(emulator)["id"]
        states(emulator, new, ("active", "installingbooting", True, 25))
        emulator.end()
        emulator.start()
        assert refusal(emulator.api.get(f"/v2/instances/{old}")) == (404, "Server is pending destruction")
        assert emulator.active(new)["server_status"] == "ok"
        emulator.until(lambda: refusal(emulator.api.get(f"/v2/instances/{old}")) == (404, "instance not found"))


def test_a_larger_plan_is_locked_while_it_comes(emulator):
    id_ = created(emulator)["id"]
    emulator.active(id_)
    pace(emulator, resizing=1)
    assert emulator.api.patch(f"/v2/instances/{id_}", json={"plan": "vc2-1c-2gb"}).status_code == 202
    assert refusal(emulator.api.delete(f"/v2/instances/{id_}")) == (500, LOCKED)
    assert states(emulator, id_, ("active", "ok", True, 55)) == [
        ("resizing", "locked", True, 0),
        ("active", "ok", True, 55),
    ]


def test_deleting_twice_is_refused_while_it_is_being_destroyed(emulator):
    id_ = created(emulator)["id"]
    emulator.active(id_)
    pace(emulator, destruction=2)
    assert emulator.api.delete(f"/v2/instances/{id_}").status_code == 204
    text = "Unable to destroy server: Server is already pending destruction."
    assert refusal(emulator.api.delete(f"/v2/instances/{id_}")) == (500, text)
    emulator.until(lambda: refusal(emulator.api.delete(f"/v2/instances/{id_}")) == (404, "instance not found"))


def test_a_vpc_that_was_left_is_let_go_of_late(emulator):
    vpc = emulator.api.post("/v2/vpcs", json={"region": "ewr", "v4_subnet_mask": 0}).json()["vpc"]
    assert vpc["v4_subnet_mask"] == 20
    id_ = created(emulator, attach_vpc=[vpc["id"]])["id"]
    shown = emulator.active(id_)
    pace(emulator, vpc_release=2)
    assert shown["vpcs"] == [{"id": vpc["id"], "version": "1", "subnet": f"{vpc['v4_subnet']}/20"}]
    emulator.api.post(f"/v2/instances/{id_}/vpcs/detach", json={"vpc_id": vpc["id"]})
    held = f"The following servers are attached to this VPC network: {shown['main_ip']}"
    assert refusal(emulator.api.delete(f"/v2/vpcs/{vpc['id']}")) == (400, held)
    emulator.until(lambda: emulator.api.delete(f"/v2/vpcs/{vpc['id']}").status_code == 204)


def test_a_reserved_ipv6_is_let_go_of_by_a_restart(emulator):
    id_ = created(emulator, label="six")["id"]
    emulator.active(id_)
    body = {"region": "ewr", "ip_type": "v6", "instance_id": id_}
    reserved = emulator.api.post("/v2/reserved-ips", json=body).json()["reserved_ip"]
    path = f"/v2/reserved-ips/{reserved['id']}"
    text = "Unable to detach subnet, please restart your server from the control panel"
    assert refusal(emulator.api.post(f"{path}/detach")) == (400, text)
    assert refusal(emulator.api.delete(path)) == (400, text)
    emulator.api.post(f"/v2/instances/{id_}/reboot")
    emulator.until(lambda: emulator.api.post(f"{path}/detach").status_code == 204)
    emulator.api.post(f"{path}/attach", json={"instance_id": id_})
    assert refusal(emulator.api.post(f"{path}/detach")) == (400, text)


def test_a_volume_is_pending_first_and_reboots_its_server_unless_live(emulator):
    id_ = created(emulator)["id"]
    emulator.active(id_)
    pace(emulator, block_creation=2)
    block = emulator.api.post("/v2/blocks", json={"region": "ewr", "size_gb": 10}).json()["block"]
    path = f"/v2/blocks/{block['id']}"
    assert emulator.api.get(path).json()["block"]["status"] == "pending"
    assert emulator.api.post(f"{path}/attach", json={"instance_id": id_, "live": True}).status_code == 400
    emulator.until(lambda: emulator.api.get(path).json()["block"]["status"] == "active")
    assert refusal(emulator.api.patch(path, json={"size_gb": 10})) == (400, "Nothing to change")

    def boots():
        return emulator.state()["instances"][id_]["_boots"]

    fault(emulator, hold=id_, state="locked", seconds=30)
    refused = emulator.api.post(f"{path}/attach", json={"instance_id": id_, "live": True})
    assert refusal(refused) == (400, "Unable to attach block storage: Server is currently locked")
    emulator.control.delete("/faults")
    assert emulator.api.post(f"{path}/attach", json={"instance_id": id_, "live": True}).status_code == 204
    assert emulator.api.post(f"{path}/detach", json={"live": True}).status_code == 204
    emulator.control.post(f"/instances/{id_}/kill")  # serial with whatever is under way
    assert boots() == 0
    emulator.control.post(f"/instances/{id_}/start")
    emulator.until(lambda: not emulator.api.get(path).json()["block"]["attached_to_instance"])
    assert emulator.api.post(f"{path}/attach", json={"instance_id": id_}).status_code == 204
    emulator.until(lambda: boots() == 2)


@pytest.fixture
def impatient(emulator):
    """A client with a key of its own that takes a 429 for an answer."""
    headers = {"Authorization": "Bearer impatient"}
    context = ssl.create_default_context(cafile=emulator.info["ca"])
    with httpx.Client(base_url=API, proxy=emulator.proxy, verify=context, trust_env=False, headers=headers) as client:
        yield client


def test_thirty_requests_a_second_are_answered_and_the_next_is_told_to_wait(emulator, impatient):
    with ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        answers = list(pool.map(lambda _: impatient.get("/v2/account"), range(45)))
        seconds = time.monotonic() - started
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(answers) - len(refused) <= 30 * (1 + seconds)
    assert refused
    assert refused[0].json() == {"status": 429, "error": "rate limit exceeded"}
    assert refused[0].headers["retry-after"] == "1"
    assert emulator.api.get("/v2/account").status_code == 200  # another key is another client
    time.sleep(float(refused[0].headers["retry-after"]))
    assert impatient.get("/v2/account").status_code == 200


def test_a_hold_keeps_an_instance_in_a_state_for_its_time(emulator):
    id_ = created(emulator, label="held")["id"]
    emulator.active(id_)
    fault(emulator, hold="held", state="installing", seconds=5)
    assert emulator.api.get(f"/v2/instances/{id_}").json()["instance"]["server_status"] == "installingbooting"
    fault(emulator, hold="held", state="locked", seconds=2)
    assert refusal(emulator.api.delete(f"/v2/instances/{id_}")) == (500, LOCKED)
    emulator.until(lambda: emulator.api.delete(f"/v2/instances/{id_}").status_code == 204)


def test_a_release_is_delayed_for_the_object_that_is_named_and_as_often_as_said(emulator):
    fault(emulator, release="destruction", object="slow", seconds=60)
    for label, gone in (("slow", False), ("quick", True), ("slow", True)):
        id_ = created(emulator, label=label)["id"]
        emulator.active(id_)
        emulator.api.delete(f"/v2/instances/{id_}")
        time.sleep(1.2)
        answer = refusal(emulator.api.get(f"/v2/instances/{id_}"))
        assert answer == (404, "instance not found" if gone else "Server is pending destruction"), label


def test_a_fault_hits_one_object_by_its_label_in_path_and_body(emulator):
    one, two = (created(emulator, label=label)["id"] for label in ("hit", "missed"))
    fault(emulator, object="hit", status=503, count=2)
    assert emulator.api.get(f"/v2/instances/{two}").status_code == 200
    assert emulator.api.get(f"/v2/instances/{one}").status_code == 503
    body = {"region": "ewr", "ip_type": "v4", "instance_id": one}
    assert emulator.api.post("/v2/reserved-ips", json=body).status_code == 503
    assert emulator.api.get(f"/v2/instances/{one}").status_code == 200


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"path": "x", "statsu": 500}, "Unknown field 'statsu': did you mean 'status'?"),
        ({"hold": "nobody", "state": "locked", "seconds": 1}, "No instances or volumes have the id or label 'nobody'"),
        ({"hold": "wrong", "state": "lokced", "seconds": 1}, "Unknown state 'lokced': did you mean 'locked'?"),
        ({"hold": "wrong", "state": "locked", "seconds": -1}, "Invalid seconds: must be from 0 to 7200 seconds"),
        ({"hold": "wrong", "state": "locked"}, "Invalid seconds: must be from 0 to 7200 seconds, not None"),
        ({"release": "vpc", "seconds": 1}, "Unknown release 'vpc': "),
        ({"release": "vpc_release", "seconds": "long"}, "Invalid seconds"),
        ({"release": "vpc_release", "seconds": 1, "count": 0}, "Invalid count"),
        ({"status": 500}, "Missing required field: path or object"),
    ],
)
def test_wrong_words_of_a_fault_are_refused_with_the_right_ones(emulator, words, text):
    if words.get("hold") == "wrong" and not emulator.api.get("/v2/instances?label=wrong").json()["instances"]:
        created(emulator, label="wrong")
    status, told = refusal(emulator.control.post("/faults", json=words))
    assert status == 400
    assert told.startswith(text)


@pytest.mark.parametrize("body", [{"vpc": 1}, {"vpc_release": "x"}, {"vpc_release": -1}, {"requests": True}])
def test_a_pace_that_cannot_be_is_refused_and_sets_nothing(emulator, body):
    before = emulator.control.get("/pace").json()
    assert emulator.control.post("/pace", json={"pending": 9, **body}).status_code == 400
    assert emulator.control.get("/pace").json() == before


def test_pace_and_faults_are_verbs_of_the_lab(emulator, capsys):
    lab(["--dir", str(emulator.directory), "pace", "vpc_release=900", "requests=0"])
    assert "vpc_release           900   seconds" in capsys.readouterr().out
    assert lab(["--dir", str(emulator.directory), "pace", "vpc_relaese=1"]) == 1
    assert "did you mean 'vpc_release'?" in capsys.readouterr().err
    assert lab(["--dir", str(emulator.directory), "pace", "900"]) == 1
    assert "'900' is not key=value" in capsys.readouterr().err
    lab(["--dir", str(emulator.directory), "pace", "--reset"])
    assert "vpc_release             1 " in capsys.readouterr().out
    assert lab(["--dir", str(emulator.directory), "fault", "hold=nobody", "state=locked", "seconds=1"]) == 1
    assert "No instances or volumes have the id or label 'nobody'" in capsys.readouterr().err
