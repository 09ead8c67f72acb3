"""The CEL specification's own simple tests, over values that need no protobuf messages.

They are not kept here: `CEL_SPEC_CASES` names a file with one case a line, of the specification's `tests/simple`, each
with `file`, `name`, `expr`, `bindings` and `expect` in the form of `mcp_acl.expr.cel.typed`.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.cel.typed import Typed, from_typed, to_typed
from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.nodes import Value, Variable
from mcp_acl.expr.walk import walk
from mcp_acl.problems import EvalError, SourceError
from tests.expr.cel.pool import only

Case = Mapping[str, object]

_PATH: Final = os.environ.get("CEL_SPEC_CASES", "")
pytestmark = pytest.mark.skipif(not _PATH, reason="CEL_SPEC_CASES names no file of the specification's cases")

_DATA_FAULTS: Final = {
    ("parse", "triple_single_quoted_unescaped_punctuation"),
    ("parse", "triple_double_quoted_unescaped_punctuation"),
}
"""Cases whose JSON form expects `\\?` where the specification's text form, in which that is an escape, says `?`. They
hold as strings; as bytes the JSON form differs.
"""


@cache
def _cases() -> tuple[Case, ...]:
    lines = Path(_PATH).read_text(encoding="utf-8").splitlines()
    return tuple(cast("Case", json.loads(line)) for line in lines if line.strip())


def _sorted(data: object) -> object:
    """The typed form with the entries of maps in one order, and errors without their text."""
    if not isinstance(data, Mapping):
        return data
    kind: str = data["type"]
    value: Any = data.get("value")
    if kind == "map":
        return kind, sorted(json.dumps([_sorted(key), _sorted(one)]) for key, one in value)
    return (kind, [_sorted(one) for one in value]) if kind == "list" else (kind, value)


def _typed(value: Value) -> Typed:
    return {"type": "error"} if isinstance(value, EvalError) else to_typed(value)


def _answers(case: Case) -> list[Typed]:
    """What the reference evaluator and the compiled form make of it."""
    bindings = cast("Mapping[str, Typed]", case["bindings"])
    environment = {name: Variable(name, f"a{position}") for position, name in enumerate(bindings)}
    scope = SimpleNamespace(**{environment[name].attribute: from_typed(data) for name, data in bindings.items()})
    try:
        node = parse_cel(str(case["expr"]), environment, open_names=True).node
    except SourceError as error:
        return [{"type": "refused", "value": str(error)}]
    return [_typed(only(walk(node, scope))), _typed(compile_node(node)(scope))]


def _is_met(case: Case) -> bool:
    return all(_sorted(case["expect"]) == _sorted(answer) for answer in _answers(case))


def test_every_case_is_met() -> None:
    of = Counter(str(case["file"]) for case in _cases())
    missed = [case for case in _cases() if not _is_met(case)]
    by_file = Counter(str(case["file"]) for case in missed)
    for file, count in sorted(of.items()):
        print(f"{file:20} {count - by_file[file]:5} of {count:5}")  # noqa: T201 - shown with `-s`
    for case in missed:
        print(case["file"], case["name"], case["expr"], _answers(case), case["expect"])  # noqa: T201
    assert len(_cases())
    assert _DATA_FAULTS >= {(str(case["file"]), str(case["name"])) for case in missed}
