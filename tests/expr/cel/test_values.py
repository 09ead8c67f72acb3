"""The values Python has no type for, and their typed form."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.cel.typed import from_typed, to_typed
from mcp_acl.expr.cel.values import (
    MISSING,
    NONE,
    AnyMap,
    Duration,
    Map,
    Optional,
    PartialMap,
    Timestamp,
    UInt,
    entries_of,
    find,
    keys_of,
    new_map,
    no_overload,
    type_of,
)
from mcp_acl.expr.nodes import Value, Variable
from mcp_acl.expr.walk import UNKNOWN, Possibilities, UnknownFact, walk
from mcp_acl.problems import EvalError
from tests.expr.cel.pool import INEXACT


@pytest.mark.parametrize(
    ("make", "outside"),
    [
        (UInt, -1),
        (UInt, 2**64),
        (Duration, 2**63),
        (Duration, -(2**63) - 1),
        (Timestamp, 253_402_300_800 * 10**9),
        (Timestamp, -62_135_596_800 * 10**9 - 1),
    ],
)
def test_a_value_out_of_range_cannot_be_made(make: Callable[[int], object], outside: int) -> None:
    with pytest.raises(EvalError):
        make(outside)


@pytest.mark.parametrize(
    ("moment", "nanos"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1000),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
        (datetime(2026, 7, 28, 1, 2, 3, 456_789, tzinfo=UTC), 1_785_200_523_456_789_000),
    ],
)
def test_a_timestamp_is_that_of_a_datetime(moment: datetime, nanos: int) -> None:
    assert nanos == Timestamp.of(moment).nanos
    assert moment == Timestamp(nanos).as_datetime()


def test_a_map_tells_keys_apart_that_python_does_not() -> None:
    values = new_map([(True, "bool"), (1, "int"), ("1", "string"), (False, "no"), (0, "zero")])
    assert ["bool", "int", "string", "no", "zero"] == [find(values, key) for key in (True, 1, "1", False, 0)]
    assert ["int", "int", "zero"] == [find(values, key) for key in (UInt(1), 1.0, -0.0)]
    assert [MISSING] * 5 == [find(values, key) for key in (1.5, float("nan"), b"1", None, [1])]
    assert [True, 1, "1", False, 0] == keys_of(values)


def test_a_plain_dict_is_found_by_strings_only() -> None:
    assert [1, MISSING, MISSING] == [find({"1": 1}, key) for key in ("1", 1, True)]


def test_an_inexact_number_is_no_key() -> None:
    empty: list[AnyMap] = [{}, Map([])]
    for values in empty:
        with pytest.raises(EvalError, match="outside the range"):
            find(values, INEXACT)


def test_a_map_with_string_keys_is_a_dict() -> None:
    assert {"a": 1} == new_map([("a", 1)])
    assert isinstance(new_map([("a", 1), (1, 1)]), Map)


# ---- maps not wholly known -----------------------------------------------------------------------------------------

_HEADERS = PartialMap({"host": "a", "mcp-param-city": "b"}, "mcp-param-")


@pytest.mark.parametrize(
    "use",
    [
        len,
        bool,
        list,
        reversed,
        lambda values: values.keys(),
        lambda values: values.values(),
        lambda values: values.items(),
        lambda values: values == {},
        lambda values: values != {},
        lambda values: values["mcp-param-city"],
        lambda values: values["mcp-param-other"],
        lambda values: values.get("mcp-param-city"),
        lambda values: "mcp-param-city" in values,
        entries_of,
        keys_of,
    ],
)
def test_what_is_not_known_of_a_map_is_an_unknown_fact(use: Callable[[PartialMap], object]) -> None:
    with pytest.raises(UnknownFact):
        use(_HEADERS)


def test_what_is_known_of_a_map_is_known() -> None:
    assert "a" == _HEADERS["host"]
    assert "host" in _HEADERS
    assert "other" not in _HEADERS
    assert 1 not in _HEADERS  # type: ignore[comparison-overlap]
    assert "c" == _HEADERS.get("other", "c")
    with pytest.raises(KeyError):
        _HEADERS["other"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("headers.host", ("a",)),
        ("headers['mcp-param-city'] == 'b'", UNKNOWN),
        ("headers['mcp-param-city'] == 'b' || headers.host == 'a'", (True,)),
        ("'host' in headers", (True,)),
        ("'mcp-param-city' in headers", UNKNOWN),
        ("has(headers.other)", (False,)),
        ("has(headers.`mcp-param-city`)", UNKNOWN),
        ("headers.?`mcp-param-city`.hasValue()", UNKNOWN),
        ("headers == 'text'", (False,)),
        ("headers == {}", UNKNOWN),
        ("size(headers)", UNKNOWN),
        ("headers.map(k, k)", UNKNOWN),
        ("type(headers) == map", (True,)),
    ],
)
def test_an_expression_is_as_unknown_as_the_headers_it_reads(text: str, expected: Possibilities) -> None:
    environment = {"headers": Variable("headers", "headers")}
    assert expected == walk(parse_cel(text, environment).node, SimpleNamespace(headers=_HEADERS))


# ---- typed form ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", "-42"),
        ("uint", "42"),
        ("double", "1.5"),
        ("double", "-inf"),
        ("bool", True),
        ("string", "é"),
        ("null", None),
        ("bytes", "AP8="),
        ("timestamp", [-1, 5]),
        ("duration", [123, 321456789]),
        ("type", "google.protobuf.Timestamp"),
        ("list", [{"type": "int", "value": "1"}, {"type": "list", "value": []}]),
        ("map", [[{"type": "string", "value": "a"}, {"type": "int", "value": "1"}]]),
        ("map", [[{"type": "bool", "value": True}, {"type": "null", "value": None}]]),
    ],
)
def test_a_value_survives_its_typed_form(kind: str, value: object) -> None:
    data = {"type": kind, "value": value}
    assert data == to_typed(from_typed(data))


def test_optionals_have_a_typed_form() -> None:
    assert {"type": "optional", "value": None} == to_typed(NONE)
    assert {"type": "optional", "value": {"type": "int", "value": "1"}} == to_typed(Optional(1))


@pytest.mark.parametrize(
    "data", [None, {}, {"type": "other", "value": 1}, {"type": "list", "value": 1}, {"type": "int"}]
)
def test_other_data_is_no_typed_form(data: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_typed(data)


@pytest.mark.parametrize(("value", "message"), [(object(), "`type` on unknown"), (INEXACT, "outside the range")])
def test_what_is_no_value_has_no_type(value: Value, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        type_of(value)


def test_an_error_names_types_and_no_values() -> None:
    error = no_overload("f", "secret", 1, UInt(1), {}, (1,), object())
    assert "no such overload: `f` on string, int, uint, map, list, unknown" == error.message
