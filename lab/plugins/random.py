"""Stand-in for the official Random plugin: RandomPassword, RandomString, RandomBytes, RandomId.

Values are drawn from the system's cryptographic source, kept in the state, and drawn anew when `keepers` or
any other input changes. Left out: pets, integers, shuffles, UUIDs.
"""

from __future__ import annotations

import base64
import ctypes
import ctypes.util
import secrets

from lab.plugins.framework import FrameworkResource, at_least
from provider.protocol.base import UNKNOWN, CheckFailure, Context, Failure, Plugin, Props
from provider.protocol.bridge import Prop

DIGITS = "0123456789"
LOWER = "abcdefghijklmnopqrstuvwxyz"
UPPER = LOWER.upper()
SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
ITOA64 = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
MINIMA = {"minNumeric": DIGITS, "minLower": LOWER, "minUpper": UPPER}

KEEPERS = Prop("map", of="string", force_new=True)


def flag() -> Prop:
    """A class of characters that may be switched off."""
    return Prop("bool", default=True, force_new=True)


def minimum() -> Prop:
    """How many characters of a class there must be."""
    return Prop("int", default=0, force_new=True)


LENGTH = (
    "The length of the string desired. The minimum value for length is 1 and, length must also be >= "
    "(`min_upper` + `min_lower` + `min_numeric` + `min_special`)."
)
LEAST = {"minUpper": "min_upper", "minLower": "min_lower", "minNumeric": "min_numeric", "minSpecial": "min_special"}
NUMBER = ("number", "numeric")  # the old and the new name of one flag


class RandomString(FrameworkResource):
    """A text of random characters, not a secret. Its id is the text."""

    token = "random:index/randomString:RandomString"  # noqa: S105 (a type's name, here and below)
    schema_version = 2
    required_texts = {"length": LENGTH}  # noqa: RUF012 (never changed)
    properties = {  # noqa: RUF012 (never changed)
        "keepers": KEEPERS,
        "length": Prop("int", required=True, force_new=True, check=at_least("length", 1)),
        "lower": flag(),
        "upper": flag(),
        "number": flag(),
        "numeric": flag(),
        "special": flag(),
        "minLower": minimum(),
        "minUpper": minimum(),
        "minNumeric": minimum(),
        "minSpecial": minimum(),
        "overrideSpecial": Prop("string", force_new=True),
        "result": Prop("string", computed=True, output=True),
    }

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """The least numbers of characters have to fit into the length."""
        inputs, failures = super().check(ctx, olds, news)
        if failures:
            return inputs, failures
        least = [inputs.get(name) or 0 for name in LEAST]
        length = inputs["length"]
        if UNKNOWN not in (length, *least) and int(length) < sum(map(int, least)):
            wanted = f"must be at least sum of {' + '.join(LEAST.values())}, got: {length}"
            failures.append(self._wrong(ctx, "length", f"Invalid Attribute Value. Attribute length value {wanted}"))
        return inputs, failures

    def planned(self, olds: Props | None, inputs: Props, ctx: Context) -> Props:
        """The two names of one flag always show the same value."""
        planned = super().planned(olds, inputs, ctx)
        on = all(inputs.get(name) is not False for name in NUMBER)
        return planned | dict.fromkeys(NUMBER, on)

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Draw it."""
        result = draw(inputs)
        return result, {"result": result}

    def imported(self, id: str) -> tuple[str, Props]:
        """The id is the text."""
        flags = dict.fromkeys(("lower", "upper", "special", *NUMBER), True)
        minima = dict.fromkeys(("minLower", "minUpper", "minNumeric", "minSpecial"), 0)
        return id, {"length": len(id), "result": id, **flags, **minima}


class RandomPassword(RandomString):
    """A secret text and its bcrypt hash. Its id is "none"."""

    token = "random:index/randomPassword:RandomPassword"  # noqa: S105
    schema_version = 3
    properties = {  # noqa: RUF012 (never changed)
        **RandomString.properties,
        "result": Prop("string", computed=True, output=True, secret=True),
        "bcryptHash": Prop("string", computed=True, output=True, secret=True),
    }

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Draw it and hash it."""
        result = draw(inputs)
        return "none", {"result": result, "bcryptHash": bcrypt(result)}

    def imported(self, id: str) -> tuple[str, Props]:
        """The id is the text; it is not kept as an id."""
        return "none", {**super().imported(id)[1], "bcryptHash": bcrypt(id)}


class RandomBytes(FrameworkResource):
    """Secret bytes. The id is their base64 form."""

    token = "random:index/randomBytes:RandomBytes"  # noqa: S105
    has_id = False
    required_texts = {"length": "The number of bytes requested. The minimum value for length is 1."}  # noqa: RUF012 (never changed)
    properties = {  # noqa: RUF012 (never changed)
        "keepers": KEEPERS,
        "length": Prop("int", required=True, force_new=True, check=at_least("length", 1)),
        "base64": Prop("string", computed=True, output=True, secret=True),
        "hex": Prop("string", computed=True, output=True, secret=True),
    }

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Draw them."""
        data = secrets.token_bytes(int(inputs["length"]))
        text = base64.b64encode(data).decode()
        return text, {"base64": text, "hex": data.hex()}

    def imported(self, id: str) -> tuple[str, Props]:
        """The id holds the bytes."""
        try:
            data = base64.b64decode(id, validate=True)
        except ValueError as error:
            raise Failure(
                "Import Random bytes Error: There was an error during the parsing of the base64 string."
            ) from error
        return id, {"length": len(data), "base64": id, "hex": data.hex()}


class RandomId(FrameworkResource):
    """Bytes that are no secret, in four spellings with a prefix. The id is the URL-safe one without it."""

    token = "random:index/randomId:RandomId"  # noqa: S105
    required_texts = {  # noqa: RUF012 (never changed)
        "byteLength": "The number of random bytes to produce. The minimum value is 1, which produces eight "
        "bits of randomness."
    }
    properties = {  # noqa: RUF012 (never changed)
        "keepers": KEEPERS,
        "byteLength": Prop("int", required=True, force_new=True),
        "prefix": Prop("string", force_new=True),
        "b64Url": Prop("string", computed=True, output=True),
        "b64Std": Prop("string", computed=True, output=True),
        "hex": Prop("string", computed=True, output=True),
        "dec": Prop("string", computed=True, output=True),
    }

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Draw them."""
        return spelled(secrets.token_bytes(int(inputs["byteLength"])), inputs.get("prefix") or "")

    def imported(self, id: str) -> tuple[str, Props]:
        """The id is the URL-safe form, after `<prefix>,` if there is a prefix."""
        prefix, comma, text = id.rpartition(",")
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError as error:
            raise Failure(f"Import Random ID Error: {error}") from error
        id, outputs = spelled(data, prefix)
        return id, {"byteLength": len(data), "prefix": prefix if comma else None, **outputs}


def spelled(data: bytes, prefix: str) -> tuple[str, Props]:
    """Id and outputs of a RandomId."""
    id = base64.urlsafe_b64encode(data).decode().rstrip("=")
    standard = base64.b64encode(data).decode()
    numbers = {"hex": prefix + data.hex(), "dec": prefix + str(int.from_bytes(data, "big"))}
    return id, {"b64Url": prefix + id, "b64Std": prefix + standard, **numbers}


def draw(inputs: Props) -> str:
    """A random text with the wanted length and at least the wanted number of each class."""
    special = inputs.get("overrideSpecial") or SPECIAL
    classes = {"upper": UPPER, "lower": LOWER, "special": special}
    allowed = "".join(chars for name, chars in classes.items() if inputs.get(name) is not False)
    allowed += DIGITS if inputs.get("numeric") is not False else ""
    if not allowed:
        raise Failure("Random Read Error: the character set specified is empty")
    needed = [(chars, int(inputs.get(name) or 0)) for name, chars in {**MINIMA, "minSpecial": special}.items()]
    chosen = [secrets.choice(chars) for chars, count in needed for _ in range(count)]
    chosen += [secrets.choice(allowed) for _ in range(int(inputs["length"]) - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def bcrypt(text: str) -> str:
    """The bcrypt hash (cost 10) of the text's first 72 bytes, by the system's crypt library."""
    data = text.encode()[:72]
    salt = "".join(secrets.choice(ITOA64) for _ in range(21)) + secrets.choice(".Oeu")
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt_r.restype = ctypes.c_char_p
    room = ctypes.create_string_buffer(1 << 16)  # crypt_r's working memory is about 32 KiB
    result = library.crypt_r(data, f"$2a$10${salt}".encode(), room)
    if not result or not result.startswith(b"$2a$"):
        raise Failure("Hash Generation Error: the system's crypt library knows no bcrypt")
    return str(result.decode())


def plugin(version: str) -> Plugin:
    """The plugin, for the launcher."""
    return Plugin("random", version, [RandomPassword(), RandomString(), RandomBytes(), RandomId()])
