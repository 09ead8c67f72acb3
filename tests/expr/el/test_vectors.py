"""Conditions as the real engine answers them, which are not kept here.

`EL_VECTORS` names a JSON file: `fixture`, and `vectors` as pairs of condition and outcome (true, false, empty, error, parse,
java). A raw Java exception (`java`) is an error; what this engine refuses to read is one too, as the rule does not apply.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from mcp_acl.expr.el.parser import parse_el
from mcp_acl.expr.el.roots import scope_from_fixture
from mcp_acl.problems import EvalError, SourceError
from tests.expr.el.plain import OUTCOMES, only

_PATH: Final = os.environ.get("EL_VECTORS", "")
_NOW: Final = 1_750_000_000_000
pytestmark = pytest.mark.skipif(not _PATH, reason="EL_VECTORS names no file of conditions and their outcomes")

_REFUSED: Final = frozenset(("el-assignment", "el-nondeterministic"))


def _load() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads(Path(_PATH).read_text(encoding="utf-8"))
    return loaded


def _outcome(text: str, fixture: Mapping[str, object]) -> tuple[str, frozenset[str]]:
    environment, scope = scope_from_fixture(fixture, _NOW)
    try:
        parsed = parse_el(text, environment)
    except SourceError as refused:
        return "parse", frozenset(problem.code for problem in refused.problems)
    value = only(parsed.node, scope)
    return ("error" if isinstance(value, EvalError) else OUTCOMES[value]), frozenset()


def test_every_condition_comes_to_its_outcome() -> None:
    loaded = _load()
    misses: list[tuple[str, str, str]] = []
    changed = False
    for text, wanted in loaded["vectors"]:
        got, codes = _outcome(text, loaded["fixture"])
        expected = "error" if wanted == "java" else wanted
        if codes & _REFUSED or changed:
            # The file's outcomes were taken one after the other: what one assigns, the next ones see.
            changed = "el-assignment" in codes
            continue
        if got != expected and (got, wanted) != ("parse", "java"):
            misses.append((text, wanted, got))
    assert [] == misses, Counter(got for _, _, got in misses)


def test_no_condition_is_wrongly_true() -> None:
    loaded = _load()
    wrong = [
        text
        for text, wanted in loaded["vectors"]
        if wanted != "true" and _outcome(text, loaded["fixture"])[0] == "true"
    ]
    assert [] == wrong
