"""Google's CEL in C++, from Python (cel-expr-python): the rules as one expression, as CEL's users embed it.

* CEL has no rules and no deny: what is granted is joined by `||`, guarded by the tool's name, and `has` asks for what may be missing.
  One expression is cheaper than five, as each call from Python converts the data anew.
* Compiled and type-checked once, variables declared; what a question brings is given as plain dicts.
* An error is a value, not an exception: what is not `true` is a denial. Of `a || b` an error in one does not hide that the other is true.
* Less than ours: no index (every question reads the whole expression), no rule that decided, no messages. `ready` has the data converted
  beforehand, as an `Activation`, which a service cannot do.
* Tried: `claims` declared as DYN instead of a map, a dict with only the four claims that are read, an arena for each question; none makes a
  difference that counts.
"""

from collections.abc import Callable
from typing import Any, Final

from cel_expr_python import cel

from rivals.scenario import QUESTIONS, Question

PACKAGE: Final = "cel-expr-python"

POLICY: Final = """
    (tool in ["echo", "clock", "search"] && has(claims.sub))
    || (tool.startsWith("report_") && "reporting" in claims.groups)
    || (tool == "publish" && claims.role == "analyst"
        && arguments.amount <= 1000 && arguments.path.startsWith("/public/"))
    || (tool.startsWith("delete_") && claims.role == "admin" && !claims.contractor)
"""


def make() -> Callable[[Question], bool]:
    """Evaluate on dicts."""
    expression = _compiled()[1]

    def ask(question: Question) -> bool:
        return _is_true(expression.eval(data=_data(question)))

    return ask


def ready() -> Callable[[Question], bool]:
    """Evaluate on what was converted before."""
    environment, expression = _compiled()
    converted = {question.name: environment.Activation(_data(question)) for question in QUESTIONS}
    return lambda question: _is_true(expression.eval(converted[question.name]))


def _compiled() -> tuple[Any, Any]:
    facts = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    environment = cel.NewEnv(variables={"claims": facts, "tool": cel.Type.STRING, "arguments": facts})
    return environment, environment.compile(POLICY)


def _data(question: Question) -> dict[str, object]:
    return {"claims": question.claims, "tool": question.tool, "arguments": question.arguments}


def _is_true(answer: Any) -> bool:
    return answer.value() is True


FORMS: Final = {"": make, "converted before": ready}
