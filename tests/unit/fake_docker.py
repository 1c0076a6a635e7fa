"""As much of Docker as is asked: containers and volumes of `DOCKER_STATE`, a file; what is executed, runs here.

`{"containers": [{"Id": ..., "Name": ..., ...as `docker inspect` has it}], "volumes": {"uploads": "/path"},
"fail": {"stop a1": "why"}, "stopping": ["a1"]}`. A log of all that is asked is `called` beside it. It is started
thousands of times, and imports what each of its starts needs.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time

FILE = os.environ["DOCKER_STATE"]
FOLDER = os.path.dirname(FILE)


def fail(message: str) -> None:
    print(f"Error response from daemon: {message}", file=sys.stderr)
    sys.exit(1)


def keep(file, state):
    file.seek(0)
    file.truncate()
    json.dump(state, file)


def volumes(arguments, state, file):
    match arguments:
        case ["ls", *_]:
            print("\n".join(state["volumes"]))
        case ["inspect", name]:
            if name not in state["volumes"]:
                fail(f"get {name}: no such volume")
            print(json.dumps([{"Mountpoint": state["volumes"][name], "Options": None}]))
        case ["create", *_, name]:
            state["volumes"][name] = f"{FOLDER}/volumes/{name}/_data"
            os.makedirs(state["volumes"][name])
            keep(file, state)
        case ["rm", name]:
            import shutil  # noqa: PLC0415

            shutil.rmtree(os.path.dirname(state["volumes"].pop(name)))
            keep(file, state)
        case _:
            fail(f"not known here: {arguments}")


def listed(arguments, state):
    """All of them, or those that have one of these volumes; of labels it knows nothing."""
    names = {one.partition("=")[2] for one in arguments if one.startswith("volume=")}
    if not names:
        return [one["Id"] for one in state["containers"]]
    using = [one for one in state["containers"] if any(m.get("Name") in names for m in one["Mounts"])]
    return [one["Id"] for one in using if one["State"]["Running"] or "--all" in arguments]


def run(is_start, ids, by_id, state):
    # Whose stop was begun by somebody else: to start those does nothing, to stop them waits for that.
    stopping = set(state.get("stopping", []))
    for one in set(ids) - stopping if is_start else ids:
        by_id[one]["State"]["Running"] = is_start
        if is_start:
            by_id[one]["State"]["StartedAt"] = str(time.time_ns())
    state["stopping"] = sorted(stopping - (set() if is_start else set(ids)))


def main() -> None:
    arguments = sys.argv[1:]
    with open(FILE, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        with open(f"{FOLDER}/docker-called", "a") as log:
            log.write(" ".join(arguments[:3] if arguments[0] != "exec" else arguments) + "\n")
        for begun, why in state.get("fail", {}).items():
            if " ".join(arguments).startswith(begun):
                fail(why)
        by_id = {one["Id"]: one for one in state["containers"]}
        match arguments:
            case ["info", *_]:
                print(FOLDER)
            case ["ps", *_]:
                print("\n".join(listed(arguments, state)))
            case ["container", "inspect", *ids]:
                if lost := [one for one in ids if one not in by_id]:
                    fail(f"No such container: {lost[0]}")
                print(json.dumps([by_id[one] for one in ids]))
            case ["volume", *_]:
                volumes(arguments[1:], state, file)
            case ["stop" | "start", *ids]:
                run(arguments[0] == "start", ids, by_id, state)
                keep(file, state)
            case ["rm", *ids]:
                state["containers"] = [one for one in state["containers"] if one["Id"] not in ids]
                keep(file, state)
            case ["exec", *rest]:
                rest = [word for word in rest if word != "--interactive"]
                os.execvp(rest[1], rest[1:])  # noqa: S606 - and its file is closed with that
            case _:
                fail(f"not known here: {arguments}")


main()
