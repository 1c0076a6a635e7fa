"""An API in memory, as far as the provider's promises need one, and the engine's calls to a provider in front of it.

Objects live in collections by path. What is odd about an answer is said by a test: a rule sees each request first,
and answers, or does something and lets it pass. Time is the test's: waiting takes none.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from provider import clock, transport
from provider import plugin as vultr
from provider.protocol.base import PartialFailure, decode, encode
from provider.protocol.dispatch import Dispatcher

JSON = dict[str, Any]
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Rule = Callable[[str, str, JSON | None], Answer | None]
MISSING = "Not found."
# Path of a collection: wrapper of one object, of the list, and what a new one has beside what it was given.
COLLECTIONS: dict[str, tuple[str, str, JSON]] = {
    r"/v2/ssh-keys": ("ssh_key", "ssh_keys", {"date_created": "now"}),
    r"/v2/vpcs": ("vpc", "vpcs", {"date_created": "now", "v4_subnet": "10.1.0.0", "v4_subnet_mask": 20}),
    r"/v2/reserved-ips": ("reserved_ip", "reserved_ips", {"subnet": "192.0.2.9", "subnet_size": 32, "instance_id": ""}),
    r"/v2/domains": ("domain", "domains", {"date_created": "now", "dns_sec": "disabled"}),
    r"/v2/domains/[^/]+/records": ("record", "records", {"priority": -1, "ttl": 300}),
    r"/v2/firewalls": (
        "firewall_group",
        "firewall_groups",
        {"date_created": "now", "date_modified": "now", "instance_count": 0, "rule_count": 0, "max_rule_count": 50},
    ),
    r"/v2/firewalls/[^/]+/rules": ("firewall_rule", "firewall_rules", {"port": "", "source": "", "notes": ""}),
    r"/v2/blocks": (
        "block",
        "blocks",
        {
            "date_created": "now",
            "cost": 1,
            "status": "active",
            "attached_to_instance": "",
            "mount_id": "m",
            "block_type": "",
        },
    ),
    r"/v2/instances": (
        "instance",
        "instances",
        {
            **dict.fromkeys(("os", "kvm", "internal_ip", "firewall_group_id", "hostname"), ""),
            **dict.fromkeys(("ram", "disk", "vcpu_count", "allowed_bandwidth", "app_id"), 1),
            "main_ip": "192.0.2.9",
            "netmask_v4": "255.255.254.0",
            "gateway_v4": "192.0.2.1",
            "v6_network": "2001:db8:1:2::",
            "v6_main_ip": "2001:0db8:0001:0002:5400:04ff:fe46:5f38",
            "v6_network_size": 64,
            "status": "active",
            "server_status": "ok",
            "power_status": "running",
            "user_scheme": "root",
            "date_created": "now",
            "features": [],
            "tags": [],
            "vpcs": [],
        },
    ),
}


class FakeApi:
    """The account: `objects` by the path of their collection and their id."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, JSON]] = {}
        self.reverse: dict[str, list[JSON]] = {}  # by the path of the list
        self.rules: list[Rule] = []
        self.asked: list[tuple[str, str, JSON | None]] = []
        self.at: list[float] = []  # when
        self.one_ttl = True  # for all records of a name and type, as Vultr wants it
        self.now = 1000.0
        self.rests: list[float] = []
        self.lock = threading.RLock()
        self.numbers = itertools.count(1)

    # As the provider meets it

    def attempt(self, method: str, path: str, body: Any) -> tuple[int, dict[str, str], str]:
        """In place of one HTTP request."""
        said = json.loads(json.dumps(body))
        with self.lock:
            self.asked.append((method, path, said))
            self.at.append(self.now)
            for rule in self.rules:
                answer = rule(method, path, said)
                if answer is not None:
                    break
            else:
                answer = self.answer(method, path, said)
        status, content, *headers = answer
        if status == 0:
            raise transport._Unanswered(ConnectionResetError("closed by the other side"), sent=True)
        text = content if isinstance(content, str) else "" if content is None else json.dumps(content)
        return status, dict(*headers), text

    def rest(self, seconds: float, cancelled: threading.Event) -> bool:
        """In place of sleeping."""
        self.rests.append(seconds)
        self.now += seconds
        return cancelled.is_set()

    def answer(self, method: str, path: str, body: JSON | None) -> Answer:
        """What the API does when nothing is wrong."""
        path, _, query = path.partition("?")
        if path in self.reverse and method == "GET":
            return 200, {"ipv4s" if path.endswith("/ipv4") else "reverse_ipv6s": self.reverse[path]}
        if found := re.fullmatch(r"(/v2/instances/[^/]+)/backup-schedule", path):
            return 200, {"backup_schedule": {"enabled": False}}
        if found := re.fullmatch(r"(/v2/.+)/([^/]+)/(attach|detach)", path):
            return self._place(found[1], found[2], found[3], body or {})
        if collection := self._collection(path):
            return self._collected(method, path, query, body, collection)
        parent, _, id = path.rpartition("/")
        if collection := self._collection(parent):
            return self._one(method, parent, id, body, collection)
        return 404, {"error": MISSING, "status": 404}

    @staticmethod
    def _collection(path: str) -> tuple[str, str, JSON] | None:
        return next((kind for pattern, kind in COLLECTIONS.items() if re.fullmatch(pattern, path)), None)

    def _collected(self, method: str, path: str, query: str, body: JSON | None, kind: tuple[str, str, JSON]) -> Answer:
        entries = self.objects.setdefault(path, {})
        if method == "POST":
            return self._mixed(path, "", {**kind[2], **(body or {})}) or (
                201,
                {kind[0]: self.put(path, **(body or {}))},
            )
        size = int((re.search(r"per_page=(\d+)", query) or [0, 100])[1])
        start = int((re.search(r"cursor=(\d+)", query) or [0, 0])[1])
        page = list(entries.values())[start : start + size]
        after = str(start + size) if start + size < len(entries) else ""
        return 200, {kind[1]: page, "meta": {"total": len(entries), "links": {"next": after, "prev": ""}}}

    def _one(self, method: str, path: str, id: str, body: JSON | None, kind: tuple[str, str, JSON]) -> Answer:
        entries = self.objects.get(path, {})
        if id not in entries:
            return 404, {"error": MISSING, "status": 404}
        if method == "DELETE":
            del entries[id]
            return 204, None
        if method in ("PATCH", "PUT"):
            if mixed := self._mixed(path, id, {**entries[id], **(body or {})}):
                return mixed
            entries[id].update({k: v for k, v in (body or {}).items() if not k.endswith("_vpc")})
            return 204, None
        return 200, {kind[0]: entries[id]}

    def _mixed(self, path: str, id: str, record: JSON) -> Answer | None:
        """The refusal of a record that would have another TTL than those of its name and type."""
        others = [entry for other, entry in self.objects[path].items() if other != id] if "ttl" in record else []
        same = [entry for entry in others if (entry["name"], entry["type"]) == (record["name"], record["type"])]
        if not self.one_ttl or all(entry["ttl"] == record["ttl"] for entry in same):
            return None
        return refused(400, "New records TTL must match the TTL of existing records")

    def _place(self, path: str, id: str, action: str, body: JSON) -> Answer:
        entry = self.objects.get(path, {}).get(id)
        if entry is None:
            return 404, {"error": MISSING, "status": 404}
        field = "attached_to_instance" if path == "/v2/blocks" else "instance_id"
        entry[field] = body["instance_id"] if action == "attach" else ""
        return 204, None

    # As a test sees it

    def put(self, path: str, **fields: Any) -> JSON:
        """An object in the account; its fields as the API spells them."""
        kind = self._collection(path)
        assert kind is not None, path
        id = next(self.numbers)
        new = {"id": id if path.endswith("/rules") else f"id-{id}", **kind[2], **fields}
        if path == "/v2/domains":
            new.pop("id")
        self.objects.setdefault(path, {})[str(new.get("id", new.get("domain")))] = new
        return new

    def requests(self, method: str = "") -> list[str]:
        """The requests so far, lists without their query."""
        return [f"{m} {p.partition('?')[0]}" for m, p, _ in self.asked if method in ("", m)]

    def fail(self, method: str, pattern: str, *answers: Answer, after: bool = False) -> None:
        """Answer the next matching requests so, one each; with `after` their work is done all the same."""
        left = list(answers)

        def rule(asked: str, path: str, body: JSON | None) -> Answer | None:
            if not left or asked != method or not re.search(pattern, path):
                return None
            if after:
                self.answer(asked, path, body)
            return left.pop(0)

        self.rules.append(rule)


def refused(status: int, text: str = "refused") -> Answer:
    """An error as the API words them."""
    return status, {"error": text, "status": status}


class Engine:
    """The engine's calls to one process of the provider."""

    def __init__(self, api: FakeApi, monkeypatch: pytest.MonkeyPatch, key: str = "EXAMPLE-API-KEY") -> None:
        monkeypatch.setattr(transport.Transport, "_attempt", lambda _, *request: api.attempt(*request[:3]))
        monkeypatch.setattr(clock, "rest", api.rest)
        monkeypatch.setattr(clock, "now", lambda: api.now)
        monkeypatch.setattr(clock, "sleep", lambda seconds: api.rest(seconds, threading.Event()))
        self.api, self.monkeypatch = api, monkeypatch
        self.plugin = vultr.plugin("2.27.1")
        self.logged: list[tuple[str, str, bool]] = []
        self.plugin.sink = lambda message, severity, urn, ephemeral: self.logged.append((message, severity, ephemeral))
        self.dispatcher = Dispatcher(self.plugin)
        self.dispatcher.call("Configure", {"args": {"apiKey": key}})

    def again(self, key: str = "EXAMPLE-API-KEY", api: FakeApi | None = None) -> Engine:
        """Another process, after the first has been killed; with another key, or account."""
        return Engine(api or self.api, self.monkeypatch, key)

    def __call__(self, method: str, kind: str, resource: str = "x", **request: Any) -> JSON:
        token = f"vultr:index/{kind[0].lower()}{kind[1:]}:{kind}"
        urn = f"urn:pulumi:prod::apiary::{token}::{resource}"
        return self.dispatcher.call(method, {"urn": urn, **{k: encode(v) for k, v in request.items()}})

    def inputs(self, kind: str, **news: Any) -> JSON:
        """The checked inputs."""
        return dict(self("Check", kind, olds={}, news=news)["inputs"])

    def create(self, kind: str, resource: str = "x", **news: Any) -> JSON:
        """The outputs of a new object, its id among them."""
        return dict(decode(self("Create", kind, resource, properties=self.inputs(kind, **news))["properties"]))

    def partly(self, method: str, kind: str, **request: Any) -> PartialFailure:
        """The failure of a call that left something in the state."""
        with pytest.raises(PartialFailure) as failure:
            self(method, kind, **request)
        return failure.value
