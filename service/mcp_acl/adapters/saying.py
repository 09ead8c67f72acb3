"""What gateways that are not ours are told beside the answer: the decision as metadata, headers in both forms. Knows no message of theirs."""

from functools import lru_cache
from typing import Final

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from mcp_acl.domain import Decision
from mcp_acl.gen import envoy_base_pb2 as base
from mcp_acl.runtime.gate import Answer


def decision_struct(answer: Answer) -> Struct:
    """`decision`, `reason`, `revision`, `rules` and `decision_id`, for filters that come later and access logs."""
    decision = answer.decision
    usual = decision.allowed and not decision.errors
    told = Struct.FromString(_remembered(decision) if usual else _said(decision))
    told.fields["decision_id"].string_value = answer.decision_id
    return told


def _said(decision: Decision) -> bytes:
    texts = {"decision": decision.effect, "reason": decision.reason, "revision": decision.revision}
    fields = {name: Value(string_value=text) for name, text in texts.items()}
    rules = ListValue(values=[Value(string_value=str(rule)) for rule in decision.rules])
    return Struct(fields={**fields, "rules": Value(list_value=rules)}).SerializeToString()


_remembered: Final = lru_cache(maxsize=1024)(_said)
"""Of decisions that are made again and again."""


def set_header(name: str, value: str) -> base.HeaderValueOption:
    """In both forms, because gateways differ in which they read."""
    header = base.HeaderValue(key=name, value=value, raw_value=value.encode())
    return base.HeaderValueOption(header=header, append_action=base.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)


def text_of(header: base.HeaderValue) -> str:
    """The value of a header, in whichever form it came. What is not UTF-8 is replaced, because nothing may be left out."""
    raw = header.raw_value
    return raw.decode(errors="replace") if raw else header.value
