"""A Struct as JSON: nothing is guessed that a double has lost."""

import json
import math
from dataclasses import replace

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.wrappers_pb2 import UInt64Value
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.adapters.wire import encode_json, json_of, varint
from mcp_acl.domain import InexactNumber
from mcp_acl.mcp.limits import Limits
from mcp_acl.problems import MessageError

LARGEST = 2**53 - 1
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def struct(**members: Value) -> Struct:
    return Struct(fields=members)


@given(st.dictionaries(texts, jsons, max_size=4))
def test_object_is_the_same_after_a_struct(value: dict[str, object]) -> None:
    found = json_of(ParseDict(value, Struct()))
    assert value == found
    assert json.loads(json.dumps(value)) == json.loads(encode_json(found))


@pytest.mark.parametrize(
    ("number", "found"),
    [(1.0, 1), (-0.0, 0), (0.5, 0.5), (2.0**53 - 1, LARGEST), (-(2.0**53 - 1), -LARGEST), (1e-300, 1e-300)],
)
def test_whole_number_becomes_an_integer_again(number: float, found: float) -> None:
    value = json_of(struct(n=Value(number_value=number)))["n"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("number", "digits"), [(2.0**53, "9007199254740992"), (-1e22, "-10000000000000000000000")])
def test_number_whose_digits_are_lost_is_not_exact(number: float, digits: str) -> None:
    value = json_of(struct(n=Value(number_value=number)))
    inexact = value["n"]
    assert isinstance(inexact, InexactNumber)
    assert digits == inexact.text
    assert f'{{"n":{digits}}}'.encode() == encode_json(value)


@pytest.mark.parametrize(
    "value", [Value(number_value=math.nan), Value(number_value=math.inf), Value(number_value=-math.inf), Value()]
)
def test_what_json_has_not_is_refused_wherever_it_is(value: Value) -> None:
    for wrong in (struct(x=value), struct(x=Value(list_value=ListValue(values=[value])))):
        with pytest.raises(MessageError):
            json_of(wrong)


LIMITS = Limits(size=200, depth=2, keys=3, items=3, string=4)


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("size", {"a": "xxxx", "b": ["xxxx"], "c": "xxxx"}),
        ("depth", {"a": {"b": 1}}),
        ("depth", {"a": [1]}),
        ("keys", {"a": 1, "b": {"c": 1}}),
        ("keys", {"a": {"b": 1}, "c": 1}),
        ("items", {"a": [1, 2, 3]}),
        ("items", {"a": [1, 2], "b": [3]}),
        ("string", {"a": "xxxx"}),
        ("string", {"xxxx": 1}),
        ("string", {"a": ["\U0001f600" * 4]}),
    ],
)
def test_limits_of_a_json_text_hold_for_a_struct(limit: str, value: dict[str, object]) -> None:
    struct = ParseDict(value, Struct())
    enough = struct.ByteSize() if limit == "size" else getattr(LIMITS, limit)
    assert value == json_of(struct, replace(LIMITS, **{limit: enough}))
    with pytest.raises(MessageError) as caught:
        json_of(struct, replace(LIMITS, **{limit: enough - 1}))
    assert limit == caught.value.code


def test_only_json_is_written() -> None:
    with pytest.raises(NotImplementedError):
        encode_json({"x": object()})


@pytest.mark.parametrize("number", [1, 127, 128, 300, 16_383, 16_384, 2**32, 2**64 - 1])
def test_number_is_written_as_protobuf_writes_it(number: int) -> None:
    assert b"\x08" + varint(number) == UInt64Value(value=number).SerializeToString()
