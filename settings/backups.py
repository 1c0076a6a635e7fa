"""Models of backups: where they go, when, what is kept; and what a container says of its own volumes.

Makes: `Backups`, `Keep`, `Backup`. Leaves alone: what is saved on which server (`saved`), and whatever needs more than
one setting (`checks.backups`).
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from settings import kinds as k
from settings.backup_texts import ON_SERVER
from settings.drills import Rehearsal, RehearsalSetting
from settings.git_texts import secret_name
from settings.kinds import Settings

PERIODS = ("daily", "weekly", "monthly", "yearly")


class Keep(Settings):
    """How many backups are kept: of each of so many days, weeks, months and years the last one."""

    daily: int | None = Field(default=None, description="Days.", examples=[7], ge=1, le=3660)
    weekly: int | None = Field(default=None, description="Weeks.", examples=[5], ge=1, le=520)
    monthly: int | None = Field(default=None, description="Months.", examples=[12], ge=1, le=240)
    yearly: int | None = Field(default=None, description="Years.", examples=[3], ge=1, le=100)

    @property
    def periods(self) -> dict[str, int]:
        """What is said, by period."""
        return {period: count for period in PERIODS if (count := getattr(self, period)) is not None}


class Backups(Settings):
    """Backups of every server of the stack (docs/backups.md): all databases and named volumes, encrypted."""

    repository: k.Repository = Field(
        description="Where they go: an S3 bucket, a folder by SFTP, restic's rest-server, another server of the stack "
        "(`{server: web2}`), or `vultr`: object storage that the program makes. Each server has a part of its own.",
        examples=["s3:https://ewr1.vultrobjects.com/my-hive"],
    )
    access_key: k.SecretSetting | None = Field(
        default=None, description="Access key of S3, or user of a `rest:` one.", examples=["_secrets^s3_access"]
    )
    secret_key: k.SecretSetting | None = Field(
        default=None, description="Secret key of S3, or password of a `rest:` one.", examples=["_secrets^s3_secret"]
    )
    key: k.SecretSetting | None = Field(
        default=None, description="Private key of an `sftp:` one, OpenSSH PEM.", examples=["_secrets^backup_key"]
    )
    host_key: k.HostKey | None = Field(
        default=None,
        description="Host key of an `sftp:` one, as `ssh-keyscan` prints it after the host.",
        examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0"],
    )
    ca: k.Certificates | None = Field(
        default=None,
        description="Certificate of the authority that signs the repository's, where the world does not know it; PEM.",
        examples=["-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"],
    )
    password: k.SecretSetting | None = Field(
        default=None,
        description="Password of a repository that is there already, as when the state was lost; generated, and kept "
        "in the state, when left out.",
        examples=["_secrets^backup_password"],
    )
    when: k.Crontab = Field(
        default="17 2 * * *",
        description="When a backup begins, as in crontab, in the server's time zone; one that was missed is made up "
        "for at once.",
        examples=["17 2 * * *"],
    )
    keep: Keep = Field(
        default_factory=lambda: Keep(daily=7, weekly=5, monthly=12),
        description="How many are kept of each database and volume; `{daily: 7, weekly: 5, monthly: 12}` when nothing "
        "is said.",
        examples=[{"daily": 7, "weekly": 5, "monthly": 12}],
    )
    append_only: bool = Field(
        default=False,
        description="Whether the repository, an `s3:` or `rest:` one, lets servers add and nothing else; `make prune` "
        "removes what is not kept any more then, with other credentials.",
        examples=[True],
    )

    drill: RehearsalSetting = Field(
        default_factory=Rehearsal,
        description="When all that is saved is tried (`make drill`).",
        examples=[{"when": "0 5 * * 0", "read": 5}],
    )

    @property
    def scheme(self) -> str:
        """`s3`, `sftp`, `rest`, `server` or `vultr`."""
        return self.repository.partition(":")[0]

    @property
    def store_server(self) -> str | None:
        """The server of the stack that keeps the others' backups."""
        return self.repository.removeprefix(ON_SERVER) if self.scheme == "server" else None

    @property
    def secret_names(self) -> dict[str, str]:
        """Names in `secrets`, by setting."""
        said = {
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "key": self.key,
            "password": self.password,
        }
        return {setting: secret_name(value) for setting, value in said.items() if value is not None}


class Backup(Settings):
    """How the volumes that a container writes to are saved. `backup: false` is short for `backup: {save: false}`."""

    save: bool = Field(
        default=True,
        description="Whether they are saved; of a database server, whether its databases are. A volume is left out "
        "when all containers that write to it say so; what has none has no say.",
        examples=[False],
    )
    stop: bool = Field(
        default=False,
        description="Whether all that write to them stand still while the files are read: for what is no database "
        "server and would be saved half-written.",
        examples=[True],
    )
    before: list[k.Argument] | None = Field(
        default=None,
        description="Command that runs in the application's container before its files are read.",
        examples=[["redis-cli", "save"]],
    )


def spelt_out(value: object) -> object:
    """Read `false` as `{save: false}`."""
    return {"save": value} if isinstance(value, bool) else value


BackupSetting = Annotated[Backup, BeforeValidator(spelt_out)]
