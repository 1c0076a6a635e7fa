"""What Alertmanager knows to be wrong, kept over an end of it: by itself it remembers only what it has told.

Without it nobody is told that something is over that ended while the monitor was away, as at a reboot or a release.
What is given back is told by Alertmanager's own account of its messages: no second time while it is so, and as over
once, if its beginning was told.

Makes: `Kept`. Leaves alone: when something is wrong (Prometheus says that again, or it ends soon), and the messages.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitor import config
from monitor.rules import HEARTBEAT

FILE = "alerts.json"
# Looks until Prometheus, which has just begun, must have said again what is so; and seconds, however often it looks.
CONFIRMED_LOOKS, CONFIRMED_SECONDS = 8, 20
# Looks for which what is over is kept: until that has been told.
OVER_LOOKS = 12
SECONDS = 5
_FIELDS = ("labels", "annotations", "startsAt", "generatorURL")


class AlertmanagerError(Exception):
    """It does not answer as it should."""


class Kept:
    """The alerts, in a file of their own. `interval`: seconds between two looks."""

    def __init__(self, folder: Path, interval: int, port: int = config.ALERTMANAGER) -> None:
        self._file, self._interval, self._port = folder / FILE, interval, port
        self._alerts: dict[str, dict[str, Any]] = {}
        self._given_back = False
        # A file that was cut off holds nothing that can be used; it is whole at the next look.
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return
        if isinstance(found, dict):
            self._alerts = {
                key: dict(one) for key, one in found.items() if isinstance(one, dict) and {*_FIELDS, "endsAt"} <= {*one}
            }

    def look(self, now: datetime | None = None) -> None:
        """Give back what is kept, the first time, and from then on keep what there is.

        Raises AlertmanagerError, OSError.
        """
        now = now or datetime.now(UTC)
        if not self._given_back:
            self._ask("POST", [self._as_told(one, now) for one in self._alerts.values()])
            self._given_back = True
        self._keep(self._ask("GET"), now)

    def _as_told(self, one: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        soon = now + timedelta(seconds=max(CONFIRMED_LOOKS * self._interval, CONFIRMED_SECONDS))
        return {**one, "endsAt": one["endsAt"] or soon.isoformat()}

    def _keep(self, found: list[dict[str, Any]], now: datetime) -> None:
        there = {
            str(one["fingerprint"]): {**{name: one[name] for name in _FIELDS}, "endsAt": None}
            for one in found
            if one["labels"].get("alertname") != HEARTBEAT
        }
        oldest = now - timedelta(seconds=OVER_LOOKS * self._interval)
        over = {
            key: {**one, "endsAt": one["endsAt"] or now.isoformat()}
            for key, one in self._alerts.items()
            if key not in there
        }
        kept = there | {key: one for key, one in over.items() if datetime.fromisoformat(one["endsAt"]) > oldest}
        if kept != self._alerts:
            beside = self._file.with_suffix(".new")
            beside.write_text(json.dumps(kept))
            beside.replace(self._file)
            self._alerts = kept

    def _ask(self, method: str, told: object = None) -> list[dict[str, Any]]:
        connection = http.client.HTTPConnection(config.HERE, self._port, timeout=SECONDS)
        body = None if told is None else json.dumps(told)
        try:
            connection.request(method, "/api/v2/alerts", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
            if answer.status != http.client.OK:
                raise AlertmanagerError(f"Alertmanager answers {answer.status}: {said[:200]}")
            return json.loads(said) if method == "GET" else []
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AlertmanagerError(f"Alertmanager does not answer: {error!r}") from error
        finally:
            connection.close()
