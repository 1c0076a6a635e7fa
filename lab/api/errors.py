"""Errors of the API, as `{"error": "...", "status": N}`.

The texts in this module are those clients match or users have reported; where, is said by the table of
expectations (lab/truth/facts.yaml). Every other message of the emulator is wording of its own: right status,
plausible text.
"""

from typing import Final

TOKEN: Final = "Invalid API token."  # noqa: S105 - the text of a refusal
PLAN: Final = "Invalid plan chosen."
ATTACHED: Final = "Floating IPv4 address is already attached to another server"
ADD_FAILED: Final = f"Server add failed: {ATTACHED}"
LOCKED: Final = "Server is currently locked"
NOT_REMOVED: Final = f"Unable to destroy server: Unable to remove VM: {LOCKED}"
PENDING_DESTRUCTION: Final = "Server is pending destruction"
ALREADY_DESTROYED: Final = "Unable to destroy server: Server is already pending destruction."
RESTART_FIRST: Final = "Unable to detach subnet, please restart your server from the control panel"
NOTHING_TO_CHANGE: Final = "Nothing to change"
NOT_FOUND: Final = "Not found."
ONE_QUOTE: Final = "Record data must be enclosed in quotes"
INNER_QUOTE: Final = "Quotes may only appear at the beginning and end of the data"
OTHER_TTL: Final = "Unable to {} record: New records TTL ({}) must match the TTL of existing records ({})"
NOT_ATTACHED: Final = "Reserved IP is not attached"
VPC_IN_USE: Final = "The following servers are attached to this VPC network: "

#: What a read answers when the object does not exist.
GONE: Final = {
    "instances": "instance not found",
    "ssh_keys": "Invalid ssh key ID",
    "reserved_ips": "Invalid reserved-ip ID.",
    "firewall_groups": "Invalid firewall group ID",
    "firewall_rules": "Firewall rule ID not found.",
    "domains": "Invalid domain",
    "records": "Invalid record ID",
    "vpcs": "VPC not found.",
    "blocks": "Invalid block storage ID.",
    "object_storages": "Invalid object storage ID",
    "vfs": "Subscription ID Not Found.",
    "load_balancers": "Invalid load balancer ID",
}


class ApiError(Exception):
    """A refusal that is sent to the client as it is: HTTP `status` and one sentence."""

    def __init__(self, status: int, message: str, before: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self._before = before or {}  # fields that some errors have besides, first

    def body(self) -> dict[str, object]:
        """The JSON object of the answer."""
        return {**self._before, "error": self.message, "status": self.status}


def gone(kind: str) -> ApiError:
    """The 404 for an object of `kind` (a key of GONE) that does not exist."""
    return ApiError(404, GONE[kind], {"is_external_error": False} if kind == "vpcs" else None)


def refused(message: str) -> ApiError:
    """A 400 with this message."""
    return ApiError(400, message)
