"""The table of facts: the emulator holds every row, and a run of it rents, tells and cleans up as it promises."""

import os
import signal
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest

from lab.api.testing import Emulator
from lab.truth.account import PREFIX, bill, kinds_of
from lab.truth.table import fits, load
from provider import plugin as vultr
from provider.protocol.base import Failure, encode
from provider.protocol.dispatch import Dispatcher

CHECKOUT = Path(__file__).resolve().parents[2]
TABLES = ("instances", "blocks", "reserved_ips", "vpcs", "firewall_groups", "ssh_keys", "domains")
TABLE = load()


@pytest.fixture
def emulator(tmp_path):
    with Emulator(tmp_path) as running:
        yield running


class Truth:
    """`python -m lab.truth` against the emulator, and what it prints."""

    def __init__(self, emulator, *options, key="a-key"):
        environment = {
            **os.environ, "HTTPS_PROXY": emulator.proxy, "https_proxy": emulator.proxy, "NO_PROXY": "", "no_proxy": "",
            "SSL_CERT_FILE": emulator.info["ca"], "VULTR_API_KEY": key,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.truth", *options], cwd=CHECKOUT, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def until(self, text, seconds=60):
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    @property
    def output(self):
        return "".join(self.lines)

    def end(self, number=None, seconds=120):
        """The exit status, after the signal."""
        if number is not None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=seconds)
        self._reader.join()
        return status


def objects(emulator):
    return {name: len(emulator.state()[name]) for name in TABLES if emulator.state()[name]}


def test_the_emulator_holds_every_row_and_nothing_is_left(emulator):
    emulator.api.post("/v2/instances", json={"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2136, "label": "mine"})
    run = Truth(emulator, "--yes")
    assert run.end() == 0, run.output
    assert "0 differ, 0 skipped\nnothing is left behind" in run.output
    assert "is not as the emulator takes it" not in run.output
    assert objects(emulator) == {"instances": 1}  # not the run's


def test_a_row_that_differs_is_printed_with_its_source(emulator):
    emulator.control.post("/faults", json={"path": "^/v2/vpc2$", "status": 200, "body": {"vpcs": []}, "count": -1})
    run = Truth(emulator, "--yes", "--only", "vpc2-is-gone", "no-key")
    assert run.end() == 1
    assert "DIFFERS  vpc2-is-gone" in run.output
    assert "issues/753\n    GET /v2/vpc2: status 404 expected, was 200" in run.output
    assert "holds    no-key" in run.output


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("making reserved", signal.SIGINT),
        *(  # more moments of the same
            pytest.param(moment, number, marks=pytest.mark.soak)
            for moment, number in (
                ("making ready", signal.SIGTERM),
                ("holds    reserved6-detach", signal.SIGINT),
                ("deleted block", signal.SIGINT),
            )
        ),
    ],
)
def test_an_interrupt_at_any_moment_leaves_nothing(emulator, moment, number):
    run = Truth(emulator, "--yes")
    run.until(moment)
    assert objects(emulator)
    assert run.end(number) in (130, 0 if moment == "deleted block" else 130), run.output
    assert "nothing is left behind" in run.output
    assert objects(emulator) == {}


def test_a_killed_run_is_cleaned_up_by_the_next_one_once_that_is_agreed_to(emulator):
    run = Truth(emulator, "--yes")
    run.until("holds    instance-fields")
    run.end(signal.SIGKILL)
    left = objects(emulator)
    assert left["instances"] == 1
    asked = Truth(emulator, "--only", "no-key")
    assert asked.end() == 2
    assert "an earlier run was killed and left:" in asked.output
    assert "instance apiary-truth-" in asked.output
    assert objects(emulator) == left
    agreed = Truth(emulator, "--yes", "--only", "no-key")
    assert agreed.end() == 0, agreed.output
    assert objects(emulator) == {}


def test_what_it_rents_and_costs_is_told_before_anything_is_made(emulator):
    run = Truth(emulator)
    assert run.end() == 2
    assert "instance (vc2-2c-4gb)         20.00 a month, 0.0298 an hour" in run.output
    assert "reserved                       3.00 a month" in run.output
    assert objects(emulator) == {}
    posted = [name for name in emulator.control.get("/state").json()["requests"] if name.startswith("POST")]
    assert posted == []


def test_an_api_that_goes_away_is_told_with_what_may_be_left(emulator):
    run = Truth(emulator, "--yes")
    run.until("making ready")
    emulator.process.kill()
    assert run.end() == 1
    assert "LEFT BEHIND, and billed; delete it by hand, or run this again" in run.output
    assert f"what is tagged {PREFIX}" in run.output


def test_without_a_key_it_says_how_to_give_one(emulator):
    run = Truth(emulator, "--yes", key="")
    assert run.end() == 2
    assert "VULTR_API_KEY=... make truth" in run.output


def test_a_row_that_does_not_exist_is_named(emulator):
    run = Truth(emulator, "--only", "no-such-row")
    assert run.end() == 1
    assert "there is no row no-such-row" in run.output


def test_every_rented_object_is_in_the_bill():
    kinds = kinds_of(TABLE, list(TABLE.facts))
    lines, total = bill(kinds)
    assert {kind.name for kind in kinds if kind.plan or kind.monthly} == {"reserved", "instance", "block", "reserved6"}
    assert total == pytest.approx((3 + 20 + 1 + 3) / 672)
    assert "prices of 20" in lines[-1]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("facts: [{id: x, fact: f, steps: []}]", "x: a row needs a fact and its source"),
        ("facts: [{id: x, fact: f, source: s, stesp: []}]", "x: unknown stesp"),
        ("facts: [{id: x, fact: f, source: s, needs: [y], steps: [{call: GET /}]}]", "x: there is no object y"),
        ("facts: [{id: x, fact: f, source: s, steps: [{call: GET /, sattus: 1}]}]", "x: unknown sattus"),
        (
            "facts: [{id: x, fact: f, source: s, steps: [{call: GET /, expect: {a: {mtches: b}}}]}]",
            "unknown matcher mtches",
        ),
    ],
)
def test_a_table_with_a_wrong_word_is_refused_by_the_row(tmp_path, change, text):
    file = tmp_path / "facts.yaml"
    file.write_text("objects: {}\n" + change)
    with pytest.raises(ValueError, match=text):
        load(file)


@pytest.mark.parametrize(
    ("matcher", "value", "holds"),
    [
        (0, False, False),
        ("a", "a", True),
        ({"spelling": "full"}, "2001:db8::1", False),
        ({"spelling": "short"}, "2001:0db8::1", False),
        ({"has": {"a": 1}}, [{"a": 2}, {"a": 1, "b": 3}], True),
        ({"has": {"a": 1}}, [], False),
        ({"matches": "a+"}, "aab", False),
    ],
)
def test_a_matcher_tells_what_it_should(matcher, value, holds):
    assert fits(matcher, value) is holds


# --- the plugin ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


def calls(part, **request):
    parts = str(sorted(part.get("inputs", {}).items()))  # one name for each row: two resources have no name in common
    urn = f"urn:pulumi:dev::lab::vultr:index/{part['type']}::{sha256(parts.encode()).hexdigest()[:8]}"
    return {"urn": urn, **{key: encode(value) for key, value in request.items()}}


def made(dispatcher, part, inputs):
    checked = dispatcher.call("Check", calls(part, olds={}, news=inputs))["inputs"]
    return checked, dispatcher.call("Create", calls(part, properties=checked))


@pytest.mark.parametrize("fact", [fact for fact in TABLE.facts if fact.provider], ids=lambda fact: fact.id)
def test_the_plugin_takes_the_fact_as_it_is(region, monkeypatch, fact):
    for name, value in {"HTTPS_PROXY": region.proxy, "SSL_CERT_FILE": region.info["ca"], "NO_PROXY": ""}.items():
        monkeypatch.setenv(name, value)
    part = fact.provider
    dispatcher = Dispatcher(vultr.plugin("2.27.1"))
    dispatcher.call("Configure", {"args": {"apiKey": "bad-key" if part.get("bad_key") else "a-key"}})
    if part["then"] == "refused":
        with pytest.raises(Failure):
            dispatcher.call("Read", calls(part, id="x.example", properties={"domain": "x.example"}, inputs={}))
        return
    if part["then"] == "gone":
        assert dispatcher.call("Read", calls(part, id=part["missing"], properties={}, inputs={})) == {}
        return
    inputs = dict(part["inputs"])
    if parent := part.get("parent"):
        inputs[parent["as"]] = made(dispatcher, parent, parent["inputs"])[1]["id"]
    checked, created = made(dispatcher, part, inputs)
    read = dispatcher.call("Read", calls(part, id=created["id"], properties=created["properties"], inputs=checked))
    assert read["id"] == created["id"]
    request = calls(part, id=created["id"], olds=read["properties"], news=checked, oldInputs=read["inputs"])
    assert dispatcher.call("Diff", request)["changes"] == "DIFF_NONE"
