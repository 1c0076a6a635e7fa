"""As much of restic as is asked, with its exit statuses: snapshots are folders below the repository, a path.

`RESTIC_FAULT` in the environment is what goes wrong: `down` and `no bucket` (both wait as the true one does), `locked`,
`unreadable` (one file could not be read), `cut` (a dump breaks off), `slow`, `unsteady` (each second try is of use).
`RESTIC_CLOCK` is the moment that a wrong clock shows. What few of its many starts need is imported there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

VALUED = {"--cache-dir", "--cacert", "-o", "--tag", "--host", "--group-by", "--retry-lock", "--pack-size", "--target",
          "--stdin-filename"}  # fmt: skip


def fail(status: int, message: str) -> None:
    print(json.dumps({"message_type": "exit_error", "code": status, "message": message}), file=sys.stderr)
    sys.exit(status)


def parsed(arguments: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Verb and its words, options, and what stands behind `--`."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest: list[str] = []
    while arguments:
        word = arguments.pop(0)
        if word == "--":
            rest, arguments = arguments, []
        elif word in VALUED:
            options[word] = arguments.pop(0)
        elif word.startswith("-"):
            options[word.partition("=")[0]] = word.partition("=")[2]
        else:
            words.append(word)
    return words, options, rest


def waits(fault: str) -> None:
    """As for a repository that does not answer, or does so at the second try."""
    refused = "returned error, retrying after 1s: connection refused"
    for said in [refused] if fault == "down" else [refused, "operation successful after 1 retries"] * 4:
        print(f"Load(<config/>) {said}", file=sys.stderr, flush=True)
        time.sleep(60 if fault == "down" else 0.3)


def main() -> None:
    repository, fault = Path(os.environ["RESTIC_REPOSITORY"]), os.environ.get("RESTIC_FAULT", "")
    words, options, rest = parsed(sys.argv[1:])
    with (repository.parent / "called").open("a") as log:
        log.write(" ".join(sys.argv[1:]) + "\n")
    verb = words[0]
    if fault in ("down", "unsteady"):
        waits(fault)
    if fault == "no bucket" and verb != "init":
        message = "Stat(<config/>) returned error, retrying after 1s: Stat: The specified bucket does not exist"
        print(message, file=sys.stderr, flush=True)
        time.sleep(60)
    if verb == "init":
        (repository / "snapshots").mkdir(parents=True)
        (repository / "config").write_text(os.environ["RESTIC_PASSWORD"])
        return
    if not (repository / "config").exists():
        fail(10, "Fatal: repository does not exist")
    if (repository / "config").read_text() != os.environ["RESTIC_PASSWORD"]:
        fail(12, "Fatal: wrong password or no key found")
    if fault == "locked" and verb in ("backup", "forget", "check"):
        fail(11, "Fatal: unable to create lock: repository is already locked by PID 7 on web1")
    found = sorted((repository / "snapshots").iterdir(), key=lambda one: one.name)
    if verb == "snapshots":
        shown = [json.loads((one / "meta.json").read_text()) for one in found]
        print(json.dumps([one for one in shown if options.get("--tag") in (None, one["tags"][0])]))
    elif verb == "backup":
        backup(repository, options, rest, fault)
    elif verb in ("restore", "dump"):
        give(next(one for one in found if one.name.endswith(words[1])), words, options, fault)
    elif verb == "forget":
        import shutil  # noqa: PLC0415

        for one in found:
            if one.name.rpartition("-")[2] in words:
                shutil.rmtree(one)


def give(place: Path, words: list[str], options: dict[str, str], fault: str) -> None:
    import shutil  # noqa: PLC0415

    if words[0] == "restore":
        shutil.copytree(place / "tree", options["--target"], dirs_exist_ok=True, symlinks=True)
        return
    content = (place / "tree" / words[2].lstrip("/")).read_bytes()
    sys.stdout.buffer.write(content[: len(content) // 2] if fault == "cut" else content)
    if fault == "cut":
        sys.stdout.flush()
        fail(1, "Fatal: a pack file is damaged")


def backup(repository: Path, options: dict[str, str], rest: list[str], fault: str) -> None:
    import shutil  # noqa: PLC0415
    import subprocess  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    identity = os.urandom(16).hex()
    place = repository / "snapshots" / f".{identity}"
    place.mkdir()
    if "--stdin-from-command" in options:
        done = subprocess.run(rest, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            shutil.rmtree(place)
            fail(1, f"Fatal: unable to save snapshot: command failed: exit status {done.returncode}")
        (place / "tree").mkdir()
        (place / "tree" / options["--stdin-filename"]).write_bytes(done.stdout)
    else:
        shutil.copytree(rest[0], place / "tree" / rest[0], symlinks=True)
    if fault == "slow":
        time.sleep(60)
    size = sum(file.lstat().st_size for file in (place / "tree").rglob("*") if file.is_file())
    summary = {"total_bytes_processed": size, "data_added_packed": size // 2}
    moment = os.environ.get("RESTIC_CLOCK", datetime.now(UTC).isoformat())
    meta = {"id": identity, "time": moment, "tags": [options["--tag"]], "hostname": options["--host"]}
    (place / "meta.json").write_text(json.dumps({**meta, "summary": summary}))
    place.rename(repository / "snapshots" / f"{time.time_ns()}-{identity}")
    if fault == "unreadable":
        error = {"message_type": "error", "error": {"message": "open: input/output error"}, "item": "/a/b"}
        print(json.dumps(error), file=sys.stderr)
    print(json.dumps({"message_type": "summary", "snapshot_id": identity, **summary}))
    if fault == "unreadable":
        sys.exit(3)


main()
