"""CEL by example: every case of `cases/expr/cel.yaml`, by the reference evaluator and compiled."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import yaml

from mcp_acl.expr.cel.functions import GLOBALS, METHODS
from mcp_acl.expr.cel.macros import GLOBAL_MACROS, METHOD_MACROS
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.cel.typed import to_typed
from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.nodes import Node, Value, Variable, descendants
from mcp_acl.expr.walk import walk
from mcp_acl.problems import EvalError, SourceError
from tests.expr.cel.pool import only

Case = Mapping[str, object]


@cache
def _groups() -> Mapping[str, list[Case]]:
    text = (Path(__file__).parents[2] / "cases" / "expr" / "cel.yaml").read_text(encoding="utf-8")
    return cast("Mapping[str, list[Case]]", yaml.safe_load(text))


def _cases(*kinds: str) -> list[object]:
    found = [
        pytest.param(case, id=f"{group}: {case['expr']}"[:80])
        for group, cases in _groups().items()
        for case in cases
        if any(kind in case for kind in kinds)
    ]
    assert found
    return list(found)


def _facts(case: Case) -> tuple[dict[str, Variable], SimpleNamespace]:
    facts = dict(cast("Mapping[str, Value]", case.get("vars", {})))
    for name, text in cast("Mapping[str, str]", case.get("bind", {})).items():
        facts[name] = only(walk(parse_cel(text, {}).node, None))
    environment = {name: Variable(name, f"a{position}") for position, name in enumerate(facts)}
    return environment, SimpleNamespace(**{environment[name].attribute: value for name, value in facts.items()})


def _values(case: Case) -> list[Value]:
    """What the two evaluators make of a case; the compiler's warnings are errors here."""
    environment, scope = _facts(case)
    node: Node = parse_cel(str(case["expr"]), environment).node
    return [only(walk(node, scope)), compile_node(node)(scope)]


@pytest.mark.parametrize("case", _cases("is", "typed"))
def test_an_expression_has_its_value(case: Case) -> None:
    expected = case["typed"] if "typed" in case else to_typed(case["is"])
    for value in _values(case):
        assert not isinstance(value, EvalError), value.message
        assert expected == to_typed(value)


@pytest.mark.parametrize("case", _cases("error"))
def test_an_expression_has_its_error(case: Case) -> None:
    for value in _values(case):
        assert isinstance(value, EvalError), value
        assert str(case["error"]) in value.message


@pytest.mark.parametrize("case", _cases("syntax", "unknown"))
def test_a_text_is_refused(case: Case) -> None:
    with pytest.raises(SourceError) as refused:
        parse_cel(str(case["expr"]), _facts(case)[0])
    assert str(case.get("syntax", case.get("unknown"))) in str(refused.value)


@pytest.mark.parametrize("case", _cases("is", "typed", "error"))
def test_every_node_has_a_span_within_its_text(case: Case) -> None:
    text = str(case["expr"])
    for node in descendants(parse_cel(text, _facts(case)[0]).node):
        assert 0 <= node.span.start < node.span.end <= len(text)


@pytest.mark.parametrize(
    "written",
    [
        *(f".{name}(" for name in sorted({*METHODS, *(name for name, _ in METHOD_MACROS)})),
        *(f"{name}(" for name in sorted({*GLOBALS, *(name for name, _ in GLOBAL_MACROS)})),
    ],
)
def test_every_function_has_a_case(written: str) -> None:
    assert any(written in str(case["expr"]) for cases in _groups().values() for case in cases)
