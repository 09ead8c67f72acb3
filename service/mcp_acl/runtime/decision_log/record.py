"""What a record of the decision log says, and what it leaves out. JSON, one line each; knows neither file nor queue.

Unless settings say so, it holds no argument of a call and no claim but those that name the principal, nor quotes one.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import gmtime, strftime
from typing import Any, Final, TypeVar
from urllib.parse import unquote_plus

import msgspec

from mcp_acl.domain import Http, InexactNumber, Json, Message, RuleError, RuleRef
from mcp_acl.problems import EvalError
from mcp_acl.runtime.decision_log.words import Words, texts_in
from mcp_acl.runtime.observed import NANOS, Decided, Likeness, Replied, method_told
from mcp_acl.runtime.trace import Trace

_K = TypeVar("_K")
_REMEMBERED: Final = 1024
_SHORT: Final = 256
"""Characters of a text that is remembered."""
_LONGEST: Final = 4096
"""Bytes of a text that peers have written, as it is written here, and of arguments."""
_MOST: Final = 100
"""Names that one record tells, errors, and rules."""
_ESCAPED: Final = 12
"""Bytes of one character at the most: two halves, each as `\\uXXXX`."""
MASK: Final = "***"
_ARGUMENTS: Final = "arguments"
_SAID: Final = frozenset({"name", "uri", "taskId", "cursor"})
"""Members of `params` that a record may quote: what is acted on, if names are recorded."""


@dataclass(frozen=True, slots=True)
class Masking:
    """What is recorded. `claims` by their names; `masked` are names of claims and arguments of which only is said that they are there."""

    claims: tuple[str, ...] = ("iss", "sub")
    arguments: bool = False
    masked: frozenset[str] = frozenset()
    names: bool = True


class Decisions:
    """Makes records of decisions. What those that are alike have in common is written once, and so is a principal."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._known: dict[Likeness, str] = {}
        self._principals: dict[tuple[Json, ...], str] = {}
        self._second = (-1, "")

    def record(self, decided: Decided) -> bytes:
        """The record of a decision."""
        time, likeness, question, _, answer, seconds, trace = decided
        common = self._known.get(likeness) or self._common(likeness)
        rest = '"errors":[]'
        if answer.decision.errors or answer.decision.message or answer.shadow or self._masking.arguments:
            rest = _members(dict(_rare(decided, self._masking)))
        if trace is not None:
            rest = f"{_members(_trace(trace))},{rest}"
        return (
            f'{{"time":"{self._time(time)}","kind":"decision","id":"{answer.decision_id}",'
            f'"principal":{self._principal(question.claims)},{common},"seconds":{seconds:.6f},{rest}}}\n'
        ).encode("ascii")

    def _time(self, time: int) -> str:
        """In form of RFC 3339. Of what happens within a second most is the same."""
        second, nanos = divmod(time, NANOS)
        known, text = self._second
        if second != known:
            text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
            self._second = (second, text)
        return f"{text}.{nanos // 1000:06}Z"

    def _principal(self, claims: Mapping[str, Json]) -> str:
        key = tuple(map(claims.get, self._masking.claims))
        try:
            found = self._principals.get(key)
        except (TypeError, EvalError):  # not all are texts
            found = None
        if found is None:
            found = f"{{{_members(_principal(claims, self._masking))}}}"
            # Remembered of texts alone: numbers are equal that are not written alike.
            if all(type(value) is str and len(value) <= _SHORT for value in key):
                _remember(self._principals, key, found)
        return found

    def _common(self, likeness: Likeness) -> str:
        common = _members(_told(likeness, self._masking))
        if likeness.is_shared:
            _remember(self._known, likeness, common)
        return common


def _remember(known: dict[_K, str], key: _K, text: str) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = text


def _told(likeness: Likeness, masking: Masking) -> Mapping[str, Any]:
    decision = likeness.decision
    return {
        "server": _cut(likeness.server),
        "token": likeness.token,
        "direction": likeness.direction,
        "method": _cut(likeness.method),
        "target": _name(likeness.target, masking),
        "effect": decision.effect,
        "reason": decision.reason,
        "rules": _rules(decision.rules),
        "revision": decision.revision,
        "response_needs": decision.response_needs,
    }


def _rare(decided: Decided, masking: Masking) -> Iterator[tuple[str, Any]]:
    """What most records do not have."""
    _, _, question, message, answer, *_ = decided
    decision = answer.decision
    words = Words(
        lambda: _unsaid(question.claims, question.http, question.attributes, message, masking),
        may_quote=masking.names and message is not None,
    )
    yield "errors", _errors(decision.errors, words)
    if decision.message:
        yield "message", _cut(words.told(decision.message))
    if answer.shadow is not None:
        shadow = answer.shadow
        yield "shadow", {"effect": shadow.effect, "reason": shadow.reason, "rules": _rules(shadow.rules)}
    if masking.arguments and message is not None:
        yield "arguments", _arguments(message, masking)


def of_response(replied: Replied, masking: Masking) -> bytes:
    """The record of what became of a response, or of a piece of one, under the id of its decision."""
    request, filtered = replied.request, replied.reply.filtered
    message = None if request is None else request.message
    words = Words(
        lambda: () if request is None else _unsaid(request.claims, request.http, request.attributes, message, masking),
        may_quote=masking.names and message is not None,
    )
    record: dict[str, Any] = {
        "time": datetime.fromtimestamp(replied.time / NANOS, UTC),
        "kind": "response",
        "id": replied.decision_id,
        "principal": _principal(request.claims, masking) if request is not None else {},
        "server": _cut(request.server) if request is not None else "",
        "method": _cut(method_told(message, request.http)) if request is not None else "(unreadable)",
        "outcome": "withheld" if filtered.refused else "filtered",
        "shown": filtered.shown,
        "hidden": len(filtered.hidden),
        "dropped": len(filtered.dropped),
        "errors": _errors(filtered.errors, words),
        "revision": replied.reply.revision,
        "seconds": round(replied.seconds, 6),
    }
    if replied.trace is not None:
        record.update(_trace(replied.trace))
    if filtered.refused:
        record["reason"] = _cut(words.told(filtered.refused))
    if (shadow := replied.reply.shadow) is not None:
        hidden, shown = ([_name(name, masking) for name in names[:_MOST]] for names in (shadow.hidden, shadow.shown))
        record["shadow"] = {"hidden": hidden, "shown": shown, "refused": _cut(words.told(shadow.refused))}
    if masking.names and filtered.hidden:
        record["hidden_names"] = [_cut(name) for name in filtered.hidden[:_MOST]]
    return f"{{{_members(record)}}}\n".encode("ascii")


def _members(record: Mapping[str, Any]) -> str:
    """Without brackets. In ASCII, whatever peers have written: there are more line ends and control characters than JSON knows."""
    text = _encode(record)
    written = text.decode() if text.isascii() else json.dumps(json.loads(text))
    return written[1:-1].replace("\x7f", "\\u007f")


def _name(text: str, masking: Masking) -> str:
    """A name, or where names are not recorded a digest, by which the same can be found again."""
    if masking.names or not text:
        return _cut(text)
    return f"sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]}"


def _principal(claims: Mapping[str, Json], masking: Masking) -> Mapping[str, Json]:
    """The claims that name it."""
    return {name: _bounded(_masked(name, claims[name], masking)) for name in masking.claims if name in claims}


def _bounded(value: Json) -> Json:
    """A value; of a very long one that it is."""
    size = 0 if isinstance(value, str) else len(_encode(value))
    return value if size <= _LONGEST else f"(of {size} bytes)"


def _masked(name: str, value: Json, masking: Masking) -> Json:
    if name in masking.masked:
        return MASK
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, Mapping):
        return {key: _masked(key, one, masking) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(name, one, masking) for one in value]
    return value


def _arguments(message: Message, masking: Masking) -> Json:
    """The arguments; of very long ones that they are, without a look into them."""
    arguments = message.params.get(_ARGUMENTS)
    size = len(_encode(arguments))
    return _masked(_ARGUMENTS, arguments, masking) if size <= _LONGEST else f"(of {size} bytes)"


def _trace(trace: Trace) -> Mapping[str, str | bool]:
    """Under which span of whose trace; and whether somebody who is believed has said that it is sampled."""
    return {"trace_id": trace.trace_id, "span_id": trace.span_id, "sampled": trace.is_sampled is True}


def _rules(rules: tuple[RuleRef, ...]) -> Sequence[Mapping[str, Any]]:
    """The first of them: a client that names many targets chooses how many there are."""
    return [_rule(rule) for rule in rules[:_MOST]]


def _rule(rule: RuleRef) -> dict[str, Any]:
    return {"policy": rule.policy, "rule": rule.rule, "file": rule.file, "line": rule.line}


def _errors(errors: Sequence[RuleError], words: Words) -> Sequence[Mapping[str, Any]]:
    """The first of them. Who asks is not to decide how long a record is."""
    return [_error(error, words) for error in errors[:_MOST]]


def _error(error: RuleError, words: Words) -> Mapping[str, Any]:
    return {"policy": error.rule.policy, "rule": error.rule.rule, "message": _cut(words.told(error.message))}


def _unsaid(
    claims: Mapping[str, Json],
    http: Http,
    attributes: Mapping[str, Json],
    message: Message | None,
    masking: Masking,
) -> Iterator[str]:
    """Every text of what was asked, and around it, that a record leaves out."""
    for name, value in claims.items():
        yield from texts_in(value, masking.masked, is_said=name in masking.claims and name not in masking.masked)
    for values in http.headers.values():
        yield ", ".join(values)
    yield from (http.path, unquote_plus(http.path))
    yield from texts_in(attributes, masking.masked, is_said=False)
    for name, value in {} if message is None else message.params.items():
        yield from texts_in(value, masking.masked, is_said=name in _SAID or (name == _ARGUMENTS and masking.arguments))


def _cut(text: str) -> str:
    """A text that is not too long, and that can be written whatever is in it."""
    start = text[:_LONGEST]
    if not start.isascii():
        start = start.encode(errors="replace").decode()
    if len(start) * _ESCAPED > _LONGEST and len(json.dumps(start)) - 2 > _LONGEST:
        longest = range(len(start) + 1)
        start = start[: bisect_right(longest, _LONGEST, key=lambda length: len(json.dumps(start[:length])) - 2) - 1]
    return start if len(start) == len(text) else f"{start}…"


def _plain(value: object) -> object:
    """What JSON does not know by itself. A number that parsers read differently is recorded as its digits."""
    if isinstance(value, InexactNumber):
        return value.text
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


_encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode
