"""Variables in compose files, and files of variables.

Makes: `Interpolation` (`$A`, `${A:-b}`, `${A?why}`, `${A:+c}`, nested, `$$`) and `parse` for `.env` and `env_file`,
as Compose reads both. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from operations.coming.errors import Key, Problem, Wrong, path_of
from operations.coming.yaml_data import Override

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[^\s=:#'\"]+)[ \t]*(?P<sign>[=:]|$)[ \t]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$", "'": "'"}
_DEEPEST = 30


class Interpolation:
    """Puts the values of variables into data; `problems` holds what could not be, by path."""

    def __init__(self, environment: Mapping[str, str], name: str) -> None:
        self.problems: list[tuple[tuple[Key, ...], Problem]] = []
        self._environment = environment
        self._name = name

    def data(self, value: object, path: tuple[Key, ...] = ()) -> object:
        """Return a copy with every variable replaced; keys stay as they are."""
        if isinstance(value, str):
            try:
                return substitute(value, self._environment)
            except Wrong as error:
                where = f"{self._name}: {path_of(*path)}" if path else self._name
                self.problems.append((path, Problem(where, str(error))))
                return value
        if isinstance(value, dict):
            return {key: self.data(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.data(item, (*path, index)) for index, item in enumerate(value)]
        return Override(self.data(value.value, path)) if isinstance(value, Override) else value


def substitute(template: str, environment: Mapping[str, str]) -> str:
    """Replace the variables of one text. Raises Wrong for a variable that is not set, or can't be read."""
    done, rest = _until(template, environment, closing=False, depth=0)
    return done + rest


def _until(template: str, environment: Mapping[str, str], *, closing: bool, depth: int) -> tuple[str, str]:
    """Replace until the end, or until the `}` that closes what this stands in; return what is done and what is left."""
    if depth > _DEEPEST:
        raise Wrong("variables are nested too deep; write the value")
    done = ""
    while template:
        sign = template.find("$")
        end = template.find("}") if closing else -1
        if end >= 0 and (sign < 0 or end < sign):
            return done + template[:end], template[end:]
        if sign < 0:
            return done + template, ""
        done, template = done + template[:sign], template[sign + 1 :]
        if template.startswith("$"):
            done, template = done + "$", template[1:]
        elif template.startswith("{"):
            value, template = _braced(template[1:], environment, depth)
            done += value
        elif name := _NAME.match(template):
            done, template = done + _value(name[0], environment), template[name.end() :]
        else:  # `$)`, `$1` and a `$` at the end are text
            done += "$"
    return done, ""


def _braced(template: str, environment: Mapping[str, str], depth: int) -> tuple[str, str]:
    match = _NAME.match(template)
    if not match:
        raise Wrong('holds "${" without the name of a variable; write "$${" for the plain text')
    name, template = match[0], template[match.end() :]
    operator = _OPERATOR.match(template)
    if operator is None:
        if not template.startswith("}"):
            raise Wrong(f'"${{{name}" is not closed; write "${{{name}}}", or "$${{" for the plain text')
        return _value(name, environment), template[1:]
    # What stands behind is replaced only where it is used: its own variables need not be set otherwise.
    is_set = name in environment and (not operator[0].startswith(":") or environment[name] != "")
    is_used = is_set == (operator[0][-1] == "+")
    behind = template[operator.end() :]
    word, rest = _until(behind, environment if is_used else _Anything(), closing=True, depth=depth + 1)
    if not rest.startswith("}"):
        raise Wrong(f'"${{{name}" is not closed; write "}}" at its end, or "$${{" for the plain text')
    if operator[0].endswith("+"):
        return (word if is_set else ""), rest[1:]
    if is_set:
        return environment[name], rest[1:]
    if operator[0].endswith("?"):
        raise Wrong(f"needs the variable {name}{': ' + word if word else ''}; set it in .env, or by --env-file FILE")
    return word, rest[1:]


class _Anything(Mapping[str, str]):
    """Every variable is set: for words that are read over."""

    def __getitem__(self, name: str) -> str:
        return name

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        return True


def _value(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise Wrong(
            f"the variable {name} is not set; set it in .env, or by --env-file FILE ({name}= for an empty one); a "
            f'"$" of the text itself is written "$$"'
        )
    return environment[name]


def parse(source: str, environment: Mapping[str, str], *, raw: bool = False) -> dict[str, str | None]:
    """Read a file of variables: what each is set to, None for one that is only named. Raises Wrong with the line.

    A variable of `environment` wins over one that the file itself sets further up, as Compose has it. `raw`: values are
    taken as they stand, quotes and `$` too, as `format: raw` of an `env_file` says.
    """
    found: dict[str, str | None] = {}
    at, number = 0, 1
    while at < len(source):
        end = source.find("\n", at)
        end = len(source) if end < 0 else end
        line = source[at:end].rstrip("\r")
        number, start = number + 1, at
        at = end + 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if not match:
            raise Wrong(f"line {number - 1} sets no variable; write NAME=value")
        name = match["name"]
        if not match["sign"]:
            found[name] = None
            continue
        value = line[match.end() :]
        if raw:
            found[name] = value
        elif value[:1] in ("'", '"'):
            begin = start + match.end()
            stop = _closing(source, begin)
            if stop is None:
                raise Wrong(f"line {number - 1}: the quote of {name} is not closed; close it")
            found[name] = _quoted(source[begin + 1 : stop], value[0], {**_set(found), **environment}, number - 1)
            following = source.find("\n", stop)
            at = len(source) if following < 0 else following + 1
            number += source.count("\n", begin, stop)
        else:
            found[name] = _replaced(_bare(value), {**_set(found), **environment}, number - 1)
    return found


def _set(found: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in found.items() if value is not None}


def _bare(value: str) -> str:
    """Without a comment, which begins with a blank and `#` behind something, and without blanks around: `A=#f00` is a
    colour.
    """
    return value.partition(" #")[0].strip()


def _closing(source: str, begin: int) -> int | None:
    quote, at = source[begin], begin + 1
    while at < len(source):
        if source[at] == "\\":
            at += 1
        elif source[at] == quote:
            return at
        at += 1
    return None


def _quoted(inner: str, quote: str, environment: Mapping[str, str], line: int) -> str:
    if quote == "'":
        return inner.replace("\\'", "'")
    unescaped = re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[0]), inner, flags=re.DOTALL)
    return _replaced(unescaped, environment, line)


def _replaced(value: str, environment: Mapping[str, str], line: int) -> str:
    try:
        return substitute(value, environment) if "$" in value else value
    except Wrong as error:
        raise Wrong(f"line {line}: {error}") from error
