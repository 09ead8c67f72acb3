"""Conditions made at random, as the real engine answers them: Spring Expression under Gravitee's rules, in a program in Java.

`EL_ORACLE_JARS` names a directory with the jars that `oracle/pom.xml` names; a Java from 17 on runs the program as it stands.
`MCP_ACL_EXAMPLES` (2,000 unless told) is how many conditions are made, `MCP_ACL_SEED` which. What has a value here has the same
value there; what is an error here and none there is told in `_NARROWER`.
"""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.el.parser import parse_el, parse_el_value
from mcp_acl.expr.el.roots import scope_from_fixture
from mcp_acl.expr.el.values import Int32
from mcp_acl.expr.nodes import Parsed, Value
from mcp_acl.problems import EvalError, SourceError
from tests.expr.el.making import FACTS, Maker
from tests.expr.el.plain import OUTCOMES, only, table

EXAMPLES: Final = int(os.environ.get("MCP_ACL_EXAMPLES", "2000"))
SEED: Final = int(os.environ.get("MCP_ACL_SEED", "0"))
_JARS: Final = os.environ.get("EL_ORACLE_JARS", "")
_JAVA: Final = shutil.which("java")
_PROGRAM: Final = Path(__file__).parent / "oracle" / "Oracle.java"
_NOW: Final = 1_750_000_000_000
pytestmark = pytest.mark.skipif(
    not (_JARS and _JAVA),
    reason="EL_ORACLE_JARS names no directory with the jars of the real engine, or there is no Java",
)

_NARROWER: Final[Mapping[str, str]] = {
    r"may not be used": "Spring reads any public getter or field, this engine those of its tables",
    r"cannot be called with|not supported|has no method|does not take null": "a method or a form of it that is not supported",
    r"out of range \(years 1 to 9999\)": "dates reach from year 1 to 9999",
    r"take whole numbers|takes a character|with a fraction|the format": "a form of `String.format` that is not supported",
    r"cannot make a String of": "a key that is a map or a date",
    r"no hash code": "the hash code of such a value is not computed",
    r"must be ASCII|takes the empty text|half a character|RE2": "RE2 would answer otherwise for such a text",
    r"digits": "the digits of such a number depend on the Java runtime",
    r"el-assignment|el-nondeterministic": "refused on purpose",
    r"characters at most|too large|too long|too deeply": "sizes are bounded",
}
"""What is an error here and none there: what the error says, and why."""

_CLASSES: Final = {bool: "Boolean", str: "String", Int32: "Integer", int: "Long", float: "Double", type(None): "null"}


class Answer(NamedTuple):
    """An outcome; of a value of a class that Python can compare its class and the value, else ''."""

    outcome: str
    kind: str = ""
    value: object = None
    why: str = ""


def _real(texts: Sequence[str], directory: Path) -> list[Answer]:
    """What the real engine answers."""
    facts = directory / "facts.json"
    facts.write_text(json.dumps(FACTS), encoding="utf-8")
    assert _JAVA is not None
    command = [_JAVA, "-XX:+UseSerialGC", "-cp", f"{_JARS}/*", str(_PROGRAM), str(facts)]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(command, input=lines, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return [_read(json.loads(line)) for line in done.stdout.split("\n") if line]


def _read(data: Mapping[str, Any]) -> Answer:
    outcome = "error" if data["outcome"] in ("java", "parse") else data["outcome"]
    kind, text = data.get("class", "error"), data.get("text", "")
    readers: dict[str, Callable[[str], object]] = {
        "Integer": int,
        "Long": int,
        "Double": lambda one: repr(float(one)),
        "null": lambda _: None,
    }
    return Answer(outcome, kind, readers.get(kind, str)(text))


def _ours(text: str) -> Answer:
    """What this engine answers, by both evaluators."""
    environment, scope = scope_from_fixture({"attributes": FACTS}, _NOW)
    try:
        condition, value = parse_el(text, environment), parse_el_value(text, environment)
    except SourceError as refused:
        return Answer("error", "error", why=refused.problems[0].code)
    found, computed = only(condition.node, scope), _computed(value)
    outcome = "error" if isinstance(found, EvalError) else OUTCOMES[found]
    if isinstance(computed, EvalError):
        return Answer(outcome, "error", why=computed.message)
    kind = _CLASSES.get(type(computed), "")
    why = found.message if isinstance(found, EvalError) else ""
    compared = {"Boolean": str(computed).lower(), "Double": repr(computed)}
    if isinstance(computed, str):
        compared["String"] = computed.encode("utf-8", "replace").decode()  # as Java writes half a character
    return Answer(outcome, kind, compared.get(kind, computed), why)


def _computed(parsed: Parsed) -> Value:
    return compile_node(parsed.node)(scope_from_fixture({"attributes": FACTS}, _NOW)[1])


def _differ(real: Answer, ours: Answer) -> bool:
    if real.outcome != ours.outcome:
        return True
    return ours.kind != "" and (ours.kind, ours.value) != (real.kind, real.value if ours.kind != "error" else None)


def _reason(ours: Answer) -> str | None:
    """Why it is an error here and none there; None if nobody knows."""
    if "error" not in (ours.outcome, ours.kind):
        return None
    return next((reason for pattern, reason in _NARROWER.items() if re.search(pattern, ours.why)), None)


def test_what_has_a_value_has_the_one_that_the_real_engine_gives(tmp_path: Path) -> None:
    maker = Maker(SEED)
    texts = list(dict.fromkeys(maker.condition() for _ in range(EXAMPLES)))
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    unexplained = []
    for text, real in zip(texts, _real(texts, tmp_path), strict=True):
        ours = _ours(text)
        outcomes[f"{real.outcome}, here {ours.outcome}"] += 1
        if not _differ(real, ours):
            continue
        reason = _reason(ours)
        reasons[str(reason)] += 1
        if reason is None:
            unexplained.append((text, real, ours))
    print(len(texts), dict(outcomes), dict(reasons), *unexplained, sep="\n")  # noqa: T201 - shown with `-s`
    assert [] == unexplained


def test_the_program_answers_the_cases_that_read_no_more_than_it_knows(tmp_path: Path) -> None:
    themes: Any = table()["cases"]
    known = re.compile(r"#(?!this|root|jsonPath)")
    cases = [
        (text, outcome)
        for outcomes in themes.values()
        for outcome, texts in outcomes.items()
        for text in texts
        if not known.search(text) and text.isprintable() and "now" not in text
    ]
    answers = _real([text for text, _ in cases], tmp_path)
    wrong = [
        (text, outcome, real.outcome)
        for (text, outcome), real in zip(cases, answers, strict=True)
        if real.outcome != ("error" if outcome == "refused" else outcome)
    ]
    print(len(cases), "cases")  # noqa: T201 - shown with `-s`
    assert [] == wrong
