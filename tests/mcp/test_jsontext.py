"""The strict reading of JSON: both lanes, numbers, limits, and no surprise for any input."""

import json
from dataclasses import replace
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcp_acl.domain import InexactNumber
from mcp_acl.mcp import jsontext
from mcp_acl.mcp.exact import read_exactly
from mcp_acl.mcp.jsontext import parse_json
from mcp_acl.mcp.limits import DEFAULT_LIMITS, Limits
from mcp_acl.problems import MessageError
from tests.mcp.jsons import shown, texts

SMALL = Limits(size=200, depth=3, keys=4, items=5, string=10, number=32)


def refusal(body: bytes, limits: Limits = DEFAULT_LIMITS) -> str:
    with pytest.raises(MessageError) as error:
        parse_json(body, limits)
    assert error.value.message[0].islower()
    assert "\n" not in error.value.message
    return error.value.code


def code_of(body: bytes) -> str:
    try:
        parse_json(body)
    except MessageError as error:
        return error.code
    return ""


def is_fast(body: bytes, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether the fast lane takes the text."""
    with patch.object(jsontext, "read_exactly", side_effect=MessageError("slow", "slow")):
        try:
            parse_json(body, limits)
        except MessageError:
            return False
    return True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", None),
        ("true", True),
        ("1", 1),
        ("-0", 0),
        ("1.0", 1.0),
        ("1e2", 100.0),
        ('"a"', "a"),
        ("[]", []),
        ('{"a":[{}]}', {"a": [{}]}),
        ("9007199254740991", 2**53 - 1),
        ("-9007199254740991", 1 - 2**53),
        ("0e999", 0.0),
        ("-0.000e5", -0.0),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("12345678901234567.5", 12345678901234567.5),
        ("1e22", 1e22),
    ],
)
def test_a_value_is_read(text: str, expected: object) -> None:
    found = parse_json(text.encode())
    assert (type(expected), repr(expected)) == (type(found), repr(found))


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551616",
        "1" * 256,
        "1e309",
        "-1e309",
        "1e-400",
        "1" * 200 + "e" + "9" * 50,
    ],
)
def test_a_number_that_parsers_read_differently_is_inexact(text: str) -> None:
    for body in (text, f"[{text}]", f'{{"a": {text}}}'):
        found = parse_json(body.encode())
        inner = found[0] if isinstance(found, list) else found["a"] if isinstance(found, dict) else found
        assert isinstance(inner, InexactNumber)
        assert text == inner.text


@pytest.mark.parametrize(
    ("body", "limits", "code"),
    [
        (b" " * 201, SMALL, "size"),
        (b"[[[[]]]]", SMALL, "depth"),
        (b'[[[{"a":1}]]]', SMALL, "depth"),
        (b'{"a":1,"b":2,"c":3,"d":4,"e":5}', SMALL, "keys"),
        (b'[{"a":1,"b":2,"c":3},{"a":1,"b":2}]', SMALL, "keys"),
        (b"[1,2,3,4,5,6]", SMALL, "items"),
        (b"[[1,2],[3,4]]", SMALL, "items"),
        (b"[1,2,3,4,5,6,7,8,9,0,1]", SMALL, "items"),
        (b'["a,b","c",1,2,3,4,5,6,7,8,9,0,"', SMALL, "items"),
        (b'"12345678901"', SMALL, "string"),
        (b'{"12345678901":1}', SMALL, "string"),
        (b"1" * 33, SMALL, "number"),
        (b"0." + b"1" * 33, SMALL, "number"),
        (b"1.5", replace(SMALL, number=2), "number"),
        (b"[1]", replace(SMALL, depth=0), "depth"),
        (b"[" * 100_000, DEFAULT_LIMITS, "depth"),
        (b"[" * 100_000 + b"]" * 100_000, DEFAULT_LIMITS, "depth"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, DEFAULT_LIMITS, "depth"),
        (b"[" * 65 + b"]" * 65, DEFAULT_LIMITS, "depth"),
        (b"1" * 1_000_000, DEFAULT_LIMITS, "number"),
        (b"[" + b"1," * 250_000 + b"1]", DEFAULT_LIMITS, "items"),
        (b" " * (4 * 1024 * 1024) + b"1", DEFAULT_LIMITS, "size"),
    ],
)
def test_a_limit_is_kept(body: bytes, limits: Limits, code: str) -> None:
    assert code == refusal(body, limits)


@pytest.mark.parametrize(
    "body",
    [
        b"1" + b" " * 199,
        b"[[[]]]",
        b'[[{"a":1}]]',
        b'{"a":1,"b":2,"c":3,"d":4}',
        b"[1,2,3,4,5]",
        b'"1234567890"',
        b'{"a":"{[{[{["}',
        b'{"a":",,,\\",,,","b":",,,,,,"}',
        b"1" * 32,
    ],
)
def test_what_just_fits_is_read(body: bytes) -> None:
    parse_json(body, SMALL)


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1.5,-2,"\xc3\xa9"]}}}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}',
        b'[\n  {\n    "a": 123456789012345\n  }\n]\n',
        b'{"a":"1234567890123456"}',
        b"[" + b"{}," * 100 + b"{}]",
        b'{"a":"' + b"x{" * 60_000 + b'"}',
    ],
)
def test_usual_texts_take_the_fast_lane(body: bytes) -> None:
    assert is_fast(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"n\\u0061me":1}',
        b"1234567890123456",
        b'{"a": 1234567890123456}',
        b"[-1234567890123456]",
        b"[1e400]",
        b"null",
        b"[" * 65 + b"]" * 65,
        b"[NaN]",
        b"[-0]",
    ],
)
def test_what_does_not_prove_itself_is_read_exactly(body: bytes) -> None:
    assert not is_fast(body)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(texts())
@example(b'{"a":"\\ud83d\\ude00","b":[1.5,{"c":null}]}')
def test_what_the_fast_lane_takes_the_exact_one_reads_the_same(body: bytes) -> None:
    limits = Limits(size=1000, depth=3, keys=5, items=5, string=20, number=32)
    if is_fast(body, limits):
        assert shown(read_exactly(body, limits)) == shown(parse_json(body, limits))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(texts())
def test_what_is_accepted_the_standard_library_reads_the_same(body: bytes) -> None:
    try:
        found = parse_json(body)
    except MessageError:
        return
    again = json.loads(
        body, parse_int=lambda text: parse_json(text.encode()), parse_float=lambda text: parse_json(text.encode())
    )
    assert shown(again) == shown(found)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.binary(max_size=40)
    | texts()
    | st.builds(lambda a, b, n: a[:n] + b, texts(), st.binary(max_size=3), st.integers(0, 30))
)
def test_no_input_raises_anything_else(body: bytes) -> None:
    assert code_of(body) in {"", "bom", "encoding", "syntax", "duplicate", "surrogate", "depth"}
