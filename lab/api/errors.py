"""Errors of the API, as `{"error": "...", "status": N}`.

The texts in GONE, TOKEN, PLAN, ATTACHED, NOT_ATTACHED and VPC_IN_USE are those clients match or users have
reported. Every other message of the emulator is wording of its own: right status, plausible text.
"""

from typing import Final

TOKEN: Final = "Invalid API token."  # noqa: S105 - the text of a refusal
PLAN: Final = "Invalid plan chosen."
ATTACHED: Final = "Floating IPv4 address is already attached to another server"
NOT_ATTACHED: Final = "Reserved IP is not attached"
VPC_IN_USE: Final = "The following servers are attached to this VPC network: "

#: What a read answers when the object does not exist; clients search the body for exactly these bytes.
GONE: Final = {
    "instances": "invalid instance ID",
    "ssh_keys": "Invalid ssh key ID",
    "reserved_ips": "Invalid reserved-ip ID",
    "firewall_groups": "Invalid firewall group ID",
    "firewall_rules": "Firewall rule ID not found",
    "domains": "Invalid domain",
    "records": "Invalid record ID",
    "vpcs": "Invalid VPC ID",
    "vpc2s": "Invalid VPC 2.0 ID",
    "blocks": "Invalid block storage ID",
    "object_storages": "Invalid object storage ID",
    "vfs": "Subscription ID Not Found.",
    "load_balancers": "Invalid load balancer ID",
}


class ApiError(Exception):
    """A refusal that is sent to the client as it is: HTTP `status` and one sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def body(self) -> dict[str, object]:
        """The JSON object of the answer."""
        return {"error": self.message, "status": self.status}


def gone(kind: str) -> ApiError:
    """The 404 for an object of `kind` (a key of GONE) that does not exist."""
    return ApiError(404, GONE[kind])


def refused(message: str) -> ApiError:
    """A 400 with this message."""
    return ApiError(400, message)
