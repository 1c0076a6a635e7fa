"""The types of single settings: text with a language of its own, named in plain words.

Makes: `Settings`, the base of all models, and annotated types for the models, each a checker of `texts` or
`addresses` together with the words that error messages and the reference use for it. Leaves alone: what the
languages are (`texts`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainValidator

from settings import (
    addresses,
    alert_texts,
    backup_texts,
    container_texts,
    entries,
    files,
    git_texts,
    image_texts,
    option_texts,
    redirects,
    texts,
)
from settings.errors import show


class Settings(BaseModel):
    """Base of every section: frozen, no unknown keys, no silent conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True)
class Kind:
    """How a type is called in messages and in the reference."""

    words: str


def _suffix(check: Callable[[str], str]) -> BeforeValidator:
    def read(value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            meant = addresses.unquoted(value)
            hint = f'"{meant}"' if meant else 'e.g. "2:0:a"'
            raise ValueError(  # noqa: TRY004 - pydantic takes ValueErrors only
                f"YAML read this suffix as the number {show(value)}; write it in quotes: {hint}"
            )
        return check(value) if isinstance(value, str) else value

    return BeforeValidator(read)


def _port(value: object) -> int | str:
    container_texts.parse_ports(value)
    return value if isinstance(value, int) else str(value)


def _open(value: object) -> str:
    return str(container_texts.parse_open(value))


def _volume(value: str) -> str:
    container_texts.parse_volume(value)
    return value


def _database(value: str) -> str:
    container_texts.parse_database(value)
    return value


def _status(value: object) -> object:
    """A single status, which YAML reads as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, Kind("text"), AfterValidator(texts.plain_text)]
Argument = Annotated[str, Kind("text"), AfterValidator(container_texts.argument)]
BuildArg = Annotated[str, Kind("name"), AfterValidator(container_texts.build_arg)]
Name = Annotated[str, Kind("name"), AfterValidator(texts.name)]
Domain = Annotated[str, Kind("domain name"), AfterValidator(texts.domain)]
WebDomain = Annotated[str, Kind("domain name"), AfterValidator(entries.domain)]
RecordName = Annotated[str, Kind("name within the zone"), AfterValidator(texts.record_name)]
EnvKey = Annotated[str, Kind("lower-case name"), AfterValidator(container_texts.env_key)]
EnvValue = Annotated[
    str | int | bool | list[str],
    Kind("text, whole number, true or false, list of texts, or reference"),
    PlainValidator(container_texts.env_value),
]
VariableName = Annotated[str, Kind("name"), AfterValidator(container_texts.variable)]
VariableValue = Annotated[
    str | int | bool,
    Kind("text, whole number, true or false, or reference"),
    PlainValidator(container_texts.variable_value),
]
FileSetting = Annotated[object, Kind("map with `content` or `from`, and `mode`, `user`"), PlainValidator(files.setting)]
PortSetting = Annotated[int | str, Kind("port"), PlainValidator(_port)]
OpenSetting = Annotated[str, Kind("protocol and port"), PlainValidator(_open)]
VolumeSetting = Annotated[str, Kind("volume"), AfterValidator(_volume)]
DatabaseSetting = Annotated[str, Kind("database"), AfterValidator(_database)]
AbsolutePath = Annotated[str, Kind("absolute path"), AfterValidator(container_texts.absolute_path)]
Duration = Annotated[str, Kind("duration"), AfterValidator(container_texts.duration)]
Memory = Annotated[str, Kind("amount of memory"), AfterValidator(option_texts.memory)]
ShmSize = Annotated[str, Kind("amount of memory"), AfterValidator(option_texts.shm_size)]
Cpus = Annotated[str, Kind("number of processors"), PlainValidator(option_texts.cpus)]
Capability = Annotated[str, Kind("Linux capability"), AfterValidator(option_texts.capability)]
Word = Annotated[str, Kind("text"), AfterValidator(option_texts.word)]
Words = Annotated[list[Word], AfterValidator(option_texts.words)]
Hostname = Annotated[str, Kind("host name"), AfterValidator(option_texts.hostname)]
LimitName = Annotated[str, Kind("limit"), AfterValidator(option_texts.limit_name)]
LimitValue = Annotated[object, Kind("whole number, or map with `soft` and `hard`"), PlainValidator(option_texts.limit)]
Ulimits = Annotated[dict[LimitName, LimitValue], AfterValidator(option_texts.limits)]
Sysctl = Annotated[str, Kind("setting of the kernel"), AfterValidator(option_texts.sysctl)]
PlainValue = Annotated[str, Kind("text, whole number, true or false"), PlainValidator(option_texts.plain_value)]
Device = Annotated[str, Kind("device"), AfterValidator(option_texts.device)]
Group = Annotated[str, Kind("group"), PlainValidator(option_texts.group)]
HostName = Annotated[str, Kind("host name"), AfterValidator(option_texts.host_name)]
HostAddress = Annotated[str, Kind("IPv4 address"), AfterValidator(option_texts.host_address)]
Nameserver = Annotated[str, Kind("address"), AfterValidator(option_texts.nameserver)]
LabelName = Annotated[str, Kind("name"), AfterValidator(option_texts.label)]
Signal = Annotated[str, Kind("signal"), PlainValidator(option_texts.signal)]
NetSuffix = Annotated[str, Kind("suffix of a network"), _suffix(addresses.container_net)]
AddressSuffix = Annotated[str, Kind("suffix of an address"), _suffix(addresses.container_address)]
PrivateIpv4 = Annotated[str, Kind("private IPv4 address"), AfterValidator(texts.private_ipv4)]
PrivateIpv4Net = Annotated[str, Kind("private IPv4 network"), AfterValidator(texts.private_ipv4_net)]
Source = Annotated[str, Kind("address or network"), AfterValidator(texts.source)]
UrlPath = Annotated[str, Kind("path of a request"), AfterValidator(texts.url_path)]
Statuses = Annotated[str, Kind("list of statuses"), AfterValidator(texts.statuses), BeforeValidator(_status)]
RedirectSource = Annotated[str, Kind("domain name, or one with a path"), AfterValidator(redirects.source)]
RedirectTarget = Annotated[str, Kind("URL or path"), AfterValidator(redirects.target)]
MirrorUrl = Annotated[str, Kind("URL"), AfterValidator(texts.mirror_url)]
Timezone = Annotated[str, Kind("time zone"), AfterValidator(texts.timezone)]
Plan = Annotated[str, Kind("identifier"), AfterValidator(texts.plan_name), BeforeValidator(texts.plan)]
Region = Annotated[str, Kind("identifier"), AfterValidator(texts.region_code), BeforeValidator(texts.region)]
OperatingSystem = Annotated[int, Kind("`2136` or `2625`"), BeforeValidator(texts.operating_system)]
Folder = Annotated[str, Kind("folder name"), AfterValidator(texts.folder)]
Playbook = Annotated[str, Kind("file name"), AfterValidator(texts.playbook)]
Image = Annotated[str, Kind("image name"), AfterValidator(image_texts.image)]
RegistryHost = Annotated[str, Kind("host"), AfterValidator(image_texts.registry)]
RegistryUser = Annotated[str, Kind("name"), AfterValidator(image_texts.registry_user)]
ContextPath = Annotated[str, Kind("path"), AfterValidator(image_texts.context_path)]
Stage = Annotated[str, Kind("name"), AfterValidator(image_texts.stage)]
BuildSecret = Annotated[str, Kind("id"), AfterValidator(image_texts.build_secret)]
GitUrl = Annotated[str, Kind("URL of a repository"), AfterValidator(git_texts.url)]
GitRef = Annotated[str, Kind("name"), AfterValidator(git_texts.ref)]
GitCommit = Annotated[str, Kind("commit"), AfterValidator(git_texts.commit)]
GitFolder = Annotated[str, Kind("folder"), AfterValidator(git_texts.folder)]
SecretSetting = Annotated[str, Kind("reference to a secret"), AfterValidator(git_texts.secret)]
Repository = Annotated[str, Kind("address, `vultr`, or map with `server`"), BeforeValidator(backup_texts.repository)]
HostKey = Annotated[str, Kind("host key"), AfterValidator(backup_texts.host_key)]
Certificates = Annotated[str, Kind("certificates"), AfterValidator(backup_texts.certificates)]
Crontab = Annotated[str, Kind("time as in crontab"), AfterValidator(backup_texts.when)]
MailAddress = Annotated[str, Kind("address of mail"), AfterValidator(alert_texts.mail)]
MailServer = Annotated[str, Kind("host and port"), AfterValidator(alert_texts.mail_server)]
UrlSetting = Annotated[str, Kind("URL, or reference to a secret"), AfterValidator(alert_texts.url_or_secret)]
SecretName = Annotated[str, Kind("name"), AfterValidator(texts.secret_name)]
