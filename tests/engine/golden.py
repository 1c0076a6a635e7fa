"""The planned resources of whole stacks, kept in goldens/: one readable file a stack.

python -m tests.engine.golden          write them anew; then read the difference before it is committed

The picture in the README is drawn from the plan of Pulumi.prod.yaml, and so belongs to them.

"""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from lab.paths import CHECKOUT
from operations.graph import draw
from operations.state import State
from tests.engine.plans import Plan, as_text, reduced
from tests.engine.workplace import Workplace, read_stack_file

HERE = Path(__file__).parent
PICTURE = CHECKOUT / "docs" / "hive.svg"
COMMAND = "python -m tests.engine.golden"
HEAD = f"# What a first `pulumi preview` of the stack plans. Written by `{COMMAND}`.\n"
# In the checkout's root are the stacks that people run; those in stacks/ are for tests.
STACK_FILES = {
    path.stem.removeprefix("Pulumi.").removesuffix(".yaml"): path
    for path in (*CHECKOUT.glob("Pulumi.*.yaml"), *(HERE / "stacks").glob("*.yaml"))
    if path.parent != CHECKOUT or path.stem in ("Pulumi.lab", "Pulumi.prod")
}


def path_of(stack: str) -> Path:
    """The golden file of a stack."""
    return HERE / "goldens" / f"{stack}.yaml"


def read(stack: str) -> Plan:
    """The golden of a stack as data; empty when there is none yet."""
    return dict(yaml.safe_load(path_of(stack).read_text())) if path_of(stack).exists() else {}


@functools.cache
def planned(workplace: Workplace, stack: str) -> Any:
    """What the engine plans for a stack now, as `pulumi preview --json` prints it."""
    project = workplace.project(f"golden-{stack}", stack, read_stack_file(STACK_FILES[stack])).made()
    return project.plan()


def picture(workplace: Workplace) -> str:
    """The graph of Pulumi.prod.yaml as SVG, as its first update would make it."""
    return draw(State.of_plan(planned(workplace, "prod")), "Pulumi.prod.yaml")


def main() -> int:
    """Write every golden and the picture anew, and remove goldens of stacks that are no more."""
    with tempfile.TemporaryDirectory(prefix="apiary-engine-") as folder:
        workplace = Workplace(Path(folder))
        for stack in sorted(STACK_FILES):
            path_of(stack).write_text(HEAD + as_text(reduced(planned(workplace, stack))))
            print(f"{path_of(stack)}: {len(read(stack))} resources")
        PICTURE.write_text(picture(workplace))
        workplace.close()
    for path in (HERE / "goldens").glob("*.yaml"):
        if path.stem not in STACK_FILES:
            path.unlink()
            print(f"{path}: removed, there is no such stack")
    return 0


if __name__ == "__main__":
    sys.exit(main())
