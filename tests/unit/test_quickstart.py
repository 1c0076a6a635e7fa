"""Who follows docs/quickstart.md has a stack file that is right, and has been told of all that is a sample."""

from __future__ import annotations

import re
from typing import Any

import yaml

import settings
from lab.paths import CHECKOUT

PAGE = (CHECKOUT / "docs" / "quickstart.md").read_text()
SAMPLE = CHECKOUT / "Pulumi.prod.yaml"


def sample() -> dict[str, Any]:
    """The sections of the sample, without what `pulumi config set --secret` would add."""
    config = yaml.safe_load(SAMPLE.read_text())["config"]
    return {key.removeprefix("apiary:"): value for key, value in config.items() if key.startswith("apiary:")}


def test_one_server_is_what_is_left_of_the_sample_without_what_the_page_says() -> None:
    said = re.search(r"One server is enough: leave out(.*?)\. ", PAGE, re.DOTALL)
    assert said
    left_out = re.findall(r"`([^`]+)`", said[1])
    raw = sample()
    for section in ("servers", "applications", "jobs"):
        for name in [name for name in raw[section] if name in left_out]:
            del raw[section][name]
        for entry in raw[section].values():
            for key in [word.removesuffix(":") for word in left_out if word.endswith(":")]:
                entry.pop(key, None)
    stack = settings.load(raw, name="prod")
    assert list(stack.servers) == ["web1"]
    assert "postgres" in stack.applications


def test_without_a_blog_of_one_s_own_the_sample_goes_on() -> None:
    raw = sample()
    del raw["applications"]["blog"], raw["jobs"]["publish"]
    raw["servers"]["web1"]["dns"]["web"].remove("blog.example.com")
    for key in ("run_publish", "when_publish"):
        del raw["applications"]["scheduler"]["env"][key]
    settings.load(raw, name="prod")


def test_every_value_of_the_sample_that_is_nobody_s_is_named_on_the_page() -> None:
    """An address of a repository or a person that was left as it is fails an update, or tells a stranger."""

    def strange(value: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        if isinstance(value, dict):
            return [found for key, inner in value.items() for found in strange(inner, (*path, str(key)))]
        return [path] if isinstance(value, str) and re.search(r"://|@", value) else []

    found = strange(sample(), ())
    assert ("jobs", "publish", "env", "source") in found, "this would find nothing"
    for path in found:
        named = (".".join(path[:depth]) for depth in range(1, len(path) + 1))
        # The blog's own address is one of the domains that are changed first.
        assert path[-1] == "base_url" or any(f"`{name}`" in PAGE for name in named), ".".join(path)
