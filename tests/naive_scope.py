"""What a condition sees, computed a second time and all at once: one value, or one error, for each variable."""

from collections.abc import Mapping
from typing import Any

from mcp_acl.domain import Json, Request
from mcp_acl.expr.cel.values import PartialMap, Timestamp
from mcp_acl.mcp.methods import METHODS
from mcp_acl.problems import EvalError

UNKNOWN_IN_LISTS = frozenset({"arguments", "meta", "el_arguments", "el_meta", "el_request_content", "el_request_json_content"})
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
            "annotations": self._annotations(method, entry),
            "headers": PartialMap(headers, "mcp-param-") if before_call else headers,
            "path": request.http.path,
            "http_method": request.http.method,
            "remote_address": request.http.remote_address,
            "time": Timestamp.of(request.time),
            "attributes": request.attributes,
        }

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

    def _annotations(self, method: str, entry: Mapping[str, Json] | None) -> object:
        if entry is None:
            return EvalError("no entry")
        given = entry.get("annotations", {})
        if not isinstance(given, Mapping):
            return EvalError("not an object")
        if method != "tools/list":
            return given
        defaults = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
        return {**defaults, **given}
