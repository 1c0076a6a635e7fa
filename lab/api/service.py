"""The API as an ASGI application: routes, keys, limit, faults, log, and the state saved before each answer."""

import asyncio
import json
import logging
import time
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from lab.api import (
    domains,
    file_systems,
    firewalls,
    instances,
    inventory,
    later,
    load_balancers,
    networking,
    object_storage,
    plain,
    reserved_ips,
)
from lab.api.errors import NOT_FOUND, TOKEN, ApiError, refused
from lab.api.faults import Fault, Faults
from lab.api.limiter import BODY, RETRY_AFTER, Limiter
from lab.api.region import JSON, Call, Operation, Region, Routes
from lab.api.requestlog import RequestLog

log = logging.getLogger("lab.api")
ROUTES: Routes = [
    *inventory.ROUTES,  # first: `object-storage/clusters` is no account's id
    *plain.ROUTES, *domains.ROUTES, *firewalls.ROUTES,
    *reserved_ips.ROUTES, *networking.ROUTES, *instances.ROUTES,
    *object_storage.ROUTES, *load_balancers.ROUTES, *file_systems.ROUTES,
]  # fmt: skip


async def json_object(request: Request) -> JSON:
    """The body as an object, empty without a body. ApiError 400 when it is something else."""
    content = await request.body()
    if not content.strip():
        return {}
    try:
        value = json.loads(content)
    except ValueError as error:
        raise refused("Invalid JSON payload") from error
    if not isinstance(value, dict):
        raise refused("Invalid JSON payload: must be an object")
    return value


def _key(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _authorize(region: Region, request: Request) -> None:
    if _key(request) in ("", *region.store.data["bad_keys"]):
        raise ApiError(401, TOKEN)


def _endpoint(region: Region, path: str, operations: dict[str, Operation]) -> Route:
    async def endpoint(request: Request) -> Response:
        request.state.route = path
        if path not in plain.PUBLIC:
            _authorize(region, request)
        later.settle(region.store)
        call = Call(request.path_params, request.query_params, await json_object(request))
        status, answer = operations[request.method](region, call)
        if request.method != "GET":
            region.store.save()
        # A type even of nothing, which clients read (certbot-dns-vultr), and not JSON's, which they would parse.
        return Response(status_code=status, media_type="text/html") if answer is None else JSONResponse(answer, status)

    route = Route(path, endpoint, methods=[*operations])
    route.methods = set(operations)  # without the HEAD that Starlette adds to each GET
    return route


def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class only
    return JSONResponse(error.body(), error.status)


def _http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = {404: NOT_FOUND, 405: "Method not allowed"}.get(status, "Bad request")
    return JSONResponse({"error": text, "status": status}, status)


def _server_error(_: Request, error: Exception) -> Response:
    log.error("an operation failed: %s: %s", type(error).__name__, error, exc_info=error)
    return JSONResponse({"error": f"Internal server error: {error}", "status": 500}, 500)


def _application(region: Region) -> Starlette:
    # Starlette stops at the first route whose path fits, so each path is one route with all its methods.
    table: dict[str, dict[str, Operation]] = {}
    for method, path, operation in ROUTES:
        table.setdefault(path, {})[method] = operation
    return Starlette(
        routes=[_endpoint(region, path, operations) for path, operations in table.items()],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _server_error},
    )


class Service:
    """The application with faults and log around it; drops connections by the server's transport."""

    def __init__(self, region: Region, faults: Faults, requests: RequestLog) -> None:
        self._inner = _application(region)
        self._faults, self._requests, self._limiter = faults, requests, Limiter(region.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path, started = scope["method"], scope["path"], time.monotonic()
        request = Request(scope, receive)
        if self._limiter.refuses(_key(request) or (request.client.host if request.client else "")):
            self._requests.add(method, path, route=path, status=429, seconds=0, fault=None)
            await JSONResponse(BODY, 429, {"Retry-After": RETRY_AFTER})(scope, receive, send)
            return
        try:
            content = await request.body()
        except ClientDisconnect:
            return
        receive = _again(content, receive)
        fault = self._faults.strike(method, path, content)
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        scope.setdefault("state", {})
        try:
            if fault is None:
                await self._inner(scope, receive, counted)
            else:
                await self._with_fault(fault, scope, receive, counted=counted, send=send)
        finally:
            route = scope["state"].get("route", path.split("/")[2] if path.count("/") > 1 else path)
            seconds, struck = time.monotonic() - started, fault.id if fault else None
            self._requests.add(method, path, route=route, status=status, seconds=seconds, fault=struck)

    async def _with_fault(self, fault: Fault, scope: Scope, receive: Receive, *, counted: Send, send: Send) -> None:
        if fault.delay:  # asked for
            await asyncio.sleep(fault.delay)
        if not fault.status and not fault.drop:
            await self._inner(scope, receive, counted)
            return
        if fault.after:

            async def swallow(_: Message) -> None:
                return None

            await self._inner(scope, receive, swallow)
        if fault.drop:
            await _drop(receive, send)
            return
        body = {"error": "Injected fault", "status": fault.status} if fault.body is None else fault.body
        if fault.status == 204:
            answer = Response(status_code=204, headers=fault.headers)
        elif isinstance(body, str):
            answer = Response(body, fault.status, fault.headers, media_type="application/json")
        else:
            answer = JSONResponse(body, fault.status, fault.headers)
        await answer(scope, receive, counted)


def _again(content: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that has been read already, and then what comes after it."""
    first = True

    async def again() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": content, "more_body": False}
        return await receive()

    return again


async def _drop(receive: Receive, send: Send) -> None:
    # `send` is a bound method of uvicorn's cycle, which holds the transport; ASGI itself has no word for
    # this.
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("this server gives no way to drop a connection")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        continue
