"""What the region sells: regions, plans and operating systems, as the API lists them.

Only operating systems that the lab can really run are listed; prices and sizes are those of the public list.
"""

from typing import Any, Final

JSON = dict[str, Any]

_PLACES: Final = [
    ("ewr", "New Jersey", "US", "North America"),
    ("ams", "Amsterdam", "NL", "Europe"),
    ("fra", "Frankfurt", "DE", "Europe"),
    ("lhr", "London", "GB", "Europe"),
    ("nrt", "Tokyo", "JP", "Asia"),
    ("sgp", "Singapore", "SG", "Asia"),
    ("syd", "Sydney", "AU", "Australia"),
]
_OPTIONS: Final = ["ddos_protection", "block_storage_high_perf", "block_storage_storage_opt"]

REGIONS: Final[dict[str, JSON]] = {
    id_: {"id": id_, "city": city, "country": country, "continent": continent, "options": list(_OPTIONS)}
    for id_, city, country, continent in _PLACES
}

# id, vCPUs, memory in MB, disk in GB, traffic in GB a month, dollars a month
_SIZES: Final = [
    ("vc2-1c-1gb", 1, 1024, 25, 1024, 5),
    ("vc2-1c-2gb", 1, 2048, 55, 2048, 10),
    ("vc2-2c-2gb", 2, 2048, 65, 3072, 15),
    ("vc2-2c-4gb", 2, 4096, 80, 3072, 20),
    ("vc2-4c-8gb", 4, 8192, 160, 4096, 40),
    ("vc2-6c-16gb", 6, 16384, 320, 5120, 80),
]

PLANS: Final[dict[str, JSON]] = {
    id_: {
        "id": id_,
        "vcpu_count": cpus,
        "ram": ram,
        "disk": disk,
        "disk_count": 1,
        "bandwidth": traffic,
        "monthly_cost": cost,
        "type": "vc2",
        "locations": list(REGIONS),
    }
    for id_, cpus, ram, disk, traffic, cost in _SIZES
}

OSES: Final[dict[int, JSON]] = {
    2136: {"id": 2136, "name": "Debian 12 x64 (bookworm)", "arch": "x64", "family": "debian"},
    2625: {"id": 2625, "name": "Debian 13 x64 (trixie)", "arch": "x64", "family": "debian"},
}

ACCOUNT: Final[JSON] = {
    "name": "Lab Account",
    "email": "admin@example.com",
    "acls": ["manage_users", "subscriptions_view", "subscriptions", "provisioning", "dns", "firewall"],
    "balance": 0,
    "pending_charges": 0,
    "last_payment_date": "2026-01-01T00:00:00+00:00",
    "last_payment_amount": 0,
}
