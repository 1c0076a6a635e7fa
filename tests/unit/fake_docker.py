"""As much of Docker as is asked: containers and volumes of `DOCKER_STATE`, a file; what is executed, runs here.

`{"containers": [{"Id": ..., "Name": ..., ...as `docker inspect` has it}], "volumes": {"uploads": "/path"},
"fail": {"stop a1": "why"}}`. A log of all that is asked is `called` beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

FILE = Path(os.environ["DOCKER_STATE"])


def fail(message: str) -> None:
    print(f"Error response from daemon: {message}", file=sys.stderr)
    sys.exit(1)


def main() -> None:
    arguments = sys.argv[1:]
    with FILE.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        with (FILE.parent / "docker-called").open("a") as log:
            log.write(" ".join(arguments[:3] if arguments[0] != "exec" else arguments) + "\n")
        for begun, why in state.get("fail", {}).items():
            if " ".join(arguments).startswith(begun):
                fail(why)
        by_id = {one["Id"]: one for one in state["containers"]}
        match arguments:
            case ["ps", *_]:
                print("\n".join(by_id))
            case ["container", "inspect", *ids]:
                if lost := [one for one in ids if one not in by_id]:
                    fail(f"No such container: {lost[0]}")
                print(json.dumps([by_id[one] for one in ids]))
            case ["volume", "ls", *_]:
                print("\n".join(state["volumes"]))
            case ["volume", "inspect", name]:
                if name not in state["volumes"]:
                    fail(f"get {name}: no such volume")
                print(json.dumps([{"Mountpoint": state["volumes"][name], "Options": None}]))
            case ["stop" | "start", one]:
                by_id[one]["State"]["Running"] = arguments[0] == "start"
                file.seek(0)
                file.truncate()
                json.dump(state, file)
            case ["exec", *rest]:
                rest = [word for word in rest if word != "--interactive"]
                file.close()
                sys.exit(subprocess.run(rest[1:], check=False).returncode)
            case _:
                fail(f"not known here: {arguments}")


main()
