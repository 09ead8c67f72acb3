"""What tests of the expression language share: the fixture of `cases/expr/el.yaml`, and evaluating a text in its light."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, cast

import yaml

from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.el.parser import parse_el, parse_el_value
from mcp_acl.expr.el.roots import PlainScope, scope_from_fixture
from mcp_acl.expr.nodes import Environment, Node, Value
from mcp_acl.expr.walk import walk
from mcp_acl.problems import EvalError, SourceError

OUTCOMES: Final[Mapping[object, str]] = {True: "true", False: "false", None: "empty"}


@cache
def table() -> Mapping[str, object]:
    """The file of cases."""
    path = Path(__file__).parents[2] / "cases" / "expr" / "el.yaml"
    return cast("Mapping[str, object]", yaml.safe_load(path.read_text(encoding="utf-8")))


def scope() -> tuple[Environment, PlainScope]:
    """A fresh scope of the fixture."""
    fixture = cast("Mapping[str, object]", table()["fixture"])
    return scope_from_fixture(fixture, cast("int", table()["now"]))


ENVIRONMENT: Final = scope()[0]


def only(node: Node, facts: object) -> Value | EvalError:
    """The one possible value of a tree, by both evaluators."""
    possible = walk(node, facts)
    assert isinstance(possible, tuple)
    assert 1 == len(possible)
    compiled = compile_node(node)(facts)
    expected = possible[0]
    assert type(expected) is type(compiled), (expected, compiled)
    if isinstance(expected, bool):
        assert expected is compiled
    return expected


def outcome(text: str) -> str:
    """What a condition comes to: true, false, empty, error or refused."""
    environment, facts = scope()
    try:
        parsed = parse_el(text, environment)
    except SourceError:
        return "refused"
    value = only(parsed.node, facts)
    return "error" if isinstance(value, EvalError) else OUTCOMES[value]


def evaluate(text: str) -> Value:
    """The value of an expression, or the `EvalError` it raises."""
    environment, facts = scope()
    value = only(parse_el_value("{(" + text + ")}", environment).node, facts)
    if isinstance(value, EvalError):
        raise value
    return value
