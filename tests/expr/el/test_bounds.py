"""What an expression may cost: every size it can grow to is bounded, and beyond the bound it is an error."""

import pytest

from mcp_acl.expr import meter
from mcp_acl.expr.el.parser import parse_el_value
from mcp_acl.expr.el.roots import PlainScope, json_text
from mcp_acl.problems import EvalError
from tests.expr.el.plain import ENVIRONMENT, only

LONG = list(range(20_000))
LIST = list(range(1_000))
SHARED = "#properties.one" + ".![{#this, #this}]" * 24
SCOPE = PlainScope(
    el_properties={
        "a": LONG,
        "one": [1],
        "list": LIST,
        "few": LIST[:400],
        "ids": list(range(5_000)),
        "lists": [LIST] * 50,
        "map": {str(index): index for index in range(50_000)},
        "slashes": "a/" * 50_000,
        "long": "a" * 1_000_000,
        "wide": "é\U00010400" * 100_000,
        "words": [f"item{index}" for index in range(1_000)],
        "pattern": "a{999}" * 100,
        "array": json_text(list(range(60_000))),
        "text": "x" * 2_000,
        "json": json_text({"x": [{"v": LONG}], "y": LONG, "deep": [[[{"c": 1}]] * 300] * 300}),
    }
)


FILTERS = [
    "@ in $",
    "@ nin $",
    "$ contains -1",
    "$ anyof [-1]",
    "$ noneof [-1]",
    "[-1] subsetof $",
    "$ == $",
    "$ === $",
    "$ =~ /-1/",
    "$.length() == 5",
    "$.sum() == 5",
]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("T(java.util.Collections).disjoint(#properties.a, #properties.a)", "the lists are too long to be compared"),
        ("'a'.matches(#properties.text)", "a pattern may have 1,000 characters at most"),
        ("'a'.repeat(1000000000)", "a text may have 100,000 characters at most"),
        ("#properties.text.replace('x', #properties.text)", "a text may have 100,000 characters at most"),
        ("#jsonPath(#properties.json, '$..c')", "the path visits too many values"),
        ("#jsonPath(#properties.json, '$' + #properties.text)", "a path may have 1,000 characters at most"),
        ("#jsonPath(#properties.json, '$.a" + ".a" * 101 + "')", "it has more than 100 steps"),
        ("#jsonPath(#properties.json, '$.x[?(@.v subsetof $.y)]')", "the path visits too many values"),
        ("#jsonPath(#properties.json, '$.x[?(@.v == $.y[0')", "a `[` is not closed"),
        *((f"#jsonPath(#properties.array, '$[?({one})]')", "the path visits too many values") for one in FILTERS),
        (f"{SHARED}.hashCode()", "the values are too large to compare"),
        (f"{SHARED} == {SHARED}", "the values are too large to compare"),
        (f"({SHARED}).equals({SHARED})", "the values are too large to compare"),
        (f"{SHARED}.contains({SHARED}[0])", "the values are too large to compare"),
        (f"T(java.util.Collections).frequency({SHARED}, {SHARED}[0])", "the values are too large to compare"),
        (f"T(java.util.Collections).disjoint({SHARED}, {SHARED})", "the values are too large to compare"),
        ("#properties.long.split('/')", "a text may have 100,000 characters at most to find every match in it"),
        ("#properties.slashes.replaceAll('a(.*z)?', 'b')", "the text has too many matches for so large a pattern"),
        ("#properties.slashes.matches(#properties.pattern)", "the text is too long for so large a pattern"),
    ],
)
def test_a_size_beyond_its_bound_is_an_error(text: str, message: str) -> None:
    found = only(parse_el_value("{(" + text + ")}", ENVIRONMENT).node, SCOPE)
    assert isinstance(found, EvalError)
    assert message in found.message


@pytest.mark.parametrize(
    "body",
    [
        "#properties.list.contains(-1)",
        "#properties.lists != #properties.lists",
        "!#properties.lists.equals(#properties.lists)",
        "#properties.lists.hashCode() == 1",
        "#properties.map.containsValue(-1)",
        "#properties.map.entrySet() == #properties.map.entrySet()",
        "T(java.util.Collections).disjoint(#properties.list, #properties.lists) == false",
        "T(java.util.Collections).frequency(#properties.list, -1) == 1",
        "T(java.util.Collections).indexOfSubList(#properties.few, #properties.few) == 1",
        "('' + #properties.list) == ''",
        "#properties.words[0].split('e').length == 1 or #properties.slashes.split('/').length == 1",
        "#properties.slashes.replaceAll('[/]', '') == ''",
        "#properties.text.matches('(a|b)*c')",
        "#properties.long matches '(a|b)*c'",
        "'a' matches #properties.pattern",
        "'a' matches '[0-9]{9}' + #this",
        "#properties.text.hashCode() == 1",
        "#properties.wide.length == 1",
        "#properties.wide[0] == 'a'",
        "#properties.wide.charAt(0) == 'a'",
        "#properties.wide[#properties.one[0]] == 'a'",
        "#properties.wide < #properties.wide",
        "#properties.text.toCharArray().length == 1",
        "#properties.text.bytes.length == 1",
        "#jsonPath('[' + #properties.text.replace('x', '1,') + '1]', '$[0]') == 2",
        "#jsonPath(#properties.list, '$[?(@ == -1)]').size() == 1",
        "#jsonPath(#properties.list, '$[?(@ == ' + -1 + ')]').size() == 1",
        "#jsonEscape(#properties.text) == ''",
        "#properties.list.?[#this == -1].size() == 1",
        "#properties.map.?[false].size() == 1",
    ],
)
@pytest.mark.untraced
def test_work_in_a_loop_is_bounded(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    monkeypatch.setattr(meter, "MAX_WORK", 1_000_000)
    found = only(parse_el_value("{(#properties.ids.^[" + body + "])}", ENVIRONMENT).node, SCOPE)
    assert isinstance(found, EvalError)
    assert "the condition" in found.message


@pytest.mark.parametrize(
    "body",
    [
        "#properties.list.contains(#this)",
        "#properties.list[#properties.one[0]] == 1",
        "#properties.words[5].split('m')[0] == 'ite'",
        "#properties.words[5].matches('item[0-9]+')",
        "#properties.words[5] matches 'item[0-9]+'",
        "#properties.map[#properties.one[0]] == 1",
        "#properties.map.get('' + #this) == #this",
        "#properties.map.containsKey('' + #this)",
        "{#this: 1}.get(#this) == 1",
        "{a: 1}[#properties.one[0]] == null",
        "{1, 2}.size() == 2",
        "#properties.map.size() == 50000",
        "{a: 1}.![key][0] == 'a' and {a: 1}.?[true].a == 1",
        "#jsonPath('{\"a\":1}', '$.a') == 1",
        "new int[] {1, #this}.length == 2",
        "'ab'.split('|').length == 2 and 'ab c'.replaceAll('\\b', '-') == '-ab- -c-'",
        "#jsonPath({a: 1}, '$.' + 'a') == 1",
        "'b' matches 'a|' + 'b' and #this matches '[0-9]' + '+' and {1, 2}.toArray.length == 2",
        "{1, 2} == {1, 2} and {'a'}.contains('a') and {a: 1}.entrySet().size() == 1",
        "T(java.util.Collections).disjoint({1}, {2}) and {1, 2} != {1, 3}",
        "{a: #this}.entrySet() == {a: #this}.entrySet() or true",
    ],
)
def test_ordinary_loops_are_far_from_the_bound(body: str) -> None:
    text = "{(#properties.list.?[#this < 100].?[" + body + "].size() == 100)}"
    assert True is only(parse_el_value(text, ENVIRONMENT).node, SCOPE)


def test_a_long_text_is_split_in_one_pass() -> None:
    text = "{(#properties.slashes.split('/').length == 50000)}"
    assert True is only(parse_el_value(text, ENVIRONMENT).node, SCOPE)


@pytest.mark.parametrize("call", ["matches('{}')", "split('{}')", "replaceFirst('{}', 'x')", "replaceAll('{}', 'x')"])
def test_half_a_character_in_a_pattern_is_an_error(call: str) -> None:
    parsed = parse_el_value("{('a'." + call.format("\ud83d") + ")}", ENVIRONMENT)
    assert ["el-regex"] == [finding.code for finding in parsed.findings]
    found = only(parsed.node, SCOPE)
    assert isinstance(found, EvalError)
    assert "half a character" in found.message


def test_the_last_of_many_near_misses_is_looked_for_in_time_that_grows_with_the_text() -> None:
    scope = PlainScope(el_properties={"text": "a" * 90_000, "part": "b" + "a" * 45_000})
    assert (
        only(parse_el_value("{(#properties.text.lastIndexOf(#properties.part) == -1)}", ENVIRONMENT).node, scope)
        is True
    )
