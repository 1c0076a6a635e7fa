"""The provider protocol without its transport: plain requests in, plain answers out.

Both are in the spelling of the protocol's JSON (camelCase, as in recordings of it), so that the conformance
tests speak to a plugin exactly as the engine does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from provider.protocol.base import (
    CheckFailure,
    Context,
    Difference,
    Failure,
    Plugin,
    Props,
    Resource,
    SecretPaths,
    decode,
    encode,
    mark,
    secret_paths,
)


class Dispatcher:
    """Turns named calls with plain requests into plain answers.

    The whole protocol without gRPC (tests use this).
    """

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin

    def call(self, method: str, request: Props) -> Props:
        """Answer one request, both in the spelling of the protocol's JSON (camelCase). Raises `Failure`."""
        handler: Callable[[Props], Props] = getattr(self, "_" + method.lower())
        return handler(request)

    def _context(self, request: Props) -> Context:
        urn = str(request.get("urn", ""))
        autonaming = request.get("autonaming") or {}
        news = request.get("news") or request.get("properties") or {}
        paths = secret_paths(news)
        return Context(
            plugin=self.plugin,
            urn=urn,
            type=request.get("type") or (urn.split("::")[2].rsplit("$", maxsplit=1)[-1] if urn else ""),
            name=request.get("name") or (urn.split("::", 3)[3] if urn else ""),
            timeout=float(request.get("timeout") or 0),
            preview=bool(request.get("preview")),
            ignore_changes=list(request.get("ignoreChanges") or []),
            old_inputs=decode(request.get("oldInputs") or {}),
            proposed_name=str(autonaming.get("proposedName", "")),
            autonaming_mode=int(autonaming.get("mode", 0)),
            secret_inputs={str(path[0]) for path in paths if len(path) == 1},
            secret_paths=paths,
        )

    def _resource(self, ctx: Context) -> Resource:
        resource = self.plugin.resources.get(ctx.type)
        if resource is None:
            known = f"it has: {', '.join(sorted(self.plugin.resources))}"
            raise Failure(f"{self.plugin.title} has no resource type {ctx.type} ({known}){self.plugin.elsewhere}")
        return resource

    def _outputs(self, outputs: Props, paths: SecretPaths) -> Props:
        if self.plugin.accept_secrets:
            outputs = cast(Props, mark(outputs, paths))
        return cast(Props, encode(outputs))

    def _checked(self, answer: tuple[Props, list[CheckFailure]], ctx: Context) -> Props:
        inputs, failures = answer
        if failures:
            return {"failures": [{"property": f.property, "reason": f.reason} for f in failures]}
        return {"inputs": self._outputs(inputs, ctx.secret_paths)}

    def _diffed(self, difference: Difference) -> Props:
        changed = bool(difference.diffs or difference.detailed or difference.replaces)
        answer: Props = {
            "changes": "DIFF_SOME" if changed else "DIFF_NONE",
            "diffs": difference.diffs,
            "replaces": difference.replaces,
            "stables": difference.stables,
            "deleteBeforeReplace": difference.delete_before_replace,
            "hasDetailedDiff": difference.detailed_given,
            "detailedDiff": {
                path: {"kind": kind, "inputDiff": difference.input_diff} for path, kind in difference.detailed.items()
            },
        }
        return answer

    def _checkconfig(self, request: Props) -> Props:
        ctx = self._context(request)
        answer = self.plugin.check_config(ctx, decode(request.get("olds") or {}), decode(request.get("news") or {}))
        return self._checked(answer, ctx)

    def _diffconfig(self, request: Props) -> Props:
        ctx = self._context(request)
        olds = ctx.old_inputs or decode(request.get("olds") or {})
        difference = self.plugin.diff_config(ctx, olds, decode(request.get("news") or {}))
        answer = self._diffed(difference)
        return answer if difference.detailed or difference.replaces else {}

    def _configure(self, request: Props) -> Props:
        ctx = self._context(request)
        args = decode(request.get("args") or {})
        self.plugin.config = args
        self.plugin.configure(ctx, args)
        return {
            "supportsPreview": True,
            "supportsAutonamingConfiguration": self.plugin.supports_autonaming,
            "acceptSecrets": self.plugin.accept_secrets,
        }

    def _invoke(self, request: Props) -> Props:
        ctx = self._context(request)
        return {"return": encode(self.plugin.invoke(ctx, str(request["tok"]), decode(request.get("args") or {})))}

    def _check(self, request: Props) -> Props:
        ctx = self._context(request)
        olds, news = decode(request.get("olds") or {}), decode(request.get("news") or {})
        return self._checked(self._resource(ctx).check(ctx, olds, news), ctx)

    def _diff(self, request: Props) -> Props:
        ctx = self._context(request)
        olds, news = decode(request.get("olds") or {}), decode(request.get("news") or {})
        return self._diffed(self._resource(ctx).diff(ctx, str(request.get("id", "")), olds, news))

    def _create(self, request: Props) -> Props:
        ctx = self._context(request)
        inputs = decode(request.get("properties") or {})
        id, outputs = self._resource(ctx).create(ctx, inputs)
        return {"id": "" if ctx.preview else id, "properties": self._outputs(outputs, ctx.secret_paths)}

    def _read(self, request: Props) -> Props:
        ctx = self._context(request)
        state, inputs = decode(request.get("properties") or {}), decode(request.get("inputs") or {})
        found = self._resource(ctx).read(ctx, str(request.get("id", "")), state, inputs)
        if found is None:
            return {}
        id, outputs, new_inputs = found
        paths = ctx.secret_paths | secret_paths(request.get("inputs") or {})
        return {
            "id": id,
            "properties": self._outputs(outputs, paths),
            "inputs": self._outputs(new_inputs, paths),
        }

    def _update(self, request: Props) -> Props:
        ctx = self._context(request)
        olds, news = decode(request.get("olds") or {}), decode(request.get("news") or {})
        outputs = self._resource(ctx).update(ctx, str(request.get("id", "")), olds, news)
        return {"properties": self._outputs(outputs, ctx.secret_paths)}

    def _delete(self, request: Props) -> Props:
        ctx = self._context(request)
        state = decode(request.get("properties") or {})
        self._resource(ctx).delete(ctx, str(request.get("id", "")), state)
        return {}
