"""What was measured, as a table for people; and the machine that it was measured on."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measured thing: its values, one a run, in `unit`."""

    what: str
    unit: str
    values: tuple[float, ...]

    def row(self) -> str:
        """The figure as a row of a Markdown table."""
        numbers = (min(self.values), median(self.values), max(self.values))
        digits = 0 if numbers[2] >= 100 else 1
        return (
            f"| {self.what} | {self.unit} | {len(self.values)} | "
            + " | ".join(f"{n:.{digits}f}" for n in numbers)
            + " |"
        )


@dataclass
class Report:
    """The figures of one section, in the order in which they were taken, and the machine that it was measured on."""

    name: str
    machine: list[str]
    figures: list[Figure] = field(default_factory=list)
    table: list[str] = field(default_factory=list)  # of words, in Markdown
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, unit: str, *values: float) -> None:
        """Keep a figure, and print it at once: a later one may fail."""
        figure = Figure(what, unit, values)
        self.figures.append(figure)
        print(figure.row(), flush=True)

    def markdown(self) -> str:
        """The section."""
        head = ["| what | unit | runs | min | median | max |", "| --- | --- | --: | --: | --: | --: |"]
        table = [*head, *(figure.row() for figure in self.figures)] if self.figures else []
        blocks = [[f"## {self.name}"], _listed(self.machine), table, self.table, _listed(self.notes)]
        return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _listed(sentences: list[str]) -> list[str]:
    return [f"- {sentence}" for sentence in sentences]


def with_section(page: str, report: Report) -> str:
    """The page with this section in the place of the older one of its name."""
    head, *sections = page.split("\n## ")
    texts = {text.split("\n", 1)[0]: f"## {text}" for text in sections}
    return "\n".join([head, *{**texts, report.name: report.markdown()}.values()])


def machine(pulumi: Path) -> list[str]:
    """The machine, the date and the versions, one a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = cpus[0].split(":", 1)[1].strip() if cpus else platform.machine()
    return [
        f"Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        f"Machine: {os.cpu_count()} cores ({model}), {memory:.0f} GiB, Linux {platform.release()}; the lab, its "
        "server, the visitors and Pulumi all share these cores",
        f"Load average when it started (1, 5, 15 minutes): {', '.join(f'{load:.1f}' for load in os.getloadavg())}",
        f"Versions: Pulumi {_said([str(pulumi), 'version'])}, Python {platform.python_version()}, "
        f"Docker {_said(['docker', 'version', '--format', '{{.Server.Version}}'])}",
    ]


def _said(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
