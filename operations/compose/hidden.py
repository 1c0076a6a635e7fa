"""Secrets of commands and health commands, put where nobody reads them.

Makes: `hide`, once every service has said its secrets: a command is told to all who look at a container or at the
processes of a server. What becomes of one, the first that can be:

    a configuration of Redis and its kin, as a file that is their user's alone
    the program's own variable for an option (programs.py)
    a variable that a shell puts in, where one runs the command anyway, before an image's entrypoint that is known, and
    in health commands

Anything else is refused, since a shell that the image may not have would have to be put before what is not known.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from operations.coming.entries import content, written
from operations.coming.images import named
from operations.coming.secrets import is_secret
from operations.compose import access, programs
from operations.compose.scene import One
from settings.checks.images import USERS
from settings.references import Reference, SecretRef, UserSecretRef

WOULD_STAND = (
    "would stand in it for all to read; have the program read its environment, or a shell put it in: "
    """[sh, -c, 'exec PROGRAM "$$NAME"']"""
)
_SHORTEST = 8  # characters; shorter ones stand in texts by chance
_SHELL, _SHELL_TEXT = re.compile(r"(?:.*/)?(?:sh|ash|dash|bash)"), re.compile(r"-[a-z]*c")
_REDIS_FILE = "/usr/local/etc/redis.conf"


@dataclass(frozen=True)
class _Secret:
    value: str
    reference: Reference
    variable: str  # that holds it
    is_of_url: bool = False  # known from the place of a URL's password alone

    def stands(self, text: str, at: int) -> bool:
        """Whether a text has it there; a word only where it is a whole one, or in its place in a URL."""
        if not text.startswith(self.value, at):
            return False
        around = text[max(0, at - 1) : at] + text[at + len(self.value) : at + len(self.value) + 1]
        return is_told(self.value) or (around == ":@" if self.is_of_url else not re.search(r"\w", around))

    def is_in(self, text: str) -> bool:
        """Whether a text has it anywhere."""
        return any(self.stands(text, match.start()) for match in re.finditer(re.escape(self.value), text))


def is_told(value: str) -> bool:
    """Whether a value says by itself that it is meant, wherever it stands: no word, and not short."""
    return len(value) >= _SHORTEST and not value.isalpha()


def learn(one: One, words: Sequence[str]) -> None:
    """Know of a secret that a command says by an option, or in a URL, before it is looked for."""
    if (said := _said(words)) is not None:
        one.scene.secrets.name(f"{one.entry.name}_{said[0].lstrip('-')}", said[1])
    known = {value for server in one.scene.servers.values() for value in server.passwords}
    for user, password in access.logins(words):
        if password not in known and password != user:  # `guest:guest` is none
            one.scene.secrets.name(f"{one.entry.name}_{user or 'url'}_password", password)


def hide(one: One) -> None:
    """Take the secrets out of a service's command, entrypoint and health command; refuse where they can't be."""
    said: set[str] = set()  # by options: also words, as which they stand in its health command
    for word in ("entrypoint", "command"):
        words = one.entry.settings.get(word)
        if isinstance(words, list):
            option = _said(words)
            said |= {option[1]} if option else set()
            if found := _found(one, word, words, said):
                _hide(one, word, words, found)
    health = one.entry.settings.get("health")
    test = health.get("test") if isinstance(health, dict) else None
    if isinstance(health, dict) and isinstance(test, list) and (found := _found(one, "health", test, said)):
        kind, *words = test
        made = _in_shell(" ".join(words), found) if kind == "CMD-SHELL" else None
        if kind != "CMD-SHELL" and named(one.image) in programs.BY_ENTRYPOINT:
            made = _line(words, found)
        if made is None:
            _refuse(one, "health", found)
            return
        health["test"] = ["CMD-SHELL", made]
        _told(one, "health", found, "has a shell put it in from")


def _found(one: One, word: str, words: Sequence[str], said: Collection[str]) -> list[_Secret]:
    """The secrets of a command, the longest first. Refuses the password of a database that it does not use."""
    line, known = "\n".join(words), dict[str, Reference]()
    in_urls = {password for _, password in access.logins(words)}
    for name, value in one.scene.secrets.values.items():
        if is_told(value) or value in said or value in in_urls:
            known[value] = UserSecretRef(name)
    for app, server in one.scene.servers.items():
        for value in server.passwords:
            if not (is_told(value) or value in in_urls):
                continue
            if app in one.client.uses:
                database = one.client.uses[app] if one.client.more.get(app) else None
                known[value] = SecretRef(app, database, "password")
            elif value in line and value not in said:
                at = one.entry.source_of((word,)) or one.at(word)
                one.told.cannot(at, f"the password of {app}, which is a generated one now, {WOULD_STAND}")
                return []
    found = [
        _Secret(value, known[value], _variable(one, known[value]), value in in_urls and value not in said)
        for value in sorted(known, key=len, reverse=True)
    ]
    return [secret for secret in found if secret in _met(line, found)]


def _met(text: str, secrets: Sequence[_Secret]) -> list[_Secret]:
    """Those that stand in a text, of which the first one counts where one begins with another."""
    met, at = list[_Secret](), 0
    while at < len(text):
        secret = next((one for one in secrets if one.stands(text, at)), None)
        met += [secret] if secret else []
        at += len(secret.value) if secret else 1
    return met


def _said(words: Sequence[str]) -> tuple[str, str] | None:
    """An option whose value is a secret, and that: `--requirepass hush`, `--token=hush`; not `--pass $NAME`."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        flag, sign, value = word.partition("=")
        value = value if sign else following
        name = flag.lstrip("-").replace("-", "_")
        if flag.startswith("-") and not value.startswith("-") and "$" not in value and is_secret(name, value):
            return flag, value
    return None


def _variable(one: One, reference: Reference) -> str:
    """A variable of the service that holds it already, or a new one."""
    variables = one.entry.settings.get("environment")
    given = variables if isinstance(variables, dict) else {}
    spelt = written([reference])
    if same := next((name for name, value in given.items() if value == spelt and name.isidentifier()), None):
        return str(same)
    said = reference.name if isinstance(reference, UserSecretRef) else f"{spelt.strip('_').replace('^', '_')}"
    name = base = re.sub(r"\W", "_", said).upper()
    number = 2
    while name in given:
        name, number = f"{base}_{number}", number + 1
    return name


def _hide(one: One, word: str, words: list[str], found: Sequence[_Secret]) -> None:
    image = named(one.image)
    alone = word == "command" and "entrypoint" not in one.entry.settings
    if alone and image in programs.REDIS and _in_a_file(one, programs.REDIS[image], words, found):
        return
    if word == "command" and _in_variables(one, words, found):
        return
    at = _shell_text(one, word, words)
    if at is not None and (made := _in_shell(words[at], found)) is not None and not _left(words, at, found):
        words[at] = made
        _told(one, word, found, "has the shell put it in from")
    elif alone and image in programs.BY_ENTRYPOINT:
        del one.entry.settings["command"]
        one.entry.put("entrypoint", ["sh", "-c", f"exec {programs.ENTRYPOINT} {_line(words, found)}"], one.at(word))
        _told(one, word, found, "has a shell before the image's entrypoint put it in from")
    else:
        _refuse(one, word, found)


def _in_a_file(one: One, program: str, words: list[str], found: Sequence[_Secret]) -> bool:
    """Options with secrets as lines of a configuration, where the whole value of each is one that can be quoted."""
    by_value = {secret.value: secret for secret in found}
    options = words[1:] if words[0] == program else words
    lines, kept, at = list[str](), list[str](), 0
    while at < len(options):
        following = options[at + 1] if at + 1 < len(options) else ""
        if options[at].startswith("--") and following in by_value and not re.search(r'["\\\n]', following):
            lines.append(f'{options[at][2:]} "{content([by_value[following].reference])}"\n')
            at += 2
        else:
            kept.append(options[at])
            at += 1
    rest = "\n".join(kept)
    if not lines or any(secret.is_in(rest) for secret in found) or (kept and not kept[0].startswith("-")):
        return False
    user = _runs_as(one)
    if user is None:
        return False
    words[:] = [program, _REDIS_FILE, *kept]
    made = {"content": "".join(lines), "mode": "0400", "user": user}
    one.entry.put("files", {_REDIS_FILE: made}, one.at("command"))
    one.told.becomes(one.at("command"), f"{_REDIS_FILE} says {_flags(lines)}, a file for the program's user alone")
    return True


def _runs_as(one: One) -> str | None:
    """The number of the user that an official server runs as in the end; None where it is not known."""
    user = one.entry.settings.get("user")
    if isinstance(user, str):
        return user if re.fullmatch(r"\d+(:\d+)?", user) else None
    name, _, tag = one.image.removeprefix("docker.io/").removeprefix("library/").partition(":")
    return USERS[name]["alpine" in tag] if name in USERS else None


def _flags(lines: Sequence[str]) -> str:
    return " and ".join(line.split(maxsplit=1)[0] for line in lines)


def _in_variables(one: One, words: list[str], found: Sequence[_Secret]) -> bool:
    """Options with secrets as the variables that the program reads for them."""
    by_value = {secret.value: secret for secret in found}
    made, kept, at = dict[str, str](), list[str](), 0
    while at < len(words):
        flag, sign, value = words[at].partition("=")
        value = value if sign else words[at + 1] if at + 1 < len(words) else ""
        variable = programs.variable(one.image, flag)
        if variable and value in by_value:
            made[variable] = written([by_value[value].reference])
            at += 1 if sign else 2
        else:
            kept.append(words[at])
            at += 1
    if not made or any(secret.is_in("\n".join(kept)) for secret in found):
        return False
    words[:] = kept
    if not kept:
        del one.entry.settings["command"]
    one.entry.put("environment", made, one.at("command"))
    one.told.becomes(one.at("command"), f"the program reads {', '.join(made)} for it, which holds the secret")
    return True


def _shell_text(one: One, word: str, words: Sequence[str]) -> int | None:
    """Where a shell's text stands among the words: `[sh, -c, TEXT]`, also with an entrypoint of `sh -c`."""
    before = one.entry.settings.get("entrypoint") if word == "command" else []
    line = [*(before if isinstance(before, list) else []), *words]
    if len(line) < 3 or not _SHELL.fullmatch(line[0]):  # the shell, its option, the text
        return None
    option = next((at for at, one_word in enumerate(line[1:], 1) if _SHELL_TEXT.fullmatch(one_word)), None)
    at = None if option is None else option + 1 - (len(line) - len(words))
    return at if at is not None and 0 <= at < len(words) else None


def _left(words: Sequence[str], but: int, found: Sequence[_Secret]) -> bool:
    rest = "\n".join(word for at, word in enumerate(words) if at != but)
    return any(secret.is_in(rest) for secret in found)


def _line(words: Sequence[str], found: Sequence[_Secret]) -> str:
    """Words as a shell reads them, with a variable in the place of each secret."""
    return " ".join(_word(word, found) for word in words)


def _word(word: str, found: Sequence[_Secret]) -> str:
    made, kept, at = "", "", 0
    while at < len(word):
        secret = next((one for one in found if one.stands(word, at)), None)
        if secret:
            made, kept = f'{made}{shlex.quote(kept) if kept else ""}"${secret.variable}"', ""
        else:
            kept += word[at]
        at += len(secret.value) if secret else 1
    return f"{made}{shlex.quote(kept)}" if kept or not made else made


def _in_shell(text: str, found: Sequence[_Secret]) -> str | None:
    """A shell's text with a variable in the place of each secret; None where the quotes are not what they seem."""
    made, quote, at = "", "", 0
    while at < len(text):
        secret = next((one for one in found if one.stands(text, at)), None)
        if secret:
            made, at = f'{made}{quote}"${secret.variable}"{quote}', at + len(secret.value)
            continue
        sign = text[at]
        if sign == "\\" and quote != "'":
            made, at = made + text[at : at + 2], at + 2
            continue
        if sign in "'\"" and quote in ("", sign):
            quote = "" if quote else sign
        made, at = made + sign, at + 1
    return None if quote else made


def _told(one: One, word: str, found: Sequence[_Secret], how: str) -> None:
    made = {secret.variable: written([secret.reference]) for secret in found}
    at = one.entry.source_of((word,)) or one.at(word)
    one.entry.put("environment", made, at)
    one.told.becomes(at, f"it {how} {', '.join(made)}, since it would stand there for all to read")


def _refuse(one: One, word: str, found: Sequence[_Secret]) -> None:
    first = found[0].reference
    which = f"the secret {first.name}" if isinstance(first, UserSecretRef) else f"the password of {first}"
    one.told.cannot(one.entry.source_of((word,)) or one.at(word), f"{which} {WOULD_STAND}")
