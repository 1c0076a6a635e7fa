"""What can go wrong between this provider and the API, in words for the person who reads them."""

from __future__ import annotations

import json

from provider.protocol.base import Failure

ADVICE = {
    401: (
        "the API key is refused. Set one that is valid with `pulumi config set --secret vultr:apiKey KEY` (or the "
        "environment variable VULTR_API_KEY), and allow this machine's addresses, IPv6 too, under Account > API > "
        "Access Control in Vultr's portal"
    ),
    403: (
        "the user of this API key may not do that. Give it the right in Vultr's portal (Account > Users), or set "
        "another key: `pulumi config set --secret vultr:apiKey KEY`"
    ),
    408: "Vultr did not get all of the request in time; say it again, it goes on from there",
    404: "what the request names is not there; `pulumi refresh` looks what else has gone",
    429: "the account's limit of requests is used up by something else; say it again in some minutes",
}
FAULT = "that is a fault at Vultr (https://status.vultr.com); say it again, it goes on from there"
NETWORK = "see to the network, and to HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE if they are set; then say it again"
SHOWN = 300  # characters of an answer that an error shows


class ApiError(Failure):
    """A request that was not answered with success. `status` 0: not answered at all.

    `sent`: whether the API may have done what it was asked for, although it did not say so.
    """

    def __init__(self, method: str, path: str, status: int, said: str, *, sent: bool) -> None:
        self.method, self.path, self.status = method, path, status
        self.said = refusal(said)
        self.sent = sent
        answered = f"was answered {status}: {self.said}" if status else f"was not answered: {self.said}"
        advice = ADVICE.get(status, FAULT if status >= 500 else NETWORK if not status else "")
        super().__init__(f"{method} {path} {answered}" + (f" ({advice})" if advice else ""))

    @property
    def gone(self) -> bool:
        """Whether the object that the path names does not exist: status 404, and nothing else."""
        return self.status == 404

    def says(self, *words: str) -> bool:
        """Whether the API's own text holds one of `words`, whatever the case."""
        return any(word.lower() in self.said.lower() for word in words)


class BadAnswer(ApiError):
    """A success or 404 whose content can't be read: it says nothing of the object, least of all that it is gone."""

    gone = False

    def __init__(self, method: str, path: str, status: int, said: str, what: str) -> None:
        super().__init__(method, path, status, said, sent=True)
        self.args = (
            f"{method} {path} was answered {status}, but {what}: {said[:SHOWN]!r} (not Vultr's API, or a fault of it: "
            "see who answers there, a proxy perhaps; nothing was concluded from it)",
        )


class Interrupted(Failure):
    """The user does not want to wait any longer."""


def is_object(said: str) -> bool:
    """Whether an answer is a JSON object, as all errors of the API are."""
    try:
        return isinstance(json.loads(said), dict)
    except ValueError:
        return False


def refusal(said: str) -> str:
    """The `error` of the API's JSON; another text is shown as it is, shortened."""
    try:
        parsed = json.loads(said)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict) and isinstance(parsed.get("error"), str):
        return str(parsed["error"])
    return said.strip()[:SHOWN] or "without a word"
