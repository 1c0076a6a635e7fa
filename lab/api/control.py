"""The lab's own handle on the region, on 127.0.0.1 only and never part of the API.

GET /state: everything but secrets, with `requests` (counts) and `faults`. POST /instances/{id or
label}/ACTION with ACTION delete, reboot, halt, start or kill: 200 when done. GET, POST, DELETE /faults.
GET /pace, POST /pace {setting: number or null}: how long things take.
POST /bad-keys {"keys": [...]} sets the list of refused keys.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lab.api import fields, instances, later, pace
from lab.api.errors import ApiError, refused
from lab.api.faults import Faults
from lab.api.region import JSON, Region
from lab.api.requestlog import RequestLog
from lab.api.service import json_object
from lab.api.store import public


def _find(region: Region, name: str) -> JSON:
    table = region.store.table("instances")
    found = [instance for id_, instance in table.items() if name in (id_, instance["label"])]
    if not found:
        known = ", ".join(instance["label"] or id_ for id_, instance in table.items()) or "none"
        raise ApiError(404, f"No instance has the id or label {name!r}; there are: {known}")
    if len(found) > 1:
        raise refused(f"{len(found)} instances have the label {name!r}; use an id: "
                      + ", ".join(instance["id"] for instance in found))  # fmt: skip
    only: JSON = found[0]
    return only


def _error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(error.body(), error.status)


class LoopbackOnly:
    """Refuses requests under any host name but a loopback one: no web page may reach the handle."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = Request(scope).headers.get("host", "").partition(":")[0]
            if host not in ("127.0.0.1", "localhost"):
                refusal = JSONResponse({"error": "Only for this machine", "status": 403}, 403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def control(region: Region, faults: Faults, requests: RequestLog) -> ASGIApp:
    """The control endpoint as an ASGI application."""
    store = region.store

    async def state(_: Request) -> Response:
        later.settle(store)
        data = {**store.data, "requests": dict(requests.counts), "faults": faults.listing()}
        data["instances"] = {
            id_: {**public(instance), "vpcs": instance["_vpcs"], "dead": bool(instance.get("_dead"))}
            for id_, instance in store.table("instances").items()
        }
        return JSONResponse(data)

    async def act(request: Request) -> Response:
        action = request.path_params["action"]
        instance = _find(region, request.path_params["name"])
        if action == "delete":
            task = instances.discard(region, instance)
        elif action == "kill":
            task = region.machines.kill(instance["id"])
        elif action in ("start", "halt", "reboot"):
            task = instances.power(region, instance, action)
        else:
            raise refused(f"Unknown action {action!r}: delete, reboot, halt, start or kill")
        store.save()
        failed = await task
        if failed is not None:
            name = instance["label"] or instance["id"]
            raise ApiError(500, f"{action} of {name}: {failed}; more in the emulator's log: python -m lab logs api")
        return JSONResponse({"instance": instance["id"], "action": action})

    async def show_faults(_: Request) -> Response:
        return JSONResponse({"faults": faults.listing()})

    async def add_fault(request: Request) -> Response:
        return JSONResponse(faults.add(await json_object(request)), 201)

    async def clear_faults(_: Request) -> Response:
        faults.clear()
        return Response(status_code=204)

    async def show_pace(_: Request) -> Response:
        return JSONResponse({"pace": pace.listing(store)})

    async def set_pace(request: Request) -> Response:
        pace.change(store, await json_object(request))
        store.save()
        return JSONResponse({"pace": pace.listing(store)})

    async def bad_keys(request: Request) -> Response:
        keys = fields.texts(await json_object(request), "keys")
        if keys is None:
            raise refused("Missing required field: keys")
        store.data["bad_keys"] = keys
        store.save()
        return JSONResponse({"keys": keys})

    routes = [
        Route("/state", state),
        Route("/instances/{name}/{action}", act, methods=["POST"]),
        Route("/bad-keys", bad_keys, methods=["POST"]),
        Route("/faults", show_faults),
        Route("/faults", add_fault, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/pace", show_pace),
        Route("/pace", set_pace, methods=["POST"]),
    ]
    return LoopbackOnly(Starlette(routes=routes, exception_handlers={ApiError: _error}))
