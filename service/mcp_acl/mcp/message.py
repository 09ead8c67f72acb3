"""`parse_message`: bytes to one JSON-RPC 2.0 message, accepted only if every known parser reads the same. Knows no policy.

The rules of the envelope: members spelled exactly and no others, `method` never beside `result` or `error`, ids that every
parser keeps apart, `params` an object. A member of `params` that some parser would take for one that decides (case, Unicode
folds, a NUL or white space at its end) is refused too.
"""

from collections.abc import Iterable, Mapping
from string import whitespace
from typing import Final

from mcp_acl.domain import Json, Message, MessageKind
from mcp_acl.mcp.jsontext import parse_json
from mcp_acl.mcp.limits import DEFAULT_LIMITS, Limits
from mcp_acl.mcp.quoting import quoted
from mcp_acl.problems import MessageError

__all__ = ["DEFAULT_LIMITS", "Limits", "parse_batch", "parse_json", "parse_message", "refuse_lookalikes"]

ENVELOPE: Final = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
"""The members of a message."""

MAX_BATCH: Final = 100
"""How many messages one batch may hold."""

_PARAMS: Final = frozenset({
    "_meta", "argument", "arguments", "context", "cursor", "inputRequests", "inputResponses", "level", "name", "notifications", "ref",
    "requestState", "task", "taskId", "uri",
})  # fmt: skip
"""The members of `params` that name what is acted on, or that conditions read, in any method of the table."""
_EMPTY: Final = frozenset({"_meta"})
"""What an empty result may hold (MCP, EmptyResult)."""

_SHOWN: Final = 5


def parse_message(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Message:
    """One JSON-RPC message (JSON-RPC 2.0 §4, §5). A response keeps its kind and id, and whether its result is empty.

    Raises MessageError and nothing else: the codes of `parse_json`, and `batch` for an array, `object`, `member`, `version`,
    `envelope`, `id`, `method`, `params`.
    """
    value = parse_json(body, limits)
    if isinstance(value, list):
        raise MessageError("batch", "the body is an array; send each message by itself")
    return _message(value)


def parse_batch(body: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Message, ...]:
    """The messages of a batch (MCP 2025-03-26). Limits hold for the whole body.

    Raises MessageError and nothing else: as `parse_message`, and `batch` for what is no array, an empty or a long one, an id used
    twice, and `initialize`, which must come by itself.
    """
    value = parse_json(body, limits)
    if not isinstance(value, list) or not 0 < len(value) <= MAX_BATCH:
        raise MessageError("batch", f"a batch is an array of 1 to {MAX_BATCH} messages")
    messages = tuple(_message(member) for member in value)
    ids = [message.id for message in messages if message.kind is MessageKind.REQUEST]
    if len(set(ids)) != len(ids):
        raise MessageError("batch", "two requests of the batch have the same `id`; give each its own")
    if any(message.method == "initialize" for message in messages):
        raise MessageError("batch", "`initialize` must not be in a batch; send it by itself")
    return messages


def refuse_lookalikes(members: Iterable[str], exact: frozenset[str], code: str) -> None:
    """Raise MessageError if a key is not one of `exact`, but some parser takes it for one of them.

    Parsers are known that ignore case, fold Unicode letters (U+017F, U+212A), or stop at a NUL.
    """
    folded = {name.casefold(): name for name in exact}
    for key in members:
        meant = folded.get(fold(key))
        if meant is not None and key not in exact:
            raise MessageError(code, f"the member {quoted(key)} can be taken for `{meant}`; spell it exactly")


def fold(key: str) -> str:
    """What the most lenient of known parsers makes of a key: alike for all that one of them takes for the same."""
    return key.partition("\0")[0].strip(whitespace).casefold()


def _message(value: Json) -> Message:
    if not isinstance(value, dict):
        raise MessageError("object", "a message is one JSON object")
    _check_members(value)
    version = value.get("jsonrpc")
    if not isinstance(version, str) or version != "2.0":
        raise MessageError("version", 'the member `jsonrpc` must be "2.0"')
    return _call(value) if "method" in value else _response(value)


def _check_members(value: Mapping[str, Json]) -> None:
    if value.keys() <= ENVELOPE:
        return
    refuse_lookalikes(value, ENVELOPE, "member")
    others = ", ".join(quoted(key) for key in sorted(value.keys() - ENVELOPE)[:_SHOWN])
    raise MessageError("member", f"a message has no member {others}; put it under `params`")


def _call(value: Mapping[str, Json]) -> Message:
    """A request, or a notification if there is no id."""
    if "result" in value or "error" in value:
        raise MessageError("envelope", "a message has either `method`, or `result`, or `error`")
    method = value["method"]
    if not isinstance(method, str) or not method:
        raise MessageError("method", "the member `method` must be a string that is not empty")
    params = value.get("params", {})
    if not isinstance(params, dict):
        raise MessageError("params", "the member `params` must be an object; leave it out if there is nothing to say")
    if not params.keys() <= _PARAMS:
        refuse_lookalikes(params, _PARAMS, "params")
    if "id" in value:
        return Message(MessageKind.REQUEST, method, _id(value["id"]), params)
    return Message(MessageKind.NOTIFICATION, method, None, params)


def _response(value: Mapping[str, Json]) -> Message:
    if ("result" in value) == ("error" in value) or "params" in value:
        raise MessageError("envelope", "a message has either `method`, or `result`, or `error`")
    if not isinstance(value.get("result", value.get("error")), dict):
        raise MessageError("envelope", "the member `result` or `error` must be an object")
    if "id" not in value:
        raise MessageError("id", "a response needs the `id` of its request")
    result = value.get("result")
    is_empty = isinstance(result, dict) and result.keys() <= _EMPTY
    return Message(MessageKind.RESPONSE, "", _id(value["id"]), is_empty=is_empty)


def _id(value: Json) -> str | int:
    """An id every parser keeps: a string, or a whole number within ±(2^53−1) (others are not `int` when they arrive here)."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise MessageError("id", "the member `id` must be a string or a whole number within ±(2^53−1)")
