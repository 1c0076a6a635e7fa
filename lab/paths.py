"""Where the lab keeps its files: one tree, `.lab/` of the checkout or APIARY_LAB_DIR.

Creates folders only.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from lab.shell import LabError

CHECKOUT = Path(__file__).resolve().parent.parent
NAMES = "apiary-lab-"  # how the name of every Docker object of any lab begins
STACK = "stack-"  # how the folder of another stack's region begins, in that of `lab`


def home(stack: str) -> Path:
    """The tree of a stack's region: `.lab` beside the program; of another stack than `lab`, a folder in it."""
    return (CHECKOUT / ".lab" / ("" if stack == "lab" else STACK + stack)).resolve()


@dataclass(frozen=True)
class Paths:
    """The lab's tree.

    `hash` (8 hex digits of the tree's path) tells this lab's Docker objects from others'.
    """

    root: Path

    @classmethod
    def find(cls, directory: str | Path | None = None) -> Paths:
        """`directory`, else APIARY_LAB_DIR, else that of the stack `lab`. The tree is created.

        Raises LabError when it can't be.
        """
        root = Path(directory or os.environ.get("APIARY_LAB_DIR") or home("lab")).resolve()
        paths = cls(root)
        for folder in (root, paths.cache, paths.run, paths.log, paths.bin, paths.state, paths.pulumi):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                remedy = "make room for it, or name another folder: --dir, or APIARY_LAB_DIR"
                raise LabError("the lab's own folder", f"{error.filename}: {error.strerror}", remedy) from error
        return paths

    @property
    def stack(self) -> str:
        """The stack that lives in it."""
        name = self.root.name.removeprefix(STACK)
        return name if self.root == home(name) else "lab"

    @property
    def verb(self) -> str:
        """How a verb of this region begins, for what a person is told to type."""
        return "python -m lab" if self.stack == "lab" else f"python -m lab --stack {self.stack}"

    @property
    def hash(self) -> str:
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def label(self) -> str:
        """The Docker label, `key=value`, of every object of this lab."""
        return f"apiary.lab={self.hash}"

    def name(self, part: str) -> str:
        """The name of a Docker object of this lab."""
        return f"{NAMES}{self.hash}-{part}"

    def passing(self) -> list[str]:
        """The options of a container that runs one command and goes: `down` finds it where it was cut off."""
        return ["--rm", "--name", self.name(f"once-{uuid.uuid4().hex[:12]}"), "--label", self.label]

    @property
    def cache(self) -> Path:
        """What is dear to make and safe to keep: survives `down`.

        Regions of one checkout share one; APIARY_LAB_CACHE lets any others do so.
        """
        shared = home("lab") if home("lab") in self.root.parents else self.root
        return Path(os.environ.get("APIARY_LAB_CACHE") or shared / "cache").resolve()

    @property
    def registry(self) -> Path:
        """The registry's storage, read-only to the registry itself."""
        return self.cache / "registry"

    @property
    def acme(self) -> Path:
        """What the region's ACME directory needs: its certificate and its configuration."""
        return self.root / "acme"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def bin(self) -> Path:
        """The Pulumi CLI, where the machine has none."""
        return self.cache / "bin"

    @property
    def state(self) -> Path:
        """Pulumi's file backend."""
        return self.root / "state"

    @property
    def pulumi(self) -> Path:
        """PULUMI_HOME: the lab's plugins, apart from the user's."""
        return self.root / "pulumi"

    @property
    def region(self) -> Path:
        """The emulator's state; the DNS server reads its records from it."""
        return self.root / "region.json"

    @property
    def plan(self) -> Path:
        """The addresses of this region, chosen at its first `up` (network.Plan)."""
        return self.root / "plan.json"
