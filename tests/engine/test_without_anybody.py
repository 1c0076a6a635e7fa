"""A preview needs the stack file and the state: not the API, not a host, not a Docker engine.

What a first preview asks is seen in test_planned_resources.py. In these tests the API and the hosts can't be reached,
and whoever tries is written down.
"""

from __future__ import annotations

from tests.engine.conftest import MADE_WITHOUT_A_HOST
from tests.engine.plans import operations, short
from tests.engine.workplace import Project, Workplace


def test_a_preview_after_an_update_asks_nobody_and_keeps_what_exists(begun_hive: Project) -> None:
    before = begun_hive.workplace.asked()
    steps = begun_hive.steps()
    made = {resource["urn"] for resource in begun_hive.run("stack", "export").json()["deployment"]["resources"]}
    # A reserved network waits for the server that it is for, which was not made.
    to_attach = ("update", "vultr:ReservedIp web2/ipv6")
    kept = {name for operation, name in steps if operation == "same" or (operation, name) == to_attach}
    for type_ in MADE_WITHOUT_A_HOST:
        of_type = {short(urn) for urn in made if f"{type_}::" in urn}
        assert of_type, f"no {type_} was made"
        assert of_type <= kept, steps
    assert {step[0] for step in steps if step != to_attach} == {"create", "same"}
    assert begun_hive.workplace.asked() == before


def test_a_whole_hive_in_which_nothing_changed_is_left_alone(settled_hive: Project) -> None:
    before = settled_hive.workplace.asked()
    assert operations(settled_hive.steps()) == {}
    assert settled_hive.workplace.asked() == before


def test_the_attempts_of_a_program_are_noticed(workplace: Workplace, hive_file: dict[str, object]) -> None:
    """The two above, and those of first previews, would pass for nothing if this did not hold."""
    project = workplace.project("nosy", "nosy", hive_file).made()
    main = project.folder / "__main__.py"
    curious = (
        "import subprocess, urllib.request\n"
        "subprocess.run(['ssh', 'root@192.0.2.4'], check=False)\n"
        "try:\n    urllib.request.urlopen('https://api.vultr.com/v2/account', timeout=5)\n"
        "except OSError:\n    print('refused')\n"
    )
    main.write_text(main.read_text().replace("import pulumi\n", f"import pulumi\n{curious}", 1))
    before = len(workplace.asked())
    try:
        assert project.run("preview").status == 0
        assert [asked.split()[:2] for asked in workplace.asked()[before:]] == [
            ["CONNECT", "api.vultr.com:443"],
            ["ssh", "root@192.0.2.4"],
        ]
    finally:
        workplace.forget()
