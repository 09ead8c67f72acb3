"""Rego in C++, from Python (regopy, of rego-cpp): the policy that OPA is asked with too, compiled to a bundle.

* `build` compiles policy and entry point once, `query_bundle_entrypoint` runs them; `query` would compile anew with each question. An input is
  made from a dict each time.
* More than ours: data beside the policies, and a language with which anything may be computed. Less: no index.
* `ready` has the inputs made beforehand.
* Tried: an input as JSON (`set_input_term`) costs half as much again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from regopy import Bundle, Input, Interpreter

from rivals.scenario import QUESTIONS, Question

PACKAGE: Final = "regopy"

POLICY: Final = Path(__file__).with_name("acme.rego")
ENTRY: Final = "acme/allow"


def make() -> Callable[[Question], bool]:
    """Make an input, and ask."""
    interpreter, bundle = _built()

    def ask(question: Question) -> bool:
        return _asked(interpreter, bundle, Input(document(question)))

    return ask


def ready() -> Callable[[Question], bool]:
    """Ask with inputs that were made before."""
    interpreter, bundle = _built()
    inputs = {question.name: Input(document(question)) for question in QUESTIONS}
    return lambda question: _asked(interpreter, bundle, inputs[question.name])


def document(question: Question) -> dict[str, object]:
    """What the policy sees as `input`."""
    return {"claims": dict(question.claims), "tool": question.tool, "arguments": dict(question.arguments)}


def _built() -> tuple[Interpreter, Bundle]:
    interpreter = Interpreter()
    interpreter.add_module(POLICY.name, POLICY.read_text())
    return interpreter, interpreter.build(None, [ENTRY])


def _asked(interpreter: Interpreter, bundle: Bundle, made: Input) -> bool:
    interpreter.set_input(made)
    answer = interpreter.query_bundle_entrypoint(bundle, ENTRY)
    return answer.ok() and answer[0][0] is True


FORMS: Final = {"": make, "input made before": ready}
