"""Words that people bring from other tools: each is told its own here, or what to do without it."""

import re
from pathlib import Path

import pytest

from settings.containers import Application, Health, Job
from settings.foreign import WORDS, Foreign, advice, words_of
from settings.hosts import Ipv6
from settings.models import Stack
from settings.site import Site
from settings.sources import Git
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import report

# What a service may have after the Compose specification (its chapter "services", 2026).
# fmt: off
COMPOSE = [
    "annotations", "attach", "blkio_config", "build", "cap_add", "cap_drop", "cgroup", "cgroup_parent", "command",
    "configs", "container_name", "cpu_count", "cpu_percent", "cpu_period", "cpu_quota", "cpu_rt_period",
    "cpu_rt_runtime", "cpu_shares", "cpus", "cpuset", "credential_spec", "depends_on", "deploy", "develop",
    "device_cgroup_rules", "devices", "dns", "dns_opt", "dns_search", "domainname", "driver_opts", "entrypoint",
    "env_file", "environment", "expose", "extends", "external_links", "extra_hosts", "gpus", "group_add",
    "healthcheck", "hostname", "image", "init", "ipc", "isolation", "label_file", "labels", "links", "logging",
    "mac_address", "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "models", "network_mode",
    "networks", "oom_kill_disable", "oom_score_adj", "pid", "pids_limit", "platform", "ports", "post_start",
    "pre_stop", "privileged", "profiles", "provider", "pull_policy", "read_only", "restart", "runtime", "scale",
    "secrets", "security_opt", "shm_size", "stdin_open", "stop_grace_period", "stop_signal", "storage_opt",
    "sysctls", "tmpfs", "tty", "ulimits", "use_api_socket", "user", "userns_mode", "uts", "volumes",
    "volumes_from", "working_dir",
]
# fmt: on
# fmt: off
OTHERS = [
    "capadd", "capAdd", "cap-add", "branch", "cmd", "dockerfile", "link", "static_ip", "traefik", "internal_dns",
    "git_dir", "accessories", "builder", "registry", "proxy", "roles", "hosts", "fqdn", "build_pack",
    "ports_exposes", "health_check_path", "domains", "http_port", "cron", "schedule", "replicas", "memory_limit",
    "restart_policy", "workdir", "args", "mounts", "limits", "resources",
]
# fmt: on


def told(section, name, word):
    raw = good()
    raw[section][name][word] = "x"
    found = report(raw)
    path = f"{section}.{name}.{word}"
    key = path if path in found else f'{section}.{name}["{word}"]'
    return found.get(key, "")


@pytest.mark.parametrize("word", [*COMPOSE, *OTHERS])
@pytest.mark.parametrize(("section", "name", "model"), [("applications", "blog", Application), ("jobs", "certs", Job)])
def test_every_word_of_others_knows_its_own(section, name, model, word):
    if word in model.model_fields:
        return  # the same word here; its values are another matter
    message = told(section, name, word)
    assert message.startswith("unknown setting; ")
    assert "known here" not in message, "an alphabetical list says nothing"
    assert "did you mean" not in message, "it is no misspelling"
    assert "is meant:" not in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("word", "own"),
    [
        ("capadd", "capabilities: ["),
        ("cap_add", "capabilities: ["),
        ("envs", "env: {"),
        ("healthcheck", "health: {"),
        ("stop_grace_period", "grace_seconds: 30"),
        ("mem_limit", 'memory: "256m"'),
        ("branch", "git: {url: ..., branch: main}"),
        ("build", "build_dir: NAME"),
        ("device", "devices: ["),
        ("workdir", "working_dir: /"),
        ("cmd", "command: ["),
        ("domain", "env: {domains: [example.com], http_port: 8080}"),
        ("privileged", "is refused: it would be the whole server; write the few it needs, capabilities: ["),
    ],
)
def test_what_is_called_otherwise_is_told_by_its_name(word, own):
    assert own in told("applications", "blog", word)


@pytest.mark.parametrize(
    ("where", "word", "own"),
    [
        (("applications", "blog"), "tls", "https is made where the proxy publishes 443"),
        (("applications", "blog"), "cert", "https is made where the proxy publishes 443"),
        (("applications", "blog"), "uid", 'user: "1000:1000"'),
        (("applications", "blog"), "vars", "env: {"),
        (("applications", "blog"), "redirects", "servers: {web1: {redirects: {"),
        (("applications", "blog"), "timeout", "health: {timeout: 120}"),
        (("applications", "blog"), "grace", "grace_seconds: 30"),
        (("applications", "blog"), "firewall", "open: ["),
        (("applications", "blog"), "basic_auth", "site: {password: {"),
        (("applications", "blog", "health"), "codes", 'status: "200-399,401"'),
        (("jobs", "certs"), "when", "when_x:"),
        (("jobs", "certs"), "retries", "runs again with the next one"),
        (("servers", "web1"), "datacenter", "region: ewr"),
        (("servers", "web1"), "ip", "every IPv4 address is reserved"),
        (("servers", "web1"), "startup_script", "playbooks/roles"),
        (("servers", "web1"), "swap", "none is made"),
        (("servers", "web1"), "volumes", "data: {gb: 40}"),
        (("servers", "web1"), "dns_web", "dns: {web: ["),
        (("servers", "web1", "dns"), "ptr", "the reverse name is the first of dns.public"),
        (("servers", "web1", "ipv6"), "nat", "mode: nat"),
        (("servers", "web1", "ipv6"), "suffix_net", "docker: {suffix_net:"),
        (("zones", "example.com"), "mx", "records: [{type: MX"),
        ((), "email", "docs/monitoring.md"),
        ((), "firewall", "ssh_from"),
    ],
)
def test_what_a_word_means_in_a_section_is_what_it_is_told(where, word, own):
    raw = good()
    section = raw
    for key in where:
        section = section.setdefault(key, {})
    section[word] = "x"
    told_all = [message for path, message in report(raw).items() if path.rpartition(".")[2] == word]
    assert len(told_all) == 1
    assert told_all[0].startswith("unknown setting; ")
    assert own in told_all[0]
    assert "is meant:" not in told_all[0]


@pytest.mark.parametrize("word", ["bcd", "ids", "clr"])
def test_a_short_word_is_not_taken_for_one_that_happens_to_be_near(word):
    message = told("applications", "blog", word)
    assert message.endswith("docs/configuration.md has every setting of the section"), message


def test_the_same_word_may_mean_another_thing_in_another_section():
    assert "write after: [postgres]" in told("jobs", "certs", "depends_on")
    assert "write after: [postgres]" in told("applications", "blog", "depends_on")
    assert "is of applications" in told("jobs", "certs", "healthcheck")
    assert "dns.web" in told("applications", "blog", "domains")
    assert "dns: {web: [" in told("servers", "web1", "domains")


def test_a_misspelling_is_told_by_nearness_of_either():
    assert told("applications", "blog", "buid_dir") == 'unknown setting; did you mean "build_dir"?'
    assert told("applications", "blog", "depend_on").startswith('unknown setting; if "depends_on" is meant: ')
    assert told("applications", "blog", "enviroment") == 'unknown setting; did you mean "environment"?'


def every_word():
    for section, words in WORDS.items():
        for word, foreign in words.items():
            yield pytest.param(section, word, foreign, id=f"{section.__name__}.{word}")


@pytest.mark.parametrize(("section", "word", "foreign"), [*every_word()])
def test_each_remedy_holds(section, word, foreign: Foreign):
    """It names settings that there are, and no word is one itself (then it has to go from the table)."""
    sections = (Application, Job) if section.__name__ == "Container" else (section,)
    assert any(word not in one.model_fields for one in sections)
    if foreign.setting:
        having = [one for one in sections if foreign.setting.split(".")[0] in one.model_fields]
        assert having, foreign.setting
        assert len(having) == len(sections) or foreign.without, "what holds where there is no such setting?"
        model = having[0]
        for part in foreign.setting.split(".")[1:]:
            model = {"git": Git, "health": Health, "ipv6": Ipv6, "site": Site}[foreign.setting.split(".")[0]]
            assert part in model.model_fields
    for text in (foreign.remedy, foreign.without):
        assert not re.search(r"[\n\t]|\.$|  ", text), text
        for file in re.findall(r"docs/[a-z/0-9-]+\.md", text):
            assert (Path(__file__).parents[2] / file).is_file()


@pytest.mark.parametrize("word", ["services", "docker", "provisioner", "volumes", "networks", "security", "version"])
def test_a_section_of_others_is_told_where_its_content_belongs(word):
    found = report(good() | {word: {}})
    assert found[word].startswith("unknown setting; ")
    assert "known here" not in found[word]
    assert advice(Stack, word)


def test_a_word_that_means_a_setting_has_no_echo_where_that_is_missed():
    raw = good()
    raw["applications"]["blog"] = {"build": "x", "variables": {}, "branch": "main"}
    raw["applications"]["mail"]["git"] = {"repo": "https://git.example.org/x.git"}
    raw["servers"]["web1"]["size"] = raw["servers"]["web1"].pop("plan")
    raw["zones"]["example.com"]["records"] = [{"type": "TXT", "value": "x"}]
    del raw["applications"]["mail"]["image"]
    assert set(report(raw)) == {
        "applications.blog.build",
        "applications.blog.variables",
        "applications.blog.branch",
        "applications.mail.git.repo",
        "servers.web1.size",
        'zones["example.com"].records[0].value',
    }


def test_no_word_is_left_to_the_list_by_being_a_setting_of_another_section():
    assert "restart" in words_of(Job)
    assert "restart" not in words_of(Application)
