"""`google.protobuf.Struct` to JSON, as exactly as a Struct allows, and fields as they are on the wire. Knows no message of ours.

A Struct has lost what its maker's parser lost: duplicate keys, and which numbers were whole. Its numbers are doubles
(google/protobuf/struct.proto), so a whole one within ±(2^53−1) becomes an integer again, and a larger one, whose digits
cannot be trusted, an `InexactNumber`.
"""

from collections.abc import Sized
from typing import Final

import msgspec
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from mcp_acl.domain import InexactNumber, Json
from mcp_acl.mcp.limits import DEFAULT_LIMITS, Limits
from mcp_acl.problems import MessageError

_LARGEST: Final = 2.0**53 - 1
_EXCEEDED: Final = {
    "size": "is larger than {} bytes",
    "depth": "is nested more than {} deep",
    "keys": "has more than {} keys",
    "items": "has more than {} list elements",
    "string": "has a string of more than {} characters",
}


def json_of(struct: Struct, limits: Limits = DEFAULT_LIMITS) -> dict[str, Json]:
    """The object a Struct stands for, held to the limits of a JSON text; its bytes are those on the wire.

    Raises MessageError for a limit, whose name is the code, for a number that is none (NaN, Infinity) and for a value
    without a kind: JSON has neither.
    """
    reading = _Reading(limits)
    reading.hold("size", struct.ByteSize())
    return reading.object(struct)


def encode_json(value: object) -> bytes:
    """The JSON text of a value; numbers that are not exact in the digits they came in."""
    return msgspec.json.encode(value, enc_hook=_raw)


def _raw(value: object) -> msgspec.Raw:
    if isinstance(value, InexactNumber):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError


def length_delimited(field: int, payload: bytes) -> bytes:
    """One field whose value is text, bytes or a message, as it is on the wire (protobuf encoding, "Length-Delimited Records")."""
    return delimited_tag(field) + varint(len(payload)) + payload


def delimited_tag(field: int) -> bytes:
    """What stands before the length of such a field."""
    return varint(field << 3 | _LENGTH_DELIMITED)


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits in a byte (protobuf encoding, "Base 128 Varints")."""
    if number < _SMALL:
        return _ONE_BYTE[number]
    if number < _SMALL * _SMALL:
        return bytes((number & 0x7F | 0x80, number >> 7))
    found = bytearray()
    while number >= _SMALL:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_LENGTH_DELIMITED: Final = 2
_SMALL: Final = 128
_ONE_BYTE: Final = tuple(bytes((number,)) for number in range(_SMALL))


class _Reading:
    """One Struct being read: what it has used of its limits. Counts are checked before what is counted is read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._longest = limits.string
        self._depth = 0
        self._used = {"keys": 0, "items": 0}

    def hold(self, limit: str, amount: int) -> None:
        most = getattr(self._limits, limit)
        if amount > most:
            raise MessageError(limit, f"it {_EXCEEDED[limit].format(most)}")

    def object(self, struct: Struct) -> dict[str, Json]:
        self._open("keys", struct.fields)
        found = {self._text(key): self._value(value) for key, value in struct.fields.items()}
        self._depth -= 1
        return found

    def _list(self, values: ListValue) -> list[Json]:
        self._open("items", values.values)
        found = [self._value(value) for value in values.values]
        self._depth -= 1
        return found

    def _open(self, limit: str, members: Sized) -> None:
        self._depth += 1
        self.hold("depth", self._depth)
        self._used[limit] += len(members)
        self.hold(limit, self._used[limit])

    def _text(self, text: str) -> str:
        if len(text) > self._longest:
            self.hold("string", len(text))
        return text

    def _value(self, value: Value) -> Json:
        match value.WhichOneof("kind"):
            case "string_value":
                return self._text(value.string_value)
            case "number_value":
                return _number(value.number_value)
            case "bool_value":
                return value.bool_value
            case "struct_value":
                return self.object(value.struct_value)
            case "list_value":
                return self._list(value.list_value)
            case "null_value":
                return None
        raise MessageError("struct", "a value of a Struct has no kind; set `null_value` for null")


def _number(number: float) -> Json:
    if not number.is_integer():
        if number - number != 0:
            raise MessageError("struct", f"`{number}` is no JSON number")
        return number
    return int(number) if -_LARGEST <= number <= _LARGEST else InexactNumber(f"{number:.0f}")
