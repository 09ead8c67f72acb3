"""cel-python: the same expression as for C++ CEL, by the CEL written in Python.

* Compiled once to a program; `celpy.json_to_cel` converts what a question brings, as its documentation has it, each time. An error is raised, and is
  a denial; that each is logged is switched off.
* `CompiledRunner` makes Python of the expression and is several times faster than the interpreter, which is the default; both are shown.
* Less than ours: as C++ CEL, and types are found out only while it runs: an amount of `true` passes for a number.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import celpy
from celpy.celparser import CELParser

from rivals.scenario import QUESTIONS, Question

PACKAGE: Final = "cel-python"

POLICY: Final = """
    (tool in ["echo", "clock", "search"] && has(claims.sub))
    || (tool.startsWith("report_") && "reporting" in claims.groups)
    || (tool == "publish" && claims.role == "analyst"
        && arguments.amount <= 1000 && arguments.path.startsWith("/public/"))
    || (tool.startsWith("delete_") && claims.role == "admin" && !claims.contractor)
"""


def make(runner: Any = celpy.InterpretedRunner) -> Callable[[Question], bool]:
    """Convert, and evaluate."""
    program = _program(runner)
    return lambda question: _is_true(program, _converted(question))


def ready(runner: Any = celpy.InterpretedRunner) -> Callable[[Question], bool]:
    """Evaluate on what was converted before."""
    program = _program(runner)
    converted = {question.name: _converted(question) for question in QUESTIONS}
    return lambda question: _is_true(program, converted[question.name])


def _program(runner: Any) -> Any:
    logging.getLogger("celpy").setLevel(logging.CRITICAL)
    CELParser.CEL_PARSER = None  # made once, for the first runner: its trees are none for the other
    environment = celpy.Environment(runner_class=runner)
    return environment.program(environment.compile(POLICY))


def _converted(question: Question) -> dict[str, Any]:
    return {
        "claims": celpy.json_to_cel(question.claims),
        "tool": celpy.json_to_cel(question.tool),
        "arguments": celpy.json_to_cel(question.arguments),
    }


def _is_true(program: Any, data: dict[str, Any]) -> bool:
    try:
        return bool(program.evaluate(data))
    except celpy.CELEvalError:
        return False


_COMPILED: Final = {"runner": celpy.CompiledRunner}

FORMS: Final = {
    "": make,
    "compiled": partial(make, **_COMPILED),
    "compiled, converted before": partial(ready, **_COMPILED),
}
