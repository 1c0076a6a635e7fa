"""Compose files that people get wrong, and what has to be true of each.

Makes: the text of a compose file from a chance, out of tests/unit/compose_files, and `judge`, which converts it as the
verb does.
"""

from __future__ import annotations

import copy
import random
import re
from pathlib import Path

import yaml

import settings
from operations.coming import stack_text
from operations.coming.errors import SourceError
from operations.compose.keys import KEYS
from tests.unit.compose_kit import converted
from tests.unit.stack_fuzz import JUNK as STACK_JUNK
from tests.unit.stack_fuzz import slip

HERE = Path(__file__).parent / "compose_files"
SEEDS = [yaml.safe_load(path.read_text()) for path in sorted(HERE.glob("*/*compose.y*ml"))]
SEEDS.append(
    yaml.safe_load("""
services:
  edge: {image: postgres, labels: {traefik.http.middlewares.who.ipallowlist.sourcerange: 203.0.113.0/24}}
  web:
    image: registry.example.com/web
    labels:
      traefik.enable: "true"
      traefik.http.routers.web.rule: Host(`web.example.com`) || Host(`www.web.example.com`)
      traefik.http.routers.web.middlewares: who@docker,often,move
      traefik.http.routers.web.tls.certresolver: le
      traefik.http.services.web.loadbalancer.server.port: 8080
      traefik.http.services.web.loadbalancer.healthcheck.path: /up
      traefik.http.middlewares.often.ratelimit.average: 10
      traefik.http.middlewares.often.ratelimit.period: 1m
      traefik.http.middlewares.move.redirectregex.regex: ^https?://www.web.example.com/(.*)
      traefik.http.middlewares.move.redirectregex.replacement: https://web.example.com/$$1
  old:
    image: registry.example.com/old
    environment: {VIRTUAL_HOST: "old.example.com,www.old.example.com", VIRTUAL_PORT: 80, LETSENCRYPT_EMAIL: me@x.org}
  new:
    image: registry.example.com/new
    labels:
      caddy: new.example.com
      caddy.reverse_proxy: "{{upstreams 3000}}"
      caddy.reverse_proxy.trusted_proxies: 192.0.2.0/24
      caddy.request_body.max_size: 5MB
      caddy_1: newer.example.com
      caddy_1.redir: https://new.example.com{uri}
""")
)
# What lies beside them, each by its path from there.
BESIDE = {
    ".env.production": "A=1\n",
    **{
        str(path.relative_to(HERE / path.relative_to(HERE).parts[0])): path.read_text()
        for path in sorted(HERE.rglob("*"))
        if path.is_file() and not re.search(r"compose\.ya?ml$", path.name)
    },
}
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
JUNK = [
    None, True, False, 0, -1, 3.5, 10**30, "", " ", "x", "a:b", "${NONE}", "${", "$", "\0", "ä\u2028", "../..", "/",
    "~", [], {}, [[]], [None], [{}], {"a": None}, {"": 1}, {"x": {"y": ["z"]}}, ["a", "a"], "99999:99999", "1-2:3-4",
    "host", "service_healthy", "1m", "-5s", "512m", "9" * 400, "/var/run/docker.sock:/x", "nosuch:/x", "!reset",
    *STACK_JUNK,
]  # fmt: skip
REMEDY = re.compile(
    r"write|take|leave|name|correct|put |give|set |convert|did you mean|rename|publish|copy|have |close|save|"
    r"allow|message|is not YAML|can't be said yet|would be refused|answers|its own|known here"
)


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def mutate(data, chance):
    """Change one place of a compose file: junk in it, gone, twice, another's value, a key of a service with junk."""
    data = copy.deepcopy(data)
    path = chance.choice([one for one in places(data) if one])
    holder = data
    for key in path[:-1]:
        holder = holder[key]
    what = chance.randrange(5)
    if what == 0:
        del holder[path[-1]]
    elif what == 1 and isinstance(holder, list):
        holder.append(copy.deepcopy(chance.choice([*holder, *JUNK])))
    elif what == 2 and isinstance(holder, dict):
        holder[chance.choice([*KEYS, "zzz", "services", "x-y"])] = copy.deepcopy(chance.choice(JUNK))
    elif what == 3:
        other = data
        for key in chance.choice([one for one in places(data) if one]):
            other = other[key]
        holder[path[-1]] = copy.deepcopy(other)
    else:
        holder[path[-1]] = copy.deepcopy(chance.choice(JUNK))
    return data


def judge(files):
    """Whether it was converted; if not, every problem has a path and a remedy."""
    words = re.findall(r"\$\{?([A-Z_]+)", "".join(files.values()))
    environment = {word: f"./{word}" if word.endswith("LOCATION") else f"value-of-{word}" for word in words}
    try:
        done = converted(files, environment=environment, profiles=("*",))
    except SourceError as error:
        for problem in error.problems:
            assert problem.path, problem
            assert REMEDY.search(problem.message), problem
        return False
    for one in done.told.refused:
        assert one.path, one
        assert REMEDY.search(one.words), one
    if not done.told.refused:
        sections = stack_text.sections(stack_text.new(done, "apiary"), "apiary")
        settings.load({**sections, "secrets": dict.fromkeys(done.secrets, "x")}, name="new")
    return not done.told.refused


def one(seed):
    """Write one compose file and judge it."""
    chance = random.Random(seed)  # noqa: S311 - which mutation, not a secret
    data = chance.choice(SEEDS)
    for _ in range(chance.randint(1, 4)):
        data = mutate(data, chance) if isinstance(data, dict) and data else data
    text = yaml.dump(data, Dumper=DUMPER, allow_unicode=True)
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        text = slip(text, chance)
    return judge({**BESIDE, "compose.yaml": text})
