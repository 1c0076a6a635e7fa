"""What a server is told of its backups, what is saved by which name, and what is kept of each run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.backups_server import Server

from apiary_backups import config, docker, engine_mysql, engine_postgresql, items  # isort: skip - that puts it on the path
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item, Record  # isort: skip


@given(st.text(min_size=1), st.text(min_size=1))
def test_whatever_a_database_is_called_its_item_is_one_tag_and_one_file(application: str, name: str) -> None:
    for item in (Item.of_database(application, name), Item.volume(name), Item.roles(application)):
        assert Item.parse(str(item)) == item
        assert not set(str(item)) & set(', /\n"')


@pytest.mark.parametrize("text", ["", "uploads", "volume:", "database:postgres", "volume:a:b", "roles:"])
def test_what_is_no_item_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(BackupsError, match="write volume:NAME"):
        Item.parse(text)


def test_what_a_server_was_told_that_cant_be_read_is_refused_without_repeating_a_secret() -> None:
    for text in (
        "",
        "[]",
        '{"stack": "very secret"}',
        '{"stack": 1, "server": 2, "repository": 3, "ssh": "very secret"}',
    ):
        with pytest.raises(BackupsError, match="run pulumi up") as refused:
            config.parse(text)
        assert "secret" not in str(refused.value)


def test_the_configuration_keeps_its_secrets_to_itself(server: Server) -> None:
    server.told["ssh"] = {"key": "PRIVATE KEY", "host_key": "ssh-ed25519 AAAA"}
    assert "correct horse" not in repr(server.config)
    assert "PRIVATE" not in repr(server.config)


def test_a_file_is_whole_and_has_its_mode_from_the_beginning(tmp_path: Path) -> None:
    config.put(tmp_path / "a" / "b.json", "one", 0o600)
    config.put(tmp_path / "a" / "b.json", "two", 0o600)
    assert (tmp_path / "a" / "b.json").read_text() == "two"
    assert (tmp_path / "a" / "b.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


def record(item: Item, **more: object) -> Record:
    known: dict[str, object] = {
        "item": str(item), "snapshot": "abc", "time": "2026-11-28T02:17:09+00:00", "seconds": 9.5, "bytes": 1000,
        "bytes_sent": 10, "status": "ok", "saved": "2026-11-28T02:17:09+00:00",
    }  # fmt: skip
    return Record(**{**known, **more})  # type: ignore[arg-type]


def test_metrics_say_of_each_item_when_it_was_saved_last_and_whether_that_was_the_last_run(tmp_path: Path) -> None:
    items.write(record(Item.volume("uploads")), tmp_path)
    items.write(record(Item.roles("postgres"), status="failed", saved="2026-11-27T02:17:00+00:00"), tmp_path)
    (tmp_path / "drill.json").write_text(json.dumps({"status": "ok", "proved": "2026-11-22T05:00:00+00:00"}))
    items.write_metrics(tmp_path, tmp_path / "metrics")
    said = (tmp_path / "metrics" / "backups.prom").read_text().splitlines()
    assert 'apiary_backup_last_success_timestamp_seconds{item="volume:uploads"} 1795832229' in said
    assert 'apiary_backup_last_status{item="volume:uploads"} 1' in said
    assert 'apiary_backup_last_status{item="roles:postgres"} 0' in said
    assert 'apiary_backup_bytes{item="volume:uploads"} 1000' in said
    assert 'apiary_backup_seconds{item="volume:uploads"} 9.5' in said
    assert "apiary_drill_status 1" in said
    assert "apiary_drill_last_success_timestamp_seconds 1795323600" in said


def told(state: Path) -> list[str]:
    items.write_metrics(state, state / "metrics")
    return (state / "metrics" / "backups.prom").read_text().splitlines()


def test_metrics_say_why_and_in_one_line_that_a_message_can_hold(tmp_path: Path) -> None:
    items.write(record(Item.volume("uploads")), tmp_path)
    items.write(record(Item.roles("postgres"), status="failed", reason='no "room"\n  on C:\\'), tmp_path)
    items.write(record(Item.volume("long"), status="suspicious", reason="x" * 999), tmp_path)
    (tmp_path / "drill.json").write_text(
        json.dumps({"status": "failed", "applications": {"shop": {"status": "failed", "reason": "0 rows"}}})
    )
    reasons = [line for line in told(tmp_path) if line.startswith(("apiary_backup_reason", "apiary_drill_reason"))]
    assert reasons == [
        'apiary_backup_reason{item="roles:postgres",reason="no \\"room\\" on C:\\\\"} 1',
        f'apiary_backup_reason{{item="volume:long",reason="{"x" * 199}…"}} 1',
        'apiary_drill_reason{reason="shop: 0 rows"} 1',
    ]


def test_metrics_say_since_when_there_could_have_been_a_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items.time, "time", lambda: 1000.5)
    assert "apiary_backup_since_timestamp_seconds 1000" in told(tmp_path)
    monkeypatch.setattr(items.time, "time", lambda: 2000.5)
    assert "apiary_backup_since_timestamp_seconds 1000" in told(tmp_path)


def test_what_is_not_saved_any_more_is_not_told_as_late_for_ever(tmp_path: Path) -> None:
    items.write(record(Item.volume("uploads")), tmp_path)
    items.write(record(Item.volume("gone")), tmp_path)
    items.drop_others([Item.volume("uploads")], tmp_path)
    assert [one.item for one in items.all_last(tmp_path)] == ["volume:uploads"]


def test_containers_stop_after_those_that_need_them_and_start_before(server: Server) -> None:
    for name in ("shop", "postgres", "worker"):
        server.container(name)
    stopped = docker.stop(docker.containers("apiary-test"), ("postgres", "shop"))
    docker.start(stopped, ("postgres", "shop"))
    calls = [line for line in server.called("docker") if line.startswith(("stop", "start"))]
    assert calls == [
        "stop worker-1",
        "stop shop-1",
        "stop postgres-1",
        "start postgres-1",
        "start shop-1",
        "start worker-1",
    ]


def test_where_one_does_not_stop_those_before_it_run_again(server: Server) -> None:
    server.container("postgres")
    server.container("shop")
    server.state["fail"] = {"stop postgres-1": "cannot stop container"}
    server.keep()
    with pytest.raises(BackupsError, match=r"postgres could not be stopped.*cannot stop"):
        docker.stop(docker.containers("apiary-test"), ("postgres", "shop"))
    assert server.running() == {"postgres-1": True, "shop-1": True}


def test_the_files_of_a_volume_may_be_on_another_disk(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    place = server.volume("uploads")
    assert docker.volume_path("uploads") == place
    told = [{"Mountpoint": "/nowhere", "Options": {"type": "none", "o": "bind", "device": str(place)}}]
    monkeypatch.setattr(docker, "call", lambda *_: json.dumps(told))
    assert docker.volume_path("uploads") == place
    told[0]["Options"]["device"] = str(place / "unmounted")  # type: ignore[index]
    with pytest.raises(BackupsError, match="is its disk mounted"):
        docker.volume_path("uploads")


ROLES = """\
\\restrict abc
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER PASSWORD 'old';
CREATE ROLE "a shop";
ALTER ROLE "a shop" WITH LOGIN PASSWORD 'hash';
ALTER ROLE postgres IN DATABASE shop SET work_mem TO '8MB';
-- apiary: {"databases" : ["shop", "a \\"b\\""]}
-- apiary: end
"""


def test_saved_roles_may_be_loaded_twice_and_leave_the_administrators_password() -> None:
    script = engine_postgresql.roles_script(ROLES)
    assert "PASSWORD 'old'" not in script
    assert "CREATE ROLE postgres" not in script
    assert 'DO $apiary$ BEGIN CREATE ROLE "a shop"; EXCEPTION WHEN duplicate_object THEN NULL; END $apiary$;' in script
    assert "ALTER ROLE postgres IN DATABASE shop" in script
    assert "restrict" not in script


@pytest.mark.parametrize("engine", [engine_postgresql, engine_mysql])
def test_saved_roles_say_which_databases_there_were_and_where_they_end(engine: object) -> None:
    assert engine.listed(ROLES.encode()) == ["shop", 'a "b"']  # type: ignore[attr-defined]
    with pytest.raises(BackupsError, match="break off"):
        engine.load_roles("c", ROLES.encode()[:-20])  # type: ignore[attr-defined]
    with pytest.raises(BackupsError, match="which databases"):
        engine.listed(b"CREATE ROLE a;")  # type: ignore[attr-defined]
