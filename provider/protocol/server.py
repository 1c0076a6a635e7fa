"""Serves a plugin to the Pulumi engine over gRPC, from its handshake to its end.

Makes: the server on a free port, printed on stdout as the engine expects; the conversion between protobuf
messages and the plain data of `dispatch.py`; errors with their details; log lines to the engine. Leaves alone:
what the calls mean.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import empty_pb2

from provider.protocol.base import Failure, PartialFailure, Plugin, Props, Value, encode
from provider.protocol.dispatch import Dispatcher

GRACE_AFTER_ENGINE = 300.0  # seconds a running operation may go on after the engine has died


def _protocol() -> types.SimpleNamespace:
    """The SDK's generated protocol modules, without importing the SDK itself (which would double the
    start-up time).
    """
    package = "pulumi.runtime.proto"
    if "pulumi" not in sys.modules:
        spec = importlib.util.find_spec("pulumi")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError("the Python package `pulumi` is not installed for " + sys.executable)
        package = "apiary_pulumi_proto"
        if package not in sys.modules:
            module = types.ModuleType(package)
            module.__path__ = [str(Path(next(iter(spec.submodule_search_locations))) / "runtime" / "proto")]
            sys.modules[package] = module
    names = (
        "provider_pb2",
        "provider_pb2_grpc",
        "plugin_pb2",
        "engine_pb2",
        "engine_pb2_grpc",
        "errors_pb2",
        "status_pb2",
    )
    return types.SimpleNamespace(**{name: importlib.import_module(f"{package}.{name}") for name in names})


proto = _protocol()


def plain(value: Value) -> Value:
    """A protobuf Value, ListValue or Struct as plain data (several times faster than json_format)."""
    if hasattr(value, "fields"):
        return {k: plain(v) for k, v in value.fields.items()}
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {k: plain(v) for k, v in value.struct_value.fields.items()}
    if kind == "list_value":
        return [plain(v) for v in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


METHODS = (
    "CheckConfig",
    "DiffConfig",
    "Configure",
    "Invoke",
    "Check",
    "Diff",
    "Create",
    "Read",
    "Update",
    "Delete",
)
EMPTY_ANSWERS = {"Delete"}


class Service:
    """The gRPC methods of `pulumirpc.ResourceProvider`, each answered through a `Dispatcher`."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.dispatcher = Dispatcher(plugin)
        self.running = 0
        self.lock = threading.Lock()

    def handlers(self) -> grpc.GenericRpcHandler:
        """All methods as one generic handler; those not listed are answered UNIMPLEMENTED by gRPC itself."""
        table = {name: self._method(name) for name in METHODS}
        table["GetPluginInfo"] = self._simple("google.Empty", self._info)
        table["GetSchema"] = self._simple(
            "GetSchemaRequest", lambda request: proto.provider_pb2.GetSchemaResponse(schema="{}")
        )
        table["Attach"] = self._simple("PluginAttach", self._attach)
        table["Cancel"] = self._simple("google.Empty", self._cancel)
        return grpc.method_handlers_generic_handler("pulumirpc.ResourceProvider", table)

    def _simple(self, kind: str, function: Callable[[Value], Value]) -> grpc.RpcMethodHandler:
        if kind == "google.Empty":
            request_type = empty_pb2.Empty
        else:
            request_type = getattr(proto.plugin_pb2, kind, None) or getattr(proto.provider_pb2, kind)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: function(request),
            request_type.FromString,
            lambda answer: answer.SerializeToString(),
        )

    def _info(self, request: Value) -> Value:
        return proto.plugin_pb2.PluginInfo(version=self.plugin.version)

    def _attach(self, request: Value) -> Value:
        self.connect(request.address)
        return empty_pb2.Empty()

    def _cancel(self, request: Value) -> Value:
        self.plugin.cancelled.set()
        return empty_pb2.Empty()

    def connect(self, address: str) -> None:
        """Open the channel for log lines to the engine at `address` (host:port)."""
        stub = proto.engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))
        levels = {"debug": 0, "info": 1, "warning": 2, "error": 3}

        def send(message: str, severity: str, urn: str, ephemeral: bool) -> None:
            request = proto.engine_pb2.LogRequest(
                severity=levels[severity], message=message, urn=urn, ephemeral=ephemeral
            )
            with contextlib.suppress(grpc.RpcError):  # the engine has died: nobody is left to read the line
                stub.Log(request, timeout=10)

        self.plugin.sink = send

    def _method(self, name: str) -> grpc.RpcMethodHandler:
        request_type = getattr(
            proto.provider_pb2,
            "ConfigureRequest" if name == "Configure" else name.replace("Config", "") + "Request",
        )
        answer_type = None if name in EMPTY_ANSWERS else request_answer(name)

        def handle(request: Value, context: grpc.ServicerContext) -> Value:
            with self.lock:
                self.running += 1
            try:
                answer = self.dispatcher.call(name, from_message(request))
                return empty_pb2.Empty() if answer_type is None else to_message(answer, answer_type)
            except PartialFailure as error:
                fail(context, str(error), partial_details(error))
            except Failure as error:
                fail(context, str(error))
            except Exception as error:  # a bug: name it, or the user sees "Exception calling application"
                print(traceback.format_exc(), file=sys.stderr, flush=True)
                fail(context, f"{self.plugin.title}: {type(error).__name__}: {error}")
            finally:
                with self.lock:
                    self.running -= 1

        return grpc.unary_unary_rpc_method_handler(
            handle, request_type.FromString, lambda answer: answer.SerializeToString()
        )


def request_answer(name: str) -> Value:
    """The message type of a method's answer."""
    return getattr(
        proto.provider_pb2, ("Configure" if name == "Configure" else name.replace("Config", "")) + "Response"
    )


def from_message(message: Value) -> Props:
    """A request as plain data under the protocol's JSON names."""
    out: Props = {}
    for field, value in message.ListFields():
        name = field.json_name
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.Struct":
            out[name] = plain(value)
        elif name == "ignoreChanges":
            out[name] = list(value)
        elif name == "autonaming":
            out[name] = {"proposedName": value.proposed_name, "mode": value.mode}
        elif field.message_type is None:
            out[name] = value
    return out


def to_message(answer: Props, kind: Value) -> Value:
    """Plain data as an answer message.

    Properties as Structs, differences and failures as their own messages.
    """
    message = kind()
    for name, value in answer.items():
        if name in ("properties", "inputs", "return"):
            getattr(message, name if name != "return" else "return").update(value)
        elif name == "failures":
            message.failures.extend(proto.provider_pb2.CheckFailure(**failure) for failure in value)
        elif name == "detailedDiff":
            for path, entry in value.items():
                message.detailedDiff[path].kind = proto.provider_pb2.PropertyDiff.Kind.Value(entry["kind"])
                message.detailedDiff[path].inputDiff = entry["inputDiff"]
        elif name == "changes":
            message.changes = proto.provider_pb2.DiffResponse.DiffChanges.Value(value)
        elif isinstance(value, list):
            getattr(message, name).extend(value)
        else:
            snake = "".join("_" + c.lower() if c.isupper() else c for c in name)
            setattr(message, name if name in message.DESCRIPTOR.fields_by_name else snake, value)
    return message


def partial_details(error: PartialFailure) -> Value:
    """The details that make the engine keep what a failed create or update left behind."""
    details = proto.provider_pb2.ErrorResourceInitFailed(id=error.id, reasons=[error.reason])
    details.properties.update(encode(error.state))
    if error.inputs is not None:
        details.inputs.update(encode(error.inputs))
    return details


def fail(context: grpc.ServicerContext, message: str, details: Value = None) -> None:
    """End the call with status UNKNOWN, as the official plugins do, with `details` where there are any."""
    if details is not None:
        status = proto.status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
        status.details.add().Pack(details)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)


def serve(plugin: Plugin, arguments: list[str]) -> None:
    """Serve until the engine ends this process, or has died and nothing runs any more.

    `arguments`: [engine address].
    """
    parent = os.getppid()
    service = Service(plugin)
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    if addresses:
        service.connect(addresses[0])
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=128),
        options=[("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)],
    )
    server.add_generic_rpc_handlers((service.handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    # The engine ends a plugin by SIGINT and waits 5 s before it kills. The user's own interrupt does not come
    # here (a plugin has its own process group) but as Cancel.
    signal.signal(signal.SIGINT, lambda number, frame: ended.set())
    print(port, flush=True)
    orphaned_at: float | None = None
    while not ended.wait(1.0):
        if os.getppid() != parent:
            orphaned_at = orphaned_at or time.monotonic()
            if not service.running or time.monotonic() - orphaned_at > GRACE_AFTER_ENGINE:
                break
    server.stop(grace=None)
    if ended.is_set() and os.getppid() == parent:
        plugin.close()
    os._exit(0)  # threads that wait for an operation must not hold the process
