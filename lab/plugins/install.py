"""Installs the stand-ins as proper Pulumi plugins into a lab's own PULUMI_HOME.

Makes: one archive a plugin (a start script, the modules), installed by `pulumi plugin install resource NAME
VERSION --file`, under the version of the SDK that is installed; and the mark `.apiary-lab` in PULUMI_HOME,
which holds the hashes of what was installed and without which a stand-in refuses to run. A second run with
nothing changed does nothing. Leaves alone: any PULUMI_HOME it was not given.

    python -m lab.plugins.install PULUMI_HOME [PULUMI_CLI]

"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTOCOL = HERE.parent.parent / "provider" / "protocol"
MARK = ".apiary-lab"  # standing_in.py's
DISTRIBUTIONS = {
    "docker": "pulumi-docker",
    "command": "pulumi-command",
    "tls": "pulumi-tls",
    "random": "pulumi-random",
}
INSTALL_TIMEOUT = 120.0  # seconds for one `pulumi plugin install`


class InstallError(Exception):
    """A stand-in could not be installed; the text says which, why, and what to do."""


@dataclass(frozen=True)
class Installed:
    """One plugin after `install`: `fresh` where it had to be installed now."""

    name: str
    version: str
    fresh: bool


def install(
    pulumi_home: Path,
    pulumi_cli: str = "pulumi",
    python: str = sys.executable,
    names: list[str] | None = None,
) -> list[Installed]:
    """Install the stand-ins `names` (default: all there are) into `pulumi_home`, running them with `python`.

    Raises InstallError.
    """
    home = Path(pulumi_home).absolute()
    home.mkdir(parents=True, exist_ok=True)
    mark = home / MARK
    hashes = _recorded(mark)
    wanted = names if names is not None else list(DISTRIBUTIONS)
    versions = sdk_versions(wanted, python)
    if not mark.exists():
        _record(mark, hashes)
    result = []
    for name in wanted:
        version = versions[name]
        archive = pack(name, version, python)
        digest = hashlib.sha256(archive).hexdigest()
        folder = home / "plugins" / f"resource-{name}-v{version}"
        fresh = hashes.get(name) != digest or not (folder / f"pulumi-resource-{name}").is_file()
        if fresh:
            _install_one(home, pulumi_cli, name, version, archive)
            hashes[name] = digest
            _record(mark, hashes)
        result.append(Installed(name, version, fresh))
    return result


def sdk_versions(names: list[str], python: str = sys.executable) -> dict[str, str]:
    """The version of the SDK of each plugin, as installed for `python`. Raises InstallError."""
    wanted = {name: DISTRIBUTIONS[name] for name in names}
    if python == sys.executable:
        found = {}
        for name, distribution in wanted.items():
            try:
                found[name] = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError as error:
                raise InstallError(_no_sdk(name, python)) from error
        return found
    code = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({n: m.version(d) for n, d in json.loads(sys.argv[1]).items()}))"
    )
    run = subprocess.run([python, "-c", code, json.dumps(wanted)], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise InstallError(f"{_no_sdk('/'.join(names), python)}: {run.stderr.strip().splitlines()[-1:]}")
    return dict(json.loads(run.stdout))


def _no_sdk(name: str, python: str) -> str:
    return (
        f"the Pulumi SDK of plugin {name} is not installed for {python}, "
        "so the version of its stand-in is unknown; "
        "install the requirements (`make up` does) and try again"
    )


def pack(name: str, version: str, python: str) -> bytes:
    """The plugin's archive (tar.gz), the same bytes for the same content."""
    start = (
        "import gc\nimport os\nimport sys\n\n"
        "gc.disable()  # it lives for seconds\n"
        "sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))\n"
        f"from lab.plugins.{name} import plugin\n"
        "from lab.plugins.standing_in import main\n\n"
        f"main(plugin({version!r}))\n"
    )
    launcher = f'#!/bin/sh\nexec {shlex.quote(python)} -I "$0.py" "$@"\n'
    files = {
        f"pulumi-resource-{name}": (launcher, 0o755),
        f"pulumi-resource-{name}.py": (start, 0o644),
        "lab/__init__.py": ("", 0o644),
        "provider/__init__.py": ("", 0o644),
    }
    others = [other for other in DISTRIBUTIONS if other != name]
    for module in sorted([*HERE.glob("*.py"), *PROTOCOL.glob("*.py")]):
        foreign = any(module.stem == other or module.stem.startswith(other + "_") for other in others)
        if module.name != "install.py" and not foreign:
            files[str(module.relative_to(HERE.parent.parent))] = (module.read_text(), 0o644)
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path, (text, mode) in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _install_one(home: Path, pulumi_cli: str, name: str, version: str, archive: bytes) -> None:
    environment = {**os.environ, "PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    with tempfile.TemporaryDirectory(prefix="apiary-plugin-") as folder:
        path = Path(folder) / f"{name}.tgz"
        path.write_bytes(archive)
        command = [
            pulumi_cli,
            "plugin",
            "install",
            "resource",
            name,
            version,
            "--file",
            str(path),
            "--reinstall",
        ]
        try:
            run = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallError(
                f"installing the stand-in of plugin {name}: {error}; is {pulumi_cli} a Pulumi CLI?"
            ) from error
    if run.returncode != 0:
        raise InstallError(
            f"installing the stand-in of plugin {name} {version} into {home} failed "
            f"(`{' '.join(command[:6])}`): "
            f"{(run.stderr or run.stdout).strip()}"
        )


def _recorded(mark: Path) -> dict[str, str]:
    try:
        return dict(json.loads(mark.read_text())["plugins"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # no mark, or one that an interrupted run left torn: install again


def _record(mark: Path, hashes: dict[str, str]) -> None:
    new = mark.with_suffix(".new")
    new.write_text(
        json.dumps({"what": "PULUMI_HOME of a lab; stand-in plugins run only here", "plugins": hashes}) + "\n"
    )
    new.replace(mark)


def main(arguments: list[str]) -> int:
    """Install everything and say what was done."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        for plugin in install(Path(arguments[0]), arguments[1] if len(arguments) > 1 else "pulumi"):
            print(f"plugin {plugin.name} {plugin.version}: {'installed' if plugin.fresh else 'unchanged'}")
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
