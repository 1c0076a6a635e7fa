"""What words of other tools are called here, or what to do without them.

Makes: `advice`, the remedy for an unknown setting by its meaning. Leaves alone: the words (`foreign_containers`,
`foreign_servers`), those that are misspelt (`errors`), and what settings there are: a word that becomes a setting is
taken out of its table, which a test demands.
"""

from collections.abc import Iterable, Mapping

from settings import foreign_containers, foreign_servers
from settings.backups import Backup, Backups, Keep
from settings.containers import Application, Container, Health, Job
from settings.errors import closest
from settings.foreign_word import Foreign
from settings.hosts import Dns, Ipv6, Record, Server, Zone
from settings.kinds import Settings
from settings.models import Stack
from settings.sources import Git, Registry

_SHORT = 6  # letters

WORDS: Mapping[type[Settings], Mapping[str, Foreign]] = {
    Stack: foreign_servers.STACK,
    Server: foreign_servers.SERVER,
    Dns: foreign_servers.DNS,
    Ipv6: foreign_servers.IPV6,
    Zone: foreign_servers.ZONE,
    Record: foreign_servers.RECORD,
    Container: foreign_containers.CONTAINER,
    Health: foreign_containers.HEALTH,
    Git: foreign_containers.GIT,
    Registry: foreign_containers.REGISTRY,
    Backups: foreign_servers.BACKUP_SECTION,
    Keep: foreign_servers.KEEP,
    Backup: foreign_servers.BACKUP,
}


def words_of(section: type[Settings]) -> Mapping[str, Foreign]:
    """Return the words of others that somebody may bring to a section, without those that are settings of it."""
    words = WORDS.get(Container if section in (Application, Job) else section, {})
    return {word: foreign for word, foreign in words.items() if word not in section.model_fields}


def stands_for(section: type[Settings], word: str) -> str | None:
    """Return the setting of a section that a word of others means, so that it is not taken for missing."""
    meant = _meant(section, word)
    setting = words_of(section)[meant].setting.split(".")[0] if meant else ""
    return setting if setting in section.model_fields else None


def advice(section: type[Settings], word: str) -> str | None:
    """Say what to write instead of an unknown setting; None when nothing is known by that name, or a near one.

    A setting of the section that is nearer than any word of others is a matter of spelling (`errors`).
    """
    meant = _meant(section, word)
    if meant is None:
        return None
    foreign = words_of(section)[meant]
    there = not foreign.setting or foreign.setting.split(".")[0] in section.model_fields
    remedy = foreign.remedy if there or not foreign.without else foreign.without
    return remedy if _bare(meant) == _bare(word) else f'if "{meant}" is meant: {remedy}'


def _meant(section: type[Settings], word: str) -> str | None:
    """The word of others that is meant: in another spelling (`capAdd`, `cap-add`), or misspelt."""
    words = words_of(section)
    exact = {_bare(one): one for one in words}.get(_bare(word))
    near = misspelt(word, {*words, *section.model_fields})
    return exact or (near if near in words else None)


def misspelt(word: str, known: Iterable[str]) -> str | None:
    """The one that is meant by a misspelt word. A short one is near to much that it does not mean (`tls`, `uts`)."""
    return closest(word, known, cutoff=0.76 if len(word) <= _SHORT else 0.6)


def _bare(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
