"""Loops whose bodies are costly: bounded in all, and an error beyond that. Every case here would take minutes."""

from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from mcp_acl.expr import meter
from mcp_acl.expr.cel import times
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.nodes import Variable
from mcp_acl.expr.walk import walk
from mcp_acl.problems import EvalError
from tests.expr.cel.pool import only

ENVIRONMENT = {"a": Variable("a", "a")}
LIST = list(range(1_000))
SCOPE = SimpleNamespace(
    a={
        "ids": list(range(5_000)),
        "few": LIST[:100],
        "list": LIST,
        "lists": [LIST] * 50,
        "texts": [f"{'x' * 1_000}{index}" for index in range(1_000)],
        "map": {str(index): index for index in range(50_000)},
        "short": "a" * 10_000,
        "text": "a" * 1_000_000,
        "huge": 10**4_000,
        "pattern": "a{999}" * 100,
    }
)


def _value(text: str) -> object:
    node = parse_cel(text, ENVIRONMENT).node
    compiled, walked = compile_node(node)(SCOPE), only(walk(node, SCOPE))
    assert str(compiled) == str(walked)
    return compiled


@pytest.mark.parametrize(
    "body",
    [
        "-1 in a.list",
        "(a.lists == a.lists) == false",
        "a.lists != a.lists",
        "(a.map == a.map) == false",
        "(a.text == a.text) == false",
        "a.text < a.text",
        "a.text.contains('b')",
        "a.short.lowerAscii() == ''",
        "a.text.matches('^(a|b)*c')",
        "a.text.matches('^b' + string(x))",
        "'a'.matches(a.pattern)",
        "'a'.matches('[0-9]{9}' + string(x))",
        "'%s'.format([a.list]) == ''",
        "a.lists.flatten(2) == []",
        "a.texts.sort() == []",
        "a.list.sortBy(y, -y) == []",
        "a.texts.distinct() == []",
        "sets.contains(a.list, a.texts)",
        "sets.intersects(a.list, a.texts)",
        "sets.equivalent(a.list, a.texts)",
        "math.greatest(a.list) == -1",
        "lists.range(90000) == []",
        "a.list.exists(y, y == -1)",
        "a.list.transformMap(i, y, y) == {}",
    ],
)
@pytest.mark.untraced
def test_work_in_a_loop_is_bounded(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    monkeypatch.setattr(meter, "MAX_WORK", 1_000_000)
    found = _value(f"a.ids.exists(x, {body})")
    assert isinstance(found, EvalError)
    assert "the condition" in found.message


@pytest.mark.parametrize(
    "text",
    [
        "a.list.all(x, x in a.list)",
        "a.few.all(x, !('%d' + string(x) in a.texts))",
        "a.few.all(x, a.texts[x].matches('^x+[0-9]+$'))",
        "a.few.all(x, '%s-%d'.format([a.texts[x], x]) != '')",
        "a.few.map(x, [x]).distinct().size() == 100",
        "a.few.exists(x, [[x, 1], [2]].flatten(1) == [2, 1, 2])",
        "a.few.all(x, [3, x, 1].sort().size() == 3 && sets.contains([x, 1], [x]))",
        "a.few.all(x, [3, x, 1].sortBy(y, -y).size() == 3 && sets.intersects([x, 1], [x]))",
        "a.few.all(x, sets.equivalent([x], [x, x]) && [x, x].distinct() == [x])",
        "a.few.all(x, 'b'.matches('^' + 'b') && 'b'.matches('b$'))",
        "a.ids.all(x, x >= 0)",
    ],
)
def test_ordinary_loops_are_far_from_the_bound(text: str) -> None:
    assert True is _value(text)


def test_the_last_index_is_found_in_linear_time() -> None:
    needle = "'ab' + a.text.substring(0, 90000)"
    assert -1 == _value(f"a.text.lastIndexOf({needle})")
    assert 999_999 == _value("a.text.lastIndexOf('a')")
    assert 10 == _value("a.text.lastIndexOf('aa', 10)")


def test_a_pattern_may_be_too_large_for_a_long_text() -> None:
    found = _value("a.text.matches(a.pattern)")
    assert isinstance(found, EvalError)
    assert "too long for so large a pattern" in found.message
    assert "no such overload" in str(_value("a.list.exists(x, dyn(x).matches('a'))"))
    assert "no such overload" in str(_value("a.list.exists(x, dyn(x).matches('a' + 'b'))"))


@pytest.mark.parametrize("text", ["a.huge > 1", "1 < a.huge", "a.huge >= a.huge", "!(a.huge <= 1)"])
def test_an_int_beyond_64_bits_has_one_order(text: str) -> None:
    assert True is _value(text)


def test_names_of_zones_cost_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def count(name: str) -> object:
        read.append(name)
        return ZoneInfo(name)

    monkeypatch.setattr(times, "ZoneInfo", count)
    times._named_zone.cache_clear()
    none = only(walk(parse_cel("a.texts.exists_one(x, timestamp(0).getHours(x) > 0)", ENVIRONMENT).node, SCOPE))
    assert "not a time zone" in str(none)
    assert "not a time zone" in str(_value("timestamp(0).getHours('localtime')"))
    assert "not a time zone" in str(_value("timestamp(0).getHours('America')"))
    assert True is _value("a.ids.all(x, timestamp(x).getHours('Europe/Berlin') >= 0)")
    assert ["Europe/Berlin"] == read
