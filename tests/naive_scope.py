"""What a condition sees, computed a second time and all at once: one value, or one error, for each variable.

The values that the expression language has of its own are made by the language.
"""

from collections.abc import Mapping
from typing import Any

from mcp_acl.domain import Json, Request
from mcp_acl.expr.cel.values import PartialMap, Timestamp
from mcp_acl.expr.el import roots
from mcp_acl.expr.el.values import Headers
from mcp_acl.mcp.methods import METHODS
from mcp_acl.problems import EvalError

UNKNOWN_IN_LISTS = frozenset(
    {"arguments", "meta", "el_arguments", "el_meta", "el_request_content", "el_request_json_content"}
)
"""What only the call will bring."""

OF_THE_ENTRY = frozenset({"name", "annotations", "el_mcp"})
"""What differs from entry to entry of a list."""


class NaiveScope:
    """One request about one target."""

    def __init__(
        self,
        request: Request,
        method: str,
        target: str | None = None,
        entry: Mapping[str, Json] | None = None,
        *,
        before_call: bool = False,
    ) -> None:
        params = request.message.params
        row = METHODS.get(method)
        headers = {name: ", ".join(values) for name, values in request.http.headers.items()}
        self._facts: dict[str, Any] = {
            "claims": request.claims,
            "server": request.server,
            "method": method,
            "feature": row.feature.value if row and row.feature else "",
            "name": target if target is not None else EvalError("no target"),
            "arguments": self._arguments(request),
            "meta": self._object(params.get("_meta", {})),
            "protocol_version": self._version(request),
            "annotations": self._annotations(request, method, target, entry),
            "headers": PartialMap(headers, "mcp-param-") if before_call else headers,
            "path": request.http.path,
            "http_method": request.http.method,
            "remote_address": request.http.remote_address,
            "time": Timestamp.of(request.time),
            "attributes": request.attributes,
        }
        self._facts |= self._expression_language(request, before_call=before_call)

    def _expression_language(self, request: Request, *, before_call: bool) -> dict[str, Any]:
        """The roots of EL, of the values it builds them from."""
        body: dict[str, object] = {"jsonrpc": "2.0"}
        if request.message.id is not None:
            body["id"] = request.message.id
        if request.message.method:
            body["method"] = request.message.method
        if request.message.params:
            body["params"] = request.message.params
        now = int(request.time.timestamp() * 1000)
        headers = Headers(request.http.headers, "mcp-param-" if before_call else "")
        known = {name: self._facts[name] for name in roots.MCP_PROPERTIES}
        objects = {
            name: roots.object_root(name, request.attributes.get(name)) for name in ("subscription", "api", "node")
        }
        maps = {
            name: roots.map_root(request.attributes.get(name)) for name in ("properties", "dictionaries", "endpoints")
        }
        return {
            "el_context": roots.context_root(request.attributes, roots.principal_makers(request.claims)),
            "el_request": roots.request_root(
                headers, method=request.http.method, path=request.http.path, timestamp=now
            ),
            "el_request_content": roots.json_text(body),
            "el_request_json_content": roots.json_map(body),
            "el_token": roots.claims_value(request.claims),
            "el_mcp": roots.mcp_root(
                {name: value for name, value in known.items() if not isinstance(value, EvalError)}
            ),
            "el_arguments": self._map("arguments"),
            "el_meta": self._map("meta"),
            "el_now": now,
            **{f"el_{name}": value for name, value in {**objects, **maps}.items()},
        }

    def _map(self, name: str) -> object:
        value = self._facts[name]
        return value if isinstance(value, EvalError) else roots.json_map(value)

    def __getattr__(self, name: str) -> Any:
        fact = self._facts[name]
        if isinstance(fact, EvalError):
            raise fact
        return fact

    @staticmethod
    def _object(value: object) -> object:
        return value if isinstance(value, Mapping) else EvalError("not an object")

    def _arguments(self, request: Request) -> object:
        if request.message.method not in ("tools/call", "prompts/get"):
            return EvalError("no arguments")
        return self._object(request.message.params.get("arguments", {}))

    @staticmethod
    def _version(request: Request) -> object:
        meta = request.message.params.get("_meta")
        in_meta = meta.get("io.modelcontextprotocol/protocolVersion") if isinstance(meta, Mapping) else None
        in_header = next(iter(request.http.headers.get("mcp-protocol-version", [])), None)
        stated = [one for one in (in_meta, request.message.params.get("protocolVersion"), in_header) if one is not None]
        return stated[0] if stated and isinstance(stated[0], str) else EvalError("no version")

    @staticmethod
    def _annotations(request: Request, method: str, target: str | None, entry: Mapping[str, Json] | None) -> object:
        if entry is None and method == "tools/call" and target in request.tools:
            given: object = request.tools[target or ""].annotations
        elif entry is not None:
            given = entry.get("annotations", {})
        else:
            return EvalError("not listed, or not trusted")
        if not isinstance(given, Mapping):
            return EvalError("not an object")
        if method not in ("tools/list", "tools/call"):
            return given
        defaults = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
        return {**defaults, **given}
