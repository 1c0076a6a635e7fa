"""Models of alerts: who is told when something is wrong, and how.

Makes: `Alerts`, `Mail`, `Ntfy`. Leaves alone: what is watched (`monitoring`), when it alarms (images/Monitor), and
whatever needs more than one setting (`checks.alerts`).
"""

from pydantic import Field

from settings import kinds as k
from settings.kinds import Settings


class Mail(Settings):
    """Mail, handed in at a server of yours by SMTP."""

    to: list[k.MailAddress] = Field(description="Who gets it.", examples=[["owner@example.com"]], min_length=1)
    sender: k.MailAddress = Field(description="Who it is from.", examples=["hive@example.com"])
    server: k.MailServer = Field(
        description="Mail server and port: 587 begins with STARTTLS, 465 with TLS.", examples=["smtp.example.com:587"]
    )
    user: k.Argument | None = Field(
        default=None, description="User there, with `password`.", examples=["hive@example.com"]
    )
    password: k.SecretSetting | None = Field(
        default=None, description="Password there, a secret.", examples=["_secrets^smtp_password"]
    )
    tls: bool = Field(
        default=True, description="Whether it is handed in encrypted, or else not at all.", examples=[True]
    )


class Ntfy(Settings):
    """A topic of an ntfy server, for telephones."""

    url: k.UrlSetting = Field(
        description="The topic's address, or a reference to a secret that is one: who knows it reads along.",
        examples=["https://ntfy.sh/my-hive-7f3a"],
    )
    token: k.SecretSetting | None = Field(
        default=None, description="Token that may write there.", examples=["_secrets^ntfy_token"]
    )


class Alerts(Settings):
    """Whom the monitors of a stack tell, each by every way that is given (docs/monitoring.md)."""

    mail: Mail | None = Field(
        default=None,
        description="Mail.",
        examples=[{"to": ["owner@example.com"], "sender": "hive@example.com", "server": "smtp.example.com:587"}],
    )
    webhook: list[k.UrlSetting] = Field(
        default_factory=list,
        description="Addresses that get Alertmanager's JSON by POST, or references to secrets that are such.",
        examples=[["https://hooks.example.com/hive", "_secrets^hook"]],
    )
    ntfy: Ntfy | None = Field(
        default=None, description="A topic of ntfy.", examples=[{"url": "https://ntfy.sh/my-hive-7f3a"}]
    )
    heartbeat: k.UrlSetting | None = Field(
        default=None,
        description="Address that is told every half a minute that all is there to tell: whoever keeps it alarms when "
        "that stops (a dead man's switch).",
        examples=["_secrets^heartbeat"],
    )

    @property
    def references(self) -> dict[tuple[str | int, ...], str]:
        """Names in `secrets` that are referred to, by the setting's path."""
        said: dict[tuple[str | int, ...], str | None] = {
            ("mail", "password"): self.mail.password if self.mail else None,
            ("ntfy", "url"): self.ntfy.url if self.ntfy else None,
            ("ntfy", "token"): self.ntfy.token if self.ntfy else None,
            ("heartbeat",): self.heartbeat,
            **{("webhook", index): url for index, url in enumerate(self.webhook)},
        }
        sign = "_secrets^"
        return {path: text.removeprefix(sign) for path, text in said.items() if text and text.startswith(sign)}
