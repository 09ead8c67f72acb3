"""What an expression may cost: every size it can grow to is bounded, and beyond the bound it is an error."""

import pytest

from mcp_acl.expr.el.parser import parse_el_value
from mcp_acl.expr.el.roots import PlainScope, json_text
from mcp_acl.problems import EvalError
from tests.expr.el.plain import ENVIRONMENT, only

LONG = list(range(20_000))
SCOPE = PlainScope(
    el_properties={
        "a": LONG,
        "text": "x" * 2_000,
        "json": json_text({"x": [{"v": LONG}], "y": LONG, "deep": [[[{"c": 1}]] * 300] * 300}),
    }
)


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
        ("#jsonPath(#properties.json, '$.x[?(@.v anyof $.y)]')", "the lists are too long to be compared"),
        ("#jsonPath(#properties.json, '$.x[?(@.v subsetof $.y)]')", "the lists are too long to be compared"),
        ("#jsonPath(#properties.json, '$.x[?(@.v == $.y[0')", "a `[` is not closed"),
    ],
)
def test_a_size_beyond_its_bound_is_an_error(text: str, message: str) -> None:
    found = only(parse_el_value("{(" + text + ")}", ENVIRONMENT).node, SCOPE)
    assert isinstance(found, EvalError)
    assert message in found.message
