"""Stand-in for the official Command plugin: local and remote Command, and the function local:run.

Held to the recorded behaviour of version 1.2.1. A resource only runs its commands: any changed
input runs `update` (else `create`), reading changes nothing, triggers are an input like any other (it is the
SDK that asks for a replacement when they change). Left out: CopyToRemote, CopyFile, assetPaths, archivePaths.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import threading
from abc import abstractmethod
from typing import IO

from lab.plugins.command_output import CommandError, Output, ended_text, go_quote
from lab.plugins.command_ssh import Remote, Runner
from provider.protocol.base import (
    UNKNOWN,
    CheckFailure,
    Context,
    Difference,
    Failure,
    Plugin,
    Props,
    Resource,
    Secret,
    Value,
)

GO_PROVIDER = "1.2.0"  # version of the provider framework, kept in the state of the default provider
GO_PROVIDER_KEY = "__pulumi-go-provider-version"
SECRET_FIELDS = ("password", "privateKey", "privateKeyPassword")
PRODUCED = ("stdout", "stderr")
TRIGGERS = {"triggers"}
CONNECTION_DEFAULTS: Props = {"dialErrorLimit": 10, "perDialTimeout": 15, "port": 22, "user": "root"}
CONNECTION = {*SECRET_FIELDS, *CONNECTION_DEFAULTS, "agentSocketPath", "host", "hostKey", "proxy"}
COMMON = {
    "create",
    "update",
    "delete",
    "triggers",
    "environment",
    "stdin",
    "logging",
    "addPreviousOutputInEnv",
}


class Command(Resource):
    """What the local and the remote command have in common."""

    known: frozenset[str] = frozenset(COMMON)

    @abstractmethod
    def run(self, ctx: Context, inputs: Props, command: str, previous: Props) -> Props:
        """Run one command line; `previous`: the outputs so far. Returns stdout and stderr; raises Failure."""

    def diff(self, ctx: Context, id: str, olds: Props, news: Props) -> Difference:
        """Every changed input is an update in place, but for `triggers` that come, go or are unknown."""
        old = {k: v for k, v in olds.items() if k not in PRODUCED}
        detailed = differences(old, news, ctx.secret_inputs | {"connection"})
        tops = {key.partition(".")[0].partition("[")[0] for key in detailed}
        replaces = sorted(TRIGGERS & set(detailed))  # as a whole; for an entry of it, it is the SDK that asks
        detailed |= {key: f"{detailed[key]}_REPLACE" for key in replaces}
        return Difference(detailed=detailed, diffs=sorted(tops), replaces=replaces)

    def create(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Run `create`, if there is one."""
        id = ctx.name + secrets.token_hex(4)
        if ctx.preview:
            return id, self.outputs(inputs, dict.fromkeys(PRODUCED, UNKNOWN))
        made = {"stdout": "", "stderr": ""}
        if inputs.get("create") is not None:
            made = self.run(ctx, inputs, inputs["create"], {})
        return id, self.outputs(inputs, made)

    def update(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Run `update`, or `create` when there is none."""
        if ctx.preview:
            return self.outputs(news, dict.fromkeys(PRODUCED, UNKNOWN))
        made = {name: olds.get(name, "") for name in PRODUCED}
        command = news["update"] if news.get("update") is not None else news.get("create")
        if command is not None:
            made = self.run(ctx, news, command, made)
        return self.outputs(news, made)

    def read(self, ctx: Context, id: str, state: Props, inputs: Props) -> tuple[str, Props, Props]:
        """Give back what was handed in: a refresh contacts nothing, an import takes any id."""
        return id, marked(state), marked(inputs)

    def delete(self, ctx: Context, id: str, state: Props) -> None:
        """Run `delete`, if there is one."""
        if state.get("delete") is not None:
            self.run(ctx, state, state["delete"], state)

    def outputs(self, inputs: Props, made: Props) -> Props:
        """The inputs together with what the command printed."""
        return marked({**inputs, **made})

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Nothing is filled in and no word is checked, except what a connection needs."""
        return marked(triggered(ctx, news)), []


class LocalCommand(Command):
    """Runs commands on this machine, by /bin/sh unless another interpreter is given."""

    token = "command:local:Command"  # noqa: S105 (a type's name)
    known = frozenset(COMMON | {"dir", "interpreter"})

    def run(self, ctx: Context, inputs: Props, command: str, previous: Props) -> Props:
        """See Command.run."""
        return run_local(ctx, inputs, command, previous)


class RemoteCommand(Command):
    """Runs commands on a host over SSH, one connection each."""

    token = "command:remote:Command"  # noqa: S105 (a type's name)
    known = frozenset(COMMON | {"connection"})

    def __init__(self) -> None:
        self.runner = Runner()

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Fill in the connection's defaults and demand its host."""
        connection = news.get("connection")
        if connection is None:
            return marked(triggered(ctx, news)), [
                CheckFailure("connection", "Missing required field 'connection' on 'remote.CommandInputs'")
            ]
        if connection is UNKNOWN:
            return marked(triggered(ctx, news)), []
        whole = {**CONNECTION_DEFAULTS, **connection}
        if isinstance(whole.get("proxy"), dict):
            whole["proxy"] = {**CONNECTION_DEFAULTS, **whole["proxy"]}
        unknown = sorted({*connection} - CONNECTION)
        wrong = [f"{name}: Unrecognized field '{name}' on 'remote.Connection'" for name in unknown]
        if "host" not in connection:
            wrong.append("host: Missing required field 'host' on 'remote.Connection'")
        head = f"An error occurred decoding 'CommandInputs.connection': {len(wrong)} failures decoding:"
        failures = [CheckFailure("connection", "\n\t".join([head, *wrong]))] if wrong else []
        return marked({**triggered(ctx, news), "connection": whole}), failures

    def run(self, ctx: Context, inputs: Props, command: str, previous: Props) -> Props:
        """See Command.run. An interrupt ends the dialling, not a running command, as officially."""
        output = Output(inputs.get("logging"), lambda line: ctx.log(line, ephemeral=True))
        remote = Remote(
            connection=inputs.get("connection") or {},
            command=command,
            output=output,
            stdin=inputs.get("stdin") or "",
            required=as_environment(inputs.get("environment")),
            offered=previous_output(inputs, previous),
            status=lambda line: ctx.log(line, ephemeral=True),
            log=lambda severity, line: ctx.log(line, severity),
            cancelled=ctx.cancelled,
        )
        try:
            self.runner.run(remote)
            return {name: output.text(name) for name in PRODUCED}
        except CommandError as error:
            raise Failure(str(error)) from error


def triggered(ctx: Context, news: Props) -> Props:
    """What a check makes of `triggers` in a preview that does not know a secret yet.

    One in the list is an error of the official plugin; a list that is one secret is an empty one.
    """
    triggers = news.get("triggers")
    if triggers is UNKNOWN and "triggers" in ctx.secret_inputs:
        return {**news, "triggers": []}
    if isinstance(triggers, list) and any(
        each is UNKNOWN and ("triggers", index) in ctx.secret_paths for index, each in enumerate(triggers)
    ):
        raise Failure('malformed RPC secret: missing value for "triggers"')
    return news


class CommandPlugin(Plugin):
    """The provider: no configuration of its own, one function."""

    accept_secrets = True
    supports_autonaming = False

    def check_config(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Adds the framework's version, as the official plugin does."""
        return {GO_PROVIDER_KEY: GO_PROVIDER, **news}, []

    def invoke(self, ctx: Context, token: str, args: Props) -> Props:
        """command:local:run, at every preview and update."""
        if token != "command:local:run":  # noqa: S105 (a function's name)
            return super().invoke(ctx, token, args)
        return {**args, **run_local(ctx, args, str(args.get("command", "")), {})}


def run_local(ctx: Context, inputs: Props, command: str, previous: Props) -> Props:
    """Run a command on this machine. Returns stdout and stderr; raises Failure with the output."""
    output = Output(inputs.get("logging"), lambda line: ctx.log(line, ephemeral=True))
    try:
        code = _process(ctx, inputs, command, previous, output)
        output.close()
        failure = ended_text(code)
        if failure:
            raise CommandError(failure)  # noqa: TRY301
        return {name: output.text(name) for name in PRODUCED}
    except (CommandError, OSError) as error:
        reason = _start_failure(error) if isinstance(error, OSError) else str(error)
        if reason.startswith("grpc:"):
            raise Failure(reason) from error
        raise Failure(f"{reason}: running {go_quote(command)}:\n{output.mixed()}") from error


def _process(ctx: Context, inputs: Props, command: str, previous: Props, output: Output) -> int:
    environment = {
        **os.environ,
        **as_environment(inputs.get("environment")),
        **previous_output(inputs, previous),
    }
    arguments = [*(inputs.get("interpreter") or ["/bin/sh", "-c"]), command]
    directory = inputs.get("dir") or os.getcwd()
    if not os.path.isdir(directory):
        raise CommandError(f"chdir {directory}: no such file or directory")
    stdin = (inputs.get("stdin") or "").encode()
    with subprocess.Popen(
        arguments,
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        threads = [
            threading.Thread(target=_pump, args=(process.stdout, output, "stdout"), daemon=True),
            threading.Thread(target=_pump, args=(process.stderr, output, "stderr"), daemon=True),
            threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True),
        ]
        for thread in threads:
            thread.start()
        while True:
            if ctx.cancelled.is_set():
                process.kill()  # the shell only: what it started goes on, and is waited for
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
            if not output.stuck or ctx.cancelled.is_set():
                break
            ctx.cancelled.wait(0.2)
        for thread in threads[:2]:
            thread.join()
        return process.returncode


def _pump(pipe: IO[bytes] | None, output: Output, stream: str) -> None:
    while pipe is not None and (data := os.read(pipe.fileno(), 1 << 16)):
        output.feed(stream, data)


def _feed(pipe: IO[bytes] | None, data: bytes) -> None:
    if pipe is None:
        return
    try:
        pipe.write(data)
        pipe.close()
    except BrokenPipeError:
        return  # the command did not want all of its input


def _start_failure(error: OSError) -> str:
    return f"fork/exec {error.filename}: {os.strerror(error.errno or 0).lower()}"


def as_environment(values: object) -> dict[str, str]:
    """An `environment` input as variables."""
    return {str(k): str(v) for k, v in values.items()} if isinstance(values, dict) else {}


def previous_output(inputs: Props, previous: Props) -> dict[str, str]:
    """The last output as variables, unless `addPreviousOutputInEnv` is false; empty streams are left out."""
    if inputs.get("addPreviousOutputInEnv") is False:
        return {}
    return {f"PULUMI_COMMAND_{name.upper()}": previous[name] for name in PRODUCED if previous.get(name)}


def marked(values: Props) -> Props:
    """Mark a connection, and the secret fields in it and in its proxy, as secret."""
    connection = values.get("connection")
    if not isinstance(connection, dict):
        return values
    inner: Props = {k: Secret(v) if k in SECRET_FIELDS and v is not UNKNOWN else v for k, v in connection.items()}
    proxy = connection.get("proxy")
    if isinstance(proxy, dict):
        inner["proxy"] = {k: Secret(v) if k in SECRET_FIELDS else v for k, v in proxy.items()}
    return {**values, "connection": Secret(inner)}


def differences(old: Value, new: Value, whole: set[str], path: str = "") -> dict[str, str]:
    """Paths that differ, with ADD, UPDATE or DELETE; the top-level names in `whole` are not looked into."""
    if old == new:
        return {}
    if isinstance(old, dict) and isinstance(new, dict) and path not in whole:
        found: dict[str, str] = {}
        for key in sorted({*old, *new}):
            inner = member(path, str(key))
            if key in old and key in new:
                found |= differences(old[key], new[key], whole, inner)
            else:
                found[inner] = "DELETE" if key in old else "ADD"
        return found
    if isinstance(old, list) and isinstance(new, list) and path not in whole:
        found = {}
        for index in range(max(len(old), len(new))):
            before, after = index < len(old), index < len(new)
            values = (old[index] if before else None, new[index] if after else None)
            step = f"{path}[{index}]"
            found |= differences(*values, whole, step) if before and after else {step: "DELETE" if before else "ADD"}
        return found
    return {path: "UPDATE"}


def member(path: str, key: str) -> str:
    """The path of a member of an object."""
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", key):
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key


def plugin(version: str) -> Plugin:
    """The plugin, for the launcher."""
    return CommandPlugin("command", version, [LocalCommand(), RemoteCommand()])
