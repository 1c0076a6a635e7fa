"""Models of servers, their names, and DNS zones.

Makes: `Server`, `Dns`, `Zone`, `Record` and the IPv6 sections. Leaves alone: what runs on a server
(`containers`), and whatever needs more than one setting (`checks`).
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from settings import kinds as k
from settings.errors import show
from settings.kinds import Settings
from settings.redirects import Redirect
from settings.redirects import parse as parse_redirect

RecordType = Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "SSHFP", "TXT"]


class DockerIpv6(Settings):
    """Suffixes appended to the server's /64. Docker hands out the upper half of each network."""

    suffix_bridge: k.NetSuffix = Field(
        default="1:0:0/96",
        description="Network of Docker's default bridge (image builds).",
        examples=["1:0:0/96"],
    )
    suffix_net: k.NetSuffix = Field(
        default="2:0:0/96",
        description="Network that all containers of the server share.",
        examples=["2:0:0/96"],
    )
    static_web: k.AddressSuffix = Field(
        default="2:0:a",
        description="Static web address: the `ipv6_web` application's, and every web domain's AAAA.",
        examples=["2:0:a"],
    )


class Ipv6(Settings):
    """IPv6 of a server. `ipv6: nat` is short for `ipv6: {mode: nat}`."""

    mode: Literal["routed", "nat"] = Field(
        default="routed",
        description="`routed`: containers have public addresses in the server's /64. `nat`: they have private ones, "
        "and published `ports` are forwarded from the server's own IPv6 address; for hosts without a /64 to divide.",
        examples=["nat"],
    )
    reserved: bool = Field(
        default=False,
        description="Whether the /64 is reserved at Vultr (which costs extra): every IPv6 address of the server then "
        "survives a rebuild and the loss of the instance, as its IPv4 does, and goes with the region only. Turning it "
        "on or off changes all of them once.",
        examples=[True],
    )
    docker: DockerIpv6 = Field(
        default_factory=DockerIpv6,
        description="How the server's /64 (with `nat` a private one) is divided.",
        examples=[{"suffix_bridge": "1:0:0/96", "suffix_net": "2:0:0/96", "static_web": "2:0:a"}],
    )

    @property
    def is_nat(self) -> bool:
        """Whether containers have private addresses only."""
        return self.mode == "nat"


def _spelt_out(value: object) -> object:
    """Read `nat` as `{mode: nat}`."""
    if isinstance(value, str) and value not in ("routed", "nat"):
        raise ValueError(f"{show(value)} is not a way to give containers IPv6; write nat, or leave it out")
    return {"mode": value} if isinstance(value, str) else value


class Data(Settings):
    """Block storage that a server's named volumes live on, in place of its disk. It outlives the server."""

    gb: int = Field(
        description="Its size; it may be made larger, never smaller.",
        examples=[40],
        ge=10,
        le=40_000,
    )
    type: Literal["high_perf", "storage_opt"] = Field(
        default="high_perf",
        description="`high_perf` is fast, from 10 to 10000 GB, and not sold in every region; `storage_opt` is slow and "
        "cheap, from 40 GB.",
        examples=["storage_opt"],
    )


class Dns(Settings):
    """Names that lead to a server. A name stands in one list only."""

    public: list[k.Domain] = Field(
        default_factory=list,
        description="Names of the host itself: A and AAAA of the server.",
        examples=[["web1.example.com"]],
    )
    private: list[k.Domain] = Field(
        default_factory=list,
        description="Names on the private network: A of `private_ip`.",
        examples=[["web1.internal.example.com"]],
    )
    web: list[k.WebDomain] = Field(
        default_factory=list,
        description="Domains of sites: A of the server, AAAA of the static web address, and `www.` too. "
        '`"*.example.com"` is every name below one.',
        examples=[["example.com", "penguin.example.net"]],
    )


class Swarm(Settings):
    """The network between the servers of the swarm."""

    encrypted: bool = Field(
        default=False,
        description="Whether what its containers say to each other is encrypted between the servers (IPsec), which "
        "costs processor time; a server whose kernel can't is refused. Another value makes another network: for some "
        "seconds of that update the proxies refuse visitors.",
        examples=[True],
    )


class Server(Settings):
    """One Vultr instance and its addresses."""

    plan: k.Plan = Field(
        description="Vultr plan; another one resizes the instance, with a restart. None with a smaller disk is given.",
        examples=["vc2-1c-2gb"],
    )
    region: k.Region = Field(description="Vultr region; changing it rebuilds the server.", examples=["ewr"])
    os: k.OperatingSystem = Field(
        description="Vultr's number of the operating system, 2136 for Debian 12 or 2625 for Debian 13; changing it "
        "rebuilds the server.",
        examples=[2136],
    )
    private_ip: k.PrivateIpv4 | None = Field(
        default=None,
        description="Its address on the private network (VPC) of the stack's servers in its region, a /24 around it.",
        examples=["192.168.150.10"],
    )
    swarm: Literal["manager", "worker"] | None = Field(
        default=None,
        description="What it is in the stack's swarm, over which `replicas` are spread: `manager`, one or three of "
        "them, or `worker`. With `private_ip`, by which its servers speak with each other. Left out: no part of one.",
        examples=["manager"],
    )
    drain: bool = Field(
        default=False,
        description="Whether a server of the swarm is being emptied, before it goes: no record of `dns.web` leads to "
        "it any more, and replicas run on the others. Its proxy serves on whoever still comes, for as long as a `ttl`.",
        examples=[True],
    )
    ipv6: Annotated[Ipv6, BeforeValidator(_spelt_out)] = Field(
        default_factory=Ipv6,
        description="Whether the server's /64 is reserved, and how it is divided; or `nat`, for private addresses.",
        examples=[{"reserved": True, "docker": {"suffix_net": "2:0:0/96"}}],
    )
    ipv4_net: k.PrivateIpv4Net = Field(
        default="172.30.0.0/24",
        description="IPv4 network that all containers of the server share.",
        examples=["172.30.0.0/24"],
    )
    data: Data | None = Field(
        default=None,
        description="Block storage for the server's named volumes, which survive it there; on its disk when left out. "
        "Added to a server that lives, it gets the volumes that are on the disk.",
        examples=[{"gb": 40}],
    )
    dns: Dns = Field(
        default_factory=Dns,
        description="Names that lead to this server.",
        examples=[{"public": ["web1.example.com"], "web": ["example.com"]}],
    )
    redirects: dict[k.RedirectSource, k.RedirectTarget] = Field(
        default_factory=dict,
        description="Addresses that lead elsewhere, by 301: a whole domain, which gets DNS records, `www.` and a "
        "certificate as one of `dns.web` does, or one path of a domain that an application serves. To a URL, where one "
        "without a path keeps the visitor's own path and query, or to a path of the same domain.",
        examples=[{"old.example.org": "https://example.com", "example.com/feed": "/rss.xml"}],
    )
    ssh_from: list[k.Source] | None = Field(
        default=None,
        description="Networks and addresses that may log in; from anywhere when left out. The machine that runs "
        "`pulumi` has to be in one of them.",
        examples=[["203.0.113.0/24", "2001:db8:5::/48"]],
    )
    playbook: k.Playbook = Field(
        default="web.yml", description="Playbook of playbooks/ that makes the host.", examples=["web.yml"]
    )
    ndp: Literal["exact", "subnet"] = Field(
        default="exact",
        description="Which addresses the server answers neighbour discovery for: `exact`, those in use; "
        "`subnet`, the whole container network.",
        examples=["exact"],
    )
    registry_mirrors: list[k.MirrorUrl] = Field(
        default_factory=list,
        description="Registries that Docker asks before Docker Hub.",
        examples=[["https://mirror.example.com"]],
    )
    restore: bool = Field(
        default=True,
        description="Whether volumes and databases that are empty are filled from the newest backup before anything "
        "uses them, as on a rebuilt server; `false` for an empty start.",
        examples=[False],
    )
    timezone: k.Timezone = Field(default="Etc/UTC", description="Time zone of the host.", examples=["Europe/Berlin"])

    @property
    def parsed_redirects(self) -> tuple[Redirect, ...]:
        """`redirects`, parsed, in order."""
        return tuple(parse_redirect(source, to) for source, to in self.redirects.items())

    @property
    def web_domains(self) -> list[str]:
        """The domains that lead to its proxy, without `www.`: those of `dns.web`, and those that lead elsewhere."""
        return [*self.dns.web, *(one.host for one in self.parsed_redirects if not one.path)]


class Record(Settings):
    """A DNS record beyond those that follow from `dns`."""

    name: k.RecordName = Field(
        default="", description='Name within the zone; `""` is the zone\'s own name.', examples=["_dmarc"]
    )
    type: RecordType = Field(description="Record type.", examples=["MX"])
    data: k.Text = Field(
        description="Value as in a zone file, without priority; TXT as one text, without quotes; `.` as the target of "
        "MX and SRV says that there is none.",
        examples=["mail.example.com"],
    )
    priority: int | None = Field(
        default=None,
        description="Priority, for MX and SRV only, which need it.",
        examples=[10],
        ge=0,
        le=65535,
    )
    ttl: int | None = Field(
        default=None,
        description="Lifetime in seconds; the zone's when left out. Records of one name and type have one.",
        examples=[3600],
        ge=60,
        le=604800,
    )


class Zone(Settings):
    """A DNS zone. Zones of `dns.public` and `dns.web` names exist without being listed here."""

    ttl: int = Field(
        default=300,
        description="Lifetime of the zone's records in seconds.",
        examples=[300],
        ge=60,
        le=604800,
    )
    records: list[Record] = Field(
        default_factory=list,
        description="Further records of the zone.",
        examples=[[{"type": "MX", "data": "mail.example.com", "priority": 10}]],
    )
    protect: bool = Field(
        default=False,
        description="Whether an update that would delete the zone, with all that was written into it by hand, is "
        "refused before it begins.",
        examples=[True],
    )
