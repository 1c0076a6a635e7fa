"""What the region sells: regions, plans and operating systems, as the API lists them.

The data are in catalogue.json, with their date and sources: prices and locations move.
"""

import json
from pathlib import Path
from typing import Any, Final

JSON = dict[str, Any]

_DATA: Final[JSON] = json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))
DATE: Final[str] = _DATA["about"]["date"]

REGIONS: Final[dict[str, JSON]] = {
    row[0]: dict(zip(("id", "city", "country", "continent", "options"), row, strict=True)) for row in _DATA["regions"]
}
_SIZES: Final = ("id", "vcpu_count", "ram", "disk", "disk_count", "bandwidth", "monthly_cost", "type")
PLANS: Final[dict[str, JSON]] = {
    row[0]: {**dict(zip(_SIZES, row[:-1], strict=True)), "locations": _DATA["locations"][row[-1]].split()}
    for row in _DATA["plans"]
}
OSES: Final[dict[int, JSON]] = {
    number: {"id": number, "name": name, "arch": "x64", "family": family} for number, name, family in _DATA["os"]
}
HOURS: Final = 672  # a month is never billed for more hours than these

ACCOUNT: Final[JSON] = {
    "name": "Lab Account",
    "email": "admin@example.com",
    "acls": ["manage_users", "subscriptions_view", "subscriptions", "provisioning", "dns", "firewall"],
    "balance": 0,
    "pending_charges": 0,
    "last_payment_date": "2026-01-01T00:00:00+00:00",
    "last_payment_amount": 0,
}
