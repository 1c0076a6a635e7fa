"""Models of what images come from: folders, repositories, registries.

Makes: `Source`, which applications and jobs have, `Git`, and `Registry`. Leaves alone: whatever needs more than one
setting (`checks.sources`), and whether any of it exists, which the server finds out.
"""

from pydantic import Field

from settings import git_texts, image_texts
from settings import kinds as k
from settings.kinds import Settings
from settings.options import Options


class Git(Settings):
    """A repository whose Dockerfile is built on the server, submodules and all. Of `branch`, `tag` and `commit` one at
    most.
    """

    url: k.GitUrl = Field(
        description="Where it is, by https (or http, where nothing is secret), or by SSH with `key`.",
        examples=["https://git.example.org/team/site.git"],
    )
    branch: k.GitRef | None = Field(
        default=None,
        description="Branch whose newest commit is built: the first time, and whenever `make run` or `make release` "
        "asks for it. The repository's default branch when nothing is said.",
        examples=["main"],
    )
    tag: k.GitRef | None = Field(default=None, description="Tag that is built.", examples=["v1.4"])
    commit: k.GitCommit | None = Field(
        default=None,
        description="Commit that is built, wherever its branch has gone.",
        examples=["0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"],
    )
    dir: k.GitFolder | None = Field(
        default=None,
        description="Folder of it with all that is built from, the Dockerfile too; its top when left out.",
        examples=["sites/blog"],
    )
    secret: k.SecretSetting | None = Field(
        default=None,
        description="Token that may read a private one, by https. It is used to fetch, and gets into no image and no "
        "log.",
        examples=["_secrets^git_token"],
    )
    key: k.SecretSetting | None = Field(
        default=None,
        description="Deploy key that may read it by SSH: the private key, without a passphrase.",
        examples=["_secrets^deploy_key"],
    )
    host_key: k.HostKey | None = Field(
        default=None,
        description="Public key of its SSH server, as it says of itself; with `key`.",
        examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"],
    )

    @property
    def ref(self) -> str:
        """What is looked up in the repository: `refs/heads/main`, `refs/tags/v1.4`, `HEAD`."""
        if self.tag is not None:
            return f"refs/tags/{self.tag}"
        return "HEAD" if self.branch is None else f"refs/heads/{self.branch}"

    @property
    def secret_name(self) -> str | None:
        """Name in `secrets` of the token."""
        return None if self.secret is None else git_texts.secret_name(self.secret)

    @property
    def key_name(self) -> str | None:
        """Name in `secrets` of the deploy key."""
        return None if self.key is None else git_texts.secret_name(self.key)


class Registry(Settings):
    """A login to a registry, for all that is pulled from it, `FROM` of a Dockerfile too. The servers that may need it
    have it, readable by root alone, and keep it as long as it stands here.
    """

    user: k.RegistryUser = Field(description="Who logs in.", examples=["shop-bot"])
    password: k.SecretSetting = Field(
        description="Password, or the token that many registries want in its place.", examples=["_secrets^registry"]
    )
    ca: k.Certificates | None = Field(
        default=None,
        description="Certificates of its authority, in PEM, where it is none that the world knows.",
        examples=["-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"],
    )

    @property
    def secret_name(self) -> str:
        """Name in `secrets` of the password."""
        return git_texts.secret_name(self.password)


class Source(Options):
    """What the image of a container comes from."""

    build_dir: k.Folder | None = Field(
        default=None,
        description="Folder of images/ that is built on the server. Either this, `image` or `git`.",
        examples=["HAProxy"],
    )
    image: k.Image | None = Field(
        default=None,
        description="Image that is pulled: what its tag was at when its server first asked, until `make release` or "
        "`make run` asks again. Either this, `build_dir` or `git`.",
        examples=["postgres:15"],
    )
    git: Git | None = Field(
        default=None,
        description="Repository that is built on the server. Either this, `build_dir` or `image`.",
        examples=[{"url": "https://git.example.org/team/site.git", "branch": "main", "dir": "sites/blog"}],
    )
    build_args: dict[k.BuildArg, k.Argument] = Field(
        default_factory=dict,
        description="Build arguments, with `build_dir` or `git`.",
        examples=[{"VERSION": "1.2"}],
    )
    dockerfile: k.ContextPath | None = Field(
        default=None,
        description="Its Dockerfile, from the folder on that is built from; `Dockerfile` when left out.",
        examples=["docker/web.Dockerfile"],
    )
    target: k.Stage | None = Field(
        default=None, description="Stage of the Dockerfile that is built; the last when left out.", examples=["release"]
    )
    build_secrets: dict[k.BuildSecret, k.SecretSetting] = Field(
        default_factory=dict,
        description="Secrets of the build by their ids, for `RUN --mount=type=secret,id=ID`; they are in no layer, "
        "history or log. Another value alone builds nothing.",
        examples=[{"npm_token": "_secrets^npm_token"}],
    )

    @property
    def build_secret_names(self) -> dict[str, str]:
        """By the ids of `build_secrets`: names in `secrets`."""
        return {id_: git_texts.secret_name(text) for id_, text in self.build_secrets.items()}

    @property
    def registry(self) -> str | None:
        """Host of the registry that `image` is pulled from."""
        return None if self.image is None else image_texts.registry_of(self.image)
