"""`google.protobuf.Struct` to JSON, as exactly as a Struct allows. Knows no message of ours.

A Struct has lost what its maker's parser lost: duplicate keys, and which numbers were whole. Its numbers are doubles
(google/protobuf/struct.proto), so a whole one within ±(2^53−1) becomes an integer again, and a larger one, whose digits
cannot be trusted, an `InexactNumber`.
"""

from typing import Final

import msgspec
from google.protobuf.struct_pb2 import Struct, Value

from mcp_acl.domain import InexactNumber, Json
from mcp_acl.problems import MessageError

_LARGEST: Final = 2.0**53 - 1


def json_of(struct: Struct) -> dict[str, Json]:
    """The object a Struct stands for. Nesting is bounded by protobuf's own limit.

    Raises MessageError for a number that is none (NaN, Infinity) and for a value without a kind: JSON has neither.
    """
    return {key: _value(value) for key, value in struct.fields.items()}


def encode_json(value: object) -> bytes:
    """The JSON text of a value; numbers that are not exact in the digits they came in."""
    return msgspec.json.encode(value, enc_hook=_raw)


def _raw(value: object) -> msgspec.Raw:
    if isinstance(value, InexactNumber):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError


def _value(value: Value) -> Json:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return _number(value.number_value)
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return json_of(value.struct_value)
        case "list_value":
            return [_value(item) for item in value.list_value.values]
        case "null_value":
            return None
    raise MessageError("struct", "a value of a Struct has no kind; set `null_value` for null")


def _number(number: float) -> Json:
    if not number.is_integer():
        if number - number != 0:
            raise MessageError("struct", f"`{number}` is no JSON number")
        return number
    return int(number) if -_LARGEST <= number <= _LARGEST else InexactNumber(f"{number:.0f}")
