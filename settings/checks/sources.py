"""Checks of what images come from: one source each, what goes with it, and the secrets that it needs."""

from collections.abc import Callable, Collection

from settings import git_texts
from settings.checks.common import Placed, placed
from settings.draft import Draft
from settings.errors import did_you_mean, show

SOURCES = ("build_dir", "image", "git")
_OF_BUILDS = {
    "build_args": "takes build arguments",
    "dockerfile": "has a Dockerfile",
    "target": "has stages",
    "build_secrets": "takes secrets of a build",
}


def check(draft: Draft, *, build_dirs: Collection[str] | None, is_there: Callable[[str], bool] | None) -> None:
    """Report containers without one source, and what does not go with it or does not exist."""
    for one in placed(draft):
        _source(draft, one)
        _folder(draft, one, build_dirs, is_there)
        _git(draft, one)
        for id_, secret in one.container.build_secret_names.items():
            _known(draft, secret, one.section, one.name, "build_secrets", id_)
    for host, registry in draft.stack.registries.items():
        _known(draft, registry.secret_name, "registries", host, "password")


def _source(draft: Draft, one: Placed) -> None:
    at = (one.section, one.name)
    container = one.container
    written = [source for source in SOURCES if getattr(container, source) is not None]
    if len(written) > 1:
        draft.report(f"{' and '.join(written)} exclude each other; leave one out", *at, written[-1])
    are_whole = all(draft.whole(*at, source) for source in SOURCES)
    if not written and are_whole:
        draft.report(
            "has no image; write build_dir: (a folder of images/), image: (a name to pull) or git: (a repository)", *at
        )
    if written == ["image"] and are_whole:
        for word, what in _OF_BUILDS.items():
            if getattr(container, word):
                draft.report(f"only an image built from build_dir or git {what}; leave it out", *at, word)


def _folder(
    draft: Draft, one: Placed, build_dirs: Collection[str] | None, is_there: Callable[[str], bool] | None
) -> None:
    at, folder = (one.section, one.name), one.container.build_dir
    if folder is None:
        return
    if build_dirs is not None and folder not in build_dirs:
        draft.report(f"{show(folder)} is not a folder of images/; {did_you_mean(folder, build_dirs)}", *at, "build_dir")
        return
    dockerfile = one.container.dockerfile
    if is_there is not None and dockerfile is not None and not is_there(f"images/{folder}/{dockerfile}"):
        draft.report(f"images/{folder}/{dockerfile} is not there; write its path in images/{folder}", *at, "dockerfile")


def _git(draft: Draft, one: Placed) -> None:
    git = one.container.git
    if git is None:
        return
    at = (one.section, one.name, "git")
    written = [name for name in ("branch", "tag", "commit") if getattr(git, name) is not None]
    if len(written) > 1:
        draft.report(f"{' and '.join(written)} exclude each other; leave one out", *at, written[-1])
    for key, name in (("secret", git.secret_name), ("key", git.key_name)):
        if name is not None:
            _known(draft, name, *at, key)
    if not draft.whole(*at, "url"):
        return
    if git_texts.is_ssh(git.url):
        if git.secret is not None:
            draft.report("is a token, for https; by SSH write key: _secrets^NAME (a deploy key)", *at, "secret")
        for key, example in (("key", "_secrets^NAME (a deploy key)"), ("host_key", '"ssh-ed25519 ..." of its server')):
            if getattr(git, key) is None and draft.whole(*at, key):
                draft.report(f"a repository by SSH needs it; write {key}: {example}", *at, key)
        return
    for key in ("key", "host_key"):
        if getattr(git, key) is not None:
            draft.report("is of a repository by SSH; write secret: _secrets^NAME (a token) for https", *at, key)
    if git.secret_name is not None and git.url.startswith("http://"):
        draft.report("http:// would show the token to everybody on the way; write https://", *at, "url")


def _known(draft: Draft, secret: str, *at: str) -> None:
    """Report a secret that is not there."""
    known = draft.names["secrets"]
    if secret not in known and draft.whole("secrets"):
        draft.report(f"{show(secret)} is not a secret; {did_you_mean(secret, known, sign='_secrets^')}", *at)
