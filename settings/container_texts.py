"""The small languages of containers: environment, ports, volumes, durations.

Makes: one pure function a language, checked and canonical value out, and the values `Port` and `VolumeMount`.
Leaves alone: the models that use them (`containers`), and anything that needs the whole file (`checks`). Each
function raises ValueError whose message says what is wrong and what to write.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal

from settings.errors import kind_of, show
from settings.host_places import is_server, tidy

_LONGEST = 128_000  # bytes; Linux takes 128 KiB (MAX_ARG_STRLEN) with a variable's name and the end
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} (?:UTC|[+-]\d{4})")  # as Go prints it
_BUILD_ARG = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEALTH_TESTS = ("CMD", "CMD-SHELL", "NONE")
_ENV_KEY = re.compile(r"[a-z_][a-z0-9_]*")
_PORT = re.compile(r"(?:(\d{1,9})(?:-(\d{1,9}))?:)?(\d{1,9})(?:-(\d{1,9}))?(?:/(\w+))?", re.ASCII)
_MOST_PORTS = 500  # of one range: each is a rule of the host's firewall
_OPEN = re.compile(r"(tcp|udp)/(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_PATH = re.compile(r"/[^:\x00-\x1f]*")
_VOLUME = "letsencrypt:/etc/letsencrypt:ro"


@dataclass(frozen=True, order=True)
class Port:
    """A published port: `host` on the server's IPv4, `container` inside (and on a static IPv6), `proto` tcp
    or udp.
    """

    host: int
    container: int
    proto: str


@dataclass(frozen=True, order=True)
class OpenPort:
    """Ports `first` to `last` of a container's own address, `proto` tcp or udp."""

    proto: str
    first: int
    last: int

    def __str__(self) -> str:
        """Spell it as the stack file does: `tcp/25565`, `udp/6000-6010`."""
        return f"{self.proto}/{self.first}" + (f"-{self.last}" if self.last > self.first else "")

    def overlaps(self, other: "OpenPort") -> bool:
        """Whether any port lies in both."""
        return self.proto == other.proto and self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class VolumeMount:
    """What is mounted at `path`: a named volume (`name`) or the server's file or folder `host_path`, never both."""

    name: str | None
    host_path: str | None
    path: str
    read_only: bool
    # A folder that is made where it is not there; what is mounted is the same either way.
    is_made: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class DatabaseUse:
    """A database that a container uses: on the application `server`; `name` None for the one named after itself."""

    server: str
    name: str | None


def database_name(text: str) -> str:
    """Check the name of a database and its role: as PostgreSQL and MySQL both take it without ado."""
    if not _DATABASE_NAME.fullmatch(text):
        raise ValueError(
            f"{show(text)} is not a usable name of a database; write lower-case letters, digits and _ , "
            "a letter first, at most 32 characters"
        )
    return text


def parse_database(text: str) -> DatabaseUse:
    """Read a database: `postgres` (the application that serves it), `mysql:shared` (and the database's name)."""
    server, colon, name = text.partition(":")
    if not server or (colon and not name):
        raise ValueError(
            f'{show(text)} is not a database; write the application that serves it, "postgres", '
            'and if need be its name, "postgres:shop"'
        )
    return DatabaseUse(server, database_name(name) if colon else None)


def env_key(text: str) -> str:
    """Check the name of an environment variable, which the stack file writes in lower case."""
    if _ENV_KEY.fullmatch(text):
        return text
    if _ENV_KEY.fullmatch(text.lower()):
        raise ValueError(
            f"environment names are written in lower case; write {show(text.lower())}, or under environment, as it is"
        )
    raise ValueError(
        "not a usable environment name; write lower-case letters, digits and _ , no digit first, or write it under "
        "environment, where names stay as they are"
    )


def variable(text: str) -> str:
    """Check the name of a variable, which reaches the container as it is: anything that Docker takes."""
    if not text or "=" in text:
        raise ValueError('not a name of a variable; write one without "=", such as url or database__client')
    return argument(text)


def variable_value(value: object) -> str | int | bool:
    """Check the value of such a variable; no message repeats it, since it may be a secret."""
    checked = env_value(value)
    if isinstance(checked, list):
        raise ValueError("a variable of environment is one text, not a list; write it as the program wants it")  # noqa: TRY004
    return checked


def env_value(value: object) -> str | int | bool | list[str]:
    """Check an environment value; no message repeats it, since it may be a secret."""
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, str):
                raise ValueError(  # noqa: TRY004 - pydantic takes ValueErrors only
                    f"a list here holds text, not {kind_of(item)}; write each item in quotes"
                )
            argument(item)
            if "," in item:
                raise ValueError("an item holds a comma, which separates items; write the whole value as one text")
        return value
    if isinstance(value, str):
        return argument(value)
    if isinstance(value, (bool, int)):
        return value if abs(value) < 10**18 else _quote_number()
    if isinstance(value, float):
        _quote_number()
    if value is None:
        raise ValueError('is empty; write a value, or "" for an empty one')
    raise ValueError(f"must be text, a whole number, true, false or a list of texts, not {kind_of(value)}")


def _quote_number() -> int:
    raise ValueError("this number may not reach the container as it was written; write it in quotes")


def argument(text: str) -> str:
    """Check text that a program is given, as an argument or a variable; no message repeats it, it may be a secret."""
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("holds a character that no program can be given (NUL or half a surrogate pair); take it out")
    if MOMENT.fullmatch(text):
        raise ValueError(
            "YAML read this as a date or a time, which is handed over in another spelling; write it in quotes"
        )
    if (size := len(text.encode())) > _LONGEST:
        raise ValueError(f"has {size} bytes, and a program can be given {_LONGEST} in one piece; put it into a file")
    return text


def build_arg(text: str) -> str:
    """Check the name of a build argument, which a Dockerfile declares with `ARG`."""
    if not _BUILD_ARG.fullmatch(text):
        raise ValueError("not a usable name of a build argument; write letters, digits and _ , no digit first")
    return text


def health_test(words: list[str]) -> list[str]:
    """Check Docker's health command: it takes any first word, and never runs what stands behind an unknown one."""
    if words and (words[0] not in _HEALTH_TESTS or (words[0] != "NONE") == (len(words) == 1)):
        raise ValueError(
            'is not a health command; write ["CMD", "pg_isready"] (program and arguments), ["CMD-SHELL", "a line for '
            'the shell"] or ["NONE"]'
        )
    return words


def parse_ports(value: object) -> tuple[Port, ...]:
    """Read published ports: `80`, `"8080:80"` (server:container), `"53:53/udp"`, `"6000-6010:6000-6010/udp"`."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(  # noqa: TRY004 - pydantic takes ValueErrors only
            f'must be a port such as 80, "8080:80" or "53:53/udp", not {kind_of(value)}'
        )
    if isinstance(value, int) and 65535 < value < 65536 * 60:
        pair = f"{value // 60}:{value % 60:02d}"
        raise ValueError(
            f"{value} is not a port (1 to 65535); if you wrote {pair}, YAML read it as one number: "
            f'write it in quotes, "{pair}"'
        )
    match = _PORT.fullmatch(show(value) if isinstance(value, int) else value)
    if not match:
        raise ValueError(
            f'{show(value)} is not a port; write 80, "8080:80" (server:container), "53:53/udp" or a range, '
            '"6000-6010:6000-6010" (no address)'
        )
    first, last = int(match[3]), int(match[4] or match[3])
    host = range(int(match[1] or first), int(match[2] or match[1] or last) + 1)
    container = range(first, last + 1)
    if not all(1 <= port <= 65535 for ports in (host, container) for port in (ports.start, ports.stop - 1)):
        raise ValueError(f"{show(value)} is out of range; write a port, 1 to 65535")
    if len(host) != len(container) or not container:
        raise ValueError(f"{show(value)} has not as many ports on both sides; write ranges of one length")
    if len(container) > _MOST_PORTS:
        raise ValueError(
            f"{show(value)} is {len(container)} ports, and {_MOST_PORTS} can be published at once; write fewer, or "
            f'open them on an address of its own: static_ipv6: "2:0:b", open: [{match[5] or "tcp"}/{first}-{last}]'
        )
    if (proto := match[5] or "tcp") not in ("tcp", "udp"):
        raise ValueError(f'{show(value)} names an unknown protocol; write "/tcp" or "/udp"')
    return tuple(Port(outer, inner, proto) for outer, inner in zip(host, container, strict=True))


def parse_open(value: object) -> OpenPort:
    """Read opened ports: `tcp/25565`, or a range, `udp/6000-6010`."""
    match = _OPEN.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{_not_open(value)}; write tcp/25565, udp/19132 or a range, tcp/6000-6010")
    opened = OpenPort(match[1], int(match[2]), int(match[3] or match[2]))
    if not (1 <= opened.first <= 65535 and 1 <= opened.last <= 65535):
        raise ValueError(f"{show(value)} is out of range; write a port, 1 to 65535")
    if opened.last < opened.first:
        raise ValueError(f'{show(value)} ends before it begins; write "{opened.proto}/{opened.last}-{opened.first}"')
    return opened


def _not_open(value: object) -> str:
    if not isinstance(value, str):
        return f"{show(value)} does not say tcp or udp" if type(value) is int else f"is {kind_of(value)}, not a port"
    turned = re.fullmatch(r"(\d+)/(tcp|udp)", value, re.ASCII)
    return f"{show(value)} names the protocol last" if turned else f"{show(value)} is not a port with its protocol"


def parse_volume(text: str) -> VolumeMount:
    """Read a volume: `name:/path`, `name:/path:ro` or `/on/server:/path:ro`; writable unless `:ro`.

    With a slash at its end a path on the server is a folder, which is made; without one it has to be there.
    """
    source, _, rest = text.partition(":")
    path, _, mode = rest.partition(":")
    if not rest or mode not in ("", "ro", "rw") or rest.endswith(":"):
        raise ValueError(f'{show(text)} is not a volume; write "name:/path", "name:/path:ro" or "/host/path:/path:ro"')
    clean = _clean_path(path, text, _VOLUME)
    if source.startswith("/"):
        host_path = _clean_path(source, text, _VOLUME)
        if is_server(host_path, read_only=mode == "ro"):
            readable = is_server(host_path, read_only=True)
            raise ValueError(
                f"{show(text)} would hand the container the whole server, as by its Docker socket; "
                f"{'' if readable else 'only to be read it may be mounted, by :ro at the end, or '}"
                "mount a folder of its own (/srv/...) or a named volume, and start jobs by env: {run_x: +job}"
            )
        return VolumeMount(None, host_path, clean, mode == "ro", is_made=source.endswith("/"))
    if not _VOLUME_NAME.fullmatch(source):
        raise ValueError(
            f"{show(text)} needs a volume's name (two or more of letters, digits, _ . -) "
            "or an absolute path before the colon"
        )
    return VolumeMount(source, None, clean, mode == "ro")


def _clean_path(path: str, whole: str, example: str) -> str:
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise ValueError(f'{show(whole)}: paths are absolute and without ".."; write e.g. "{example}"')
    return tidy(path)


def absolute_path(text: str) -> str:
    """Check a path inside a container."""
    return _clean_path(text, text, "/run")


def duration(text: str) -> str:
    """Respell a duration as Go prints it (`90s` -> `1m30s`): Docker stores it so, and any other spelling
    differs.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f'{show(text)} is not a duration; write e.g. "5s", "500ms" or "1m30s"')
    total = sum(Decimal(number) * _MILLISECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if total != int(total) or total > 24 * 3_600_000:
        raise ValueError(f"{show(text)} is not usable; write whole milliseconds, at most 24h")
    return go_duration(int(total))


def go_duration(milliseconds: int) -> str:
    """Spell a duration of `milliseconds` as Go does: `0s`, `500ms`, `1.5s`, `1m30s`, `1h0m0s`."""
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    spelt = f"{seconds}{fraction}s"
    if hours:
        return f"{hours}h{minutes}m{spelt}"
    return f"{minutes}m{spelt}" if minutes else spelt
