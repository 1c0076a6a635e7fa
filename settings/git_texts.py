"""The small languages of a git repository that an image is built from.

Makes: one pure function a language, checked text out. Leaves alone: whether the repository exists and has what
is asked of it; the server finds that out when it builds (playbooks/roles/tools/files/apiary-git). Each function
raises ValueError whose message says what is wrong and what to write.
"""

import re
from urllib.parse import urlsplit

from settings.errors import show

_SCP = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>[\w.-]+):(?!//)(?P<path>.+)", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# As git-check-ref-format(1) has it.
_NOT_IN_REFS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_SECRET = re.compile(r"_secrets\^[A-Za-z][A-Za-z0-9_]*")
_PRIVATE = ", and for a private one secret: _secrets^NAME (a token that may read it)"


def url(text: str) -> str:
    """Check the URL of a repository: http or https, a user in it at most; or by SSH, of a user, in either spelling."""
    problem = f'{show(text)} is not the URL of a repository; write e.g. "https://git.example.org/team/site.git"'
    if match := _SCP.fullmatch(text):
        if not match["user"]:
            raise ValueError(
                f"{show(text)} names no user; write git@{text}, or https://{match['host']}/{match['path']}"
            )
        if not re.fullmatch(r"[!-~]+", text) or text.startswith("-"):
            raise ValueError(problem)
        return text
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(problem) from error
    if parts.scheme in ("git", "git+ssh", "file"):
        raise ValueError(f"{show(parts.scheme + '://')} is not used here; write an https:// URL{_PRIVATE}")
    if parts.password is not None:
        # Not repeated: it may be a secret.
        raise ValueError(f"holds a password, which would be kept in plain text; take it out{_PRIVATE}")
    if parts.scheme not in ("http", "https", "ssh") or not usable or not parts.path.strip("/"):
        raise ValueError(problem)
    if parts.query or parts.fragment or not re.fullmatch(r"[!-~]+", text):
        raise ValueError(problem)
    if parts.scheme == "ssh" and not parts.username:
        raise ValueError(f'{show(text)} names no user; write "ssh://git@{parts.netloc}{parts.path}"')
    return text


def is_ssh(text: str) -> bool:
    """Whether a checked URL goes by SSH."""
    return not text.startswith(("http://", "https://"))


def ref(text: str) -> str:
    """Check the name of a branch or a tag."""
    if text.startswith("refs/"):
        raise ValueError(f"{show(text)} is a whole ref; write the bare name, {show(text.split('/', 2)[-1])}")
    if not text or text.startswith(("-", "/", ".")) or text.endswith(("/", ".")) or _NOT_IN_REFS.search(text):
        raise ValueError(f'{show(text)} is not the name of a branch or tag; write e.g. "main" or "v1.2"')
    return text


def commit(text: str) -> str:
    """Check the full name of a commit: 40 hexadecimal digits (64 in a SHA-256 repository)."""
    if not _COMMIT.fullmatch(text):
        raise ValueError(
            f"{show(text)} is not a whole commit; write its 40 digits, as `git rev-parse HEAD` prints them"
        )
    return text


def folder(text: str) -> str:
    """Check a folder of a repository, relative to its top."""
    parts = text.split("/")
    if not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", text) or any(part in ("", ".", "..", ".git") for part in parts):
        raise ValueError(f'{show(text)} is not a folder of the repository; write it from its top on, e.g. "sites/blog"')
    return text


def secret(text: str) -> str:
    """Check a reference to a secret of the stack file; anything else may be the secret itself, and is not repeated."""
    if not _SECRET.fullmatch(text):
        raise ValueError(
            "is no reference to a secret; write _secrets^NAME, and set NAME with pulumi config set --secret"
        )
    return text


def secret_name(text: str) -> str:
    """The name in a checked reference."""
    return text.removeprefix("_secrets^")
