"""Values that may not stand in a stack file: which they are, by the names of variables, and what they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SECRET = re.compile(
    r"PASS(?:WORD|WD|PHRASE|CODE)?(?:$|_)|PASSWORD|PWD$|SECRET|TOKEN|CREDENTIAL|SALT$|(?:^|_)(?:AUTH|API|ACCESS|PRIVATE|ENCRYPTION|MASTER|"
    r"SIGNING|APP|LICEN[SC]E)_?KEY|KEY_?BASE|_KEYS?$|^KEY$|BASICAUTH|REDIS(?:CLI)?_AUTH$|PW$|(?:^|_)(?:JWT|IV)$|"
    r"(?:ERLANG|RELEASE)_COOKIE$|KEYFILE_CONTENT$",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"(?:_FILE|_PATH|_DIR|(?<!TOKEN)_ID|_URL|_URI|_HOST|_LENGTH|_TTL|_EXPIR\w*|_LIFETIME|_TIMEOUT|_ENABLED?|PUBLIC_KEY|KEY_TYPE)$"
    r"|PUBLIC|^PASS_",
    re.IGNORECASE,
)
# `UI_AUTH: anna:her-password`
_LOGIN, _BOTH = re.compile(r"AUTH$", re.IGNORECASE), re.compile(r"[^\s:/]+:[^\s/]{4,}")
_TRIVIAL = re.compile(r"|true|false|yes|no|on|off|none|null|\d{1,4}|/.*", re.IGNORECASE)


def is_secret(name: str, value: str) -> bool:
    """Whether the value of a variable may not stand in a file that people share."""
    if _TRIVIAL.fullmatch(value) or _NO_SECRET.search(name):
        return False
    return bool(_SECRET.search(name) or (_LOGIN.search(name) and _BOTH.fullmatch(value)))


@dataclass
class Secrets:
    """Values that may not stand in a stack file, by the name that refers to them."""

    values: dict[str, str] = field(default_factory=dict, repr=False)

    def name(self, wanted: str, value: str) -> str:
        """Return the name of a secret, that of before where the same value has one."""
        for name, known in self.values.items():
            if value and known == value:
                return name
        name = base = re.sub(r"[^A-Za-z0-9_]", "_", wanted).lower().strip("_") or "secret"
        base = name = base if base[0].isalpha() else f"s_{base}"
        number = 2
        while name in self.values:
            name, number = f"{base}_{number}", number + 1
        self.values[name] = value
        return name
