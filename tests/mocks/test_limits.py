"""A limit above what a server can give is refused before what served is touched, and says how much that is."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

CONTAINER, COMMAND = "docker:index/container:Container", "command:remote:Command"
# prlimit(1) as Debian has it, for the process of Docker; it answers what is asked for alone.
PRLIMIT = """\
#!/bin/sh
[ "$1 $2 $4 $5 $6" = "--pid 7 --output HARD --noheadings" ] || exit 1
case $3 in --nofile) echo 20000 ;; --memlock) echo " unlimited" ;; --nproc) echo 100 ;; *) exit 1 ;; esac
"""
UNRAISED, RAISED = "00000000feffffff", "000001ffffffffff"


@pytest.fixture
def looked(program: Any, stack_file: dict[str, Any], tmp_path: Path) -> Any:
    """The verdict on limits of the application `shop`, by a server whose Docker has some capabilities."""

    def look(limits: dict[str, Any], capabilities: str = UNRAISED) -> str:
        stack_file["applications"]["shop"]["ulimits"] = limits
        graph = program(stack_file)
        command = graph.one(COMMAND, "shop-host-paths")
        assert command.urn in graph.one(CONTAINER, "shop").dependencies
        (tmp_path / "7").mkdir(exist_ok=True)
        (tmp_path / "sys" / "fs").mkdir(parents=True, exist_ok=True)
        (tmp_path / "7" / "status").write_text(f"CapPrm:\t0\nCapEff:\t{capabilities}\nCapBnd:\t0\n")
        (tmp_path / "sys" / "fs" / "nr_open").write_text("1000000\n")
        for name, text in (("prlimit", PRLIMIT), ("pidof", "#!/bin/sh\n[ \"$*\" = '-s dockerd' ] && echo 7\n")):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        environment = {"APIARY_PROC": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-c", command.inputs["create"]], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) == (not done.stderr)
        return done.stderr

    return look


def test_a_server_that_may_raise_no_limit_says_how_much_it_can_give(looked: Any) -> None:
    assert looked({"nofile": 262144}) == (
        "applications.shop.ulimits: nofile 262144 is more than Docker can give on this server, which is a container "
        "itself and may raise no limit; write at most 20000\n"
    )
    assert "nproc -1 is more" in looked({"nproc": -1})
    said = looked({"nproc": {"soft": 1, "hard": 101}, "nofile": {"soft": 1, "hard": 20001}, "memlock": -1})
    assert [line.split()[1:3] for line in said.splitlines()] == [["nofile", "20001"], ["nproc", "101"]]


def test_what_it_can_give_is_given(looked: Any) -> None:
    assert looked({"nofile": {"soft": 20000, "hard": 20000}, "nproc": 100, "memlock": -1}) == ""


def test_a_server_of_its_own_gives_all_but_more_files_than_its_kernel_opens(looked: Any) -> None:
    assert looked({"nofile": 262144, "nproc": -1, "memlock": -1, "core": 0}, RAISED) == ""
    assert "write at most 1000000" in looked({"nofile": 1_000_001}, RAISED)
