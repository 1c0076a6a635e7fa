"""A folder is archived as `docker build` sends it, and its digest is that of its content on every machine."""

from __future__ import annotations

import io
import json
import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest

from components.archive import ArchiveError, read_context, read_folder

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("dockerignore.json").read_text())


def tree(folder: Path, *paths: str) -> Path:
    for path in paths:
        at = folder / path
        if path.endswith("/"):
            at.mkdir(parents=True)
        else:
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_text(f"content of {path}\n")
    return folder


def sent(folder: Path, dockerfile: str = "Dockerfile") -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(read_context(folder, dockerfile).tar)) as tar:
        return {member.name: member for member in tar}


@pytest.fixture(scope="module")
def recorded_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(tmp_path_factory.mktemp("tree"), *RECORDED["tree"])


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: repr(case["ignore"]))
def test_what_is_left_out_is_what_docker_leaves_out(recorded_tree: Path, case: dict[str, Any]) -> None:
    everything = {path.relative_to(recorded_tree).as_posix() for path in recorded_tree.rglob("*")}
    (recorded_tree / ".dockerignore").write_bytes(case["ignore"].encode())
    names = set(sent(recorded_tree))
    assert ".dockerignore" in names
    assert sorted(everything - names - {".dockerignore"}) == case["left_out"]


@pytest.mark.parametrize("text", RECORDED["refused"], ids=repr)
def test_what_docker_refuses_is_refused_by_its_line(tmp_path: Path, text: str) -> None:
    tree(tmp_path, "Dockerfile")
    (tmp_path / ".dockerignore").write_text(f"*.key\n{text}")
    with pytest.raises(ArchiveError, match=r"\.dockerignore, line 2: "):
        read_context(tmp_path)


def test_a_dockerfile_s_own_dockerignore_goes_before_the_folder_s(tmp_path: Path) -> None:
    tree(tmp_path, "docker/web.Dockerfile", "a.txt", "b.txt")
    (tmp_path / ".dockerignore").write_text("a.txt\n")
    (tmp_path / "docker/web.Dockerfile.dockerignore").write_text("b.txt\ndocker\n")
    names = set(sent(tmp_path, "docker/web.Dockerfile"))
    assert {"a.txt", "docker/web.Dockerfile", "docker/web.Dockerfile.dockerignore"} <= names
    assert "b.txt" not in names
    assert "a.txt" not in sent(tmp_path)


def test_links_empty_folders_and_modes_arrive_as_they_are(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "secret")
    folder = tree(tmp_path / "context", "Dockerfile", "a/run.sh", "private.key", "empty/", "all")
    for name, target in {"to-file": "a/run.sh", "to-folder": "a", "dangling": "/no/where", "out": str(outside)}.items():
        (folder / name).symlink_to(target)
    for name, mode in {"a/run.sh": 0o755, "private.key": 0o600, "all": 0o666, "empty": 0o1777}.items():
        (folder / name).chmod(mode)
    members = sent(folder)
    links = {name: member.linkname for name, member in members.items() if member.issym()}
    assert links == {"to-file": "a/run.sh", "to-folder": "a", "dangling": "/no/where", "out": str(outside)}
    assert not [name for name in members if name.startswith(("out/", "to-folder/"))]
    assert members["empty"].isdir()
    modes = {name: members[name].mode for name in ("a/run.sh", "private.key", "all", "empty")}
    assert modes == {"a/run.sh": 0o755, "private.key": 0o600, "all": 0o666, "empty": 0o1777}
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 0)}


def test_sockets_are_left_out_and_pipes_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(tmp_path, "Dockerfile"))
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        members = sent(tmp_path)
    assert set(members) == {"Dockerfile", "pipe"}
    assert members["pipe"].isfifo()


def test_what_is_left_out_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "Dockerfile", "huge/data", "key")
    (tmp_path / ".dockerignore").write_text("huge\nkey\n")
    touched: list[str] = []
    opening, scanning = Path.open, os.scandir

    def open_(path: Path, *mode: str) -> Any:
        touched.append(path.name)
        return opening(path, *mode)

    def scandir(path: str) -> Any:
        touched.append(Path(path).name)
        return scanning(path)

    monkeypatch.setattr(Path, "open", lambda path, mode="r", **_: open_(path, mode))
    monkeypatch.setattr(os, "scandir", scandir)
    assert read_context(tmp_path).digest
    assert set(touched) == {tmp_path.name, ".dockerignore", "Dockerfile"}


def copies(tmp_path: Path) -> tuple[Path, Path]:
    return tuple(tree(tmp_path / name, "Dockerfile", "a/b.txt", "run.sh") for name in ("one", "other"))  # type: ignore[return-value]


def test_two_checkouts_of_the_same_files_are_the_same(tmp_path: Path) -> None:
    one, other = copies(tmp_path)
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(path.stat().st_mode | 0o020)  # the umask of whoever checked it out
    assert read_context(one).digest == read_context(other).digest


@pytest.mark.parametrize("change", ["content", "execute", "private", "name", "link", "empty"])
def test_whatever_else_is_changed_is_another(tmp_path: Path, change: str) -> None:
    one, other = copies(tmp_path)
    match change:
        case "content":
            (other / "a/b.txt").write_text("content of a/b.tyt\n")
        case "execute":
            (other / "run.sh").chmod(0o755)
        case "private":
            (other / "run.sh").chmod(0o600)
        case "name":
            (other / "run.sh").rename(other / "ran.sh")
        case "link":
            (other / "run.sh").unlink()
            (other / "run.sh").symlink_to("a/b.txt")
        case "empty":
            (other / "empty").mkdir()
    assert read_context(one).digest != read_context(other).digest


def test_a_file_that_is_changed_between_digest_and_sending_is_not_sent_as_the_old_one(tmp_path: Path) -> None:
    archive = read_context(tree(tmp_path, "Dockerfile", "a.txt"))
    assert archive.digest
    (tmp_path / "a.txt").write_text("CONTENT of a.txt\n")
    with pytest.raises(ArchiveError, match="changed while they were read"):
        archive.write(io.BytesIO())


def test_a_file_that_can_t_be_read_is_named(tmp_path: Path) -> None:
    archive = read_context(tree(tmp_path, "Dockerfile", "sub/a.txt"))
    (tmp_path / "sub/a.txt").unlink()
    with pytest.raises(ArchiveError, match=r"sub/a\.txt: No such file .* \.dockerignore"):
        assert archive.digest


def test_one_more_file_takes_the_place_of_the_one_of_its_name(tmp_path: Path) -> None:
    archive = read_folder(tree(tmp_path, "a.txt", "vars.json")).with_file("vars.json", b"{}")
    with tarfile.open(fileobj=io.BytesIO(archive.tar)) as tar:
        assert tar.getnames() == ["a.txt", "vars.json"]
        file = tar.extractfile("vars.json")
        assert file is not None
        assert file.read() == b"{}"
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        read_folder(tmp_path / "missing")
