"""Casbin in Python (pycasbin): a model with a matcher, and a policy line for each rule.

* Who asks is known by claims, so this is ABAC: `eval(p.when)` in the matcher, the condition in the line, as its documentation has it. A dict's members
  are read as attributes. `keyMatch` is a prefix with `*`.
* A line whose tool does not match is not evaluated further (`&&`); an error is raised, and is a denial.
* Less than ours: conditions are Python's, in which an amount of `true` passes for a number; every line is tried with each question; the
  matcher is parsed with each question, and with `eval` anew for each line.
* `columns` has no `eval`: what a condition may ask is a column of the policy, and one matcher reads them all. Columns are texts: a
  function of our own compares numbers. Every new kind of condition is a change of the model.
* Tried: `FastEnforcer`, which picks lines by the exact value of a column, has no use here: names are prefixes, too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import casbin

from rivals.scenario import Question

PACKAGE: Final = "pycasbin"

_HEAD: Final = """
    [request_definition]
    r = sub, tool, args
    [policy_effect]
    e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
"""

MODEL: Final = f"""{_HEAD}
    [policy_definition]
    p = tool, when, eft
    [matchers]
    m = keyMatch(r.tool, p.tool) && eval(p.when)
"""
LINES: Final = (
    *((tool, "r.sub.sub != ''", "allow") for tool in ("echo", "clock", "search")),
    ("report_*", "'reporting' in r.sub.groups", "allow"),
    (
        "publish",
        "r.sub.role == 'analyst' && r.args.amount <= 1000 && keyMatch(r.args.path, '/public/*')",
        "allow",
    ),
    ("delete_*", "r.sub.role == 'admin'", "allow"),
    ("delete_*", "r.sub.contractor", "deny"),
)

COLUMNS_MODEL: Final = f"""{_HEAD}
    [policy_definition]
    p = tool, group, role, contractor, most, path, eft
    [matchers]
    m = keyMatch(r.tool, p.tool) && r.sub.sub != '' \
        && (p.group == '' || p.group in r.sub.groups) \
        && (p.role == '' || r.sub.role == p.role) \
        && (p.contractor == '' || r.sub.contractor) \
        && (p.most == '' || atMost(r.args.amount, p.most)) \
        && (p.path == '' || keyMatch(r.args.path, p.path))
"""
COLUMNS: Final = (
    *((tool, "", "", "", "", "", "allow") for tool in ("echo", "clock", "search")),
    ("report_*", "reporting", "", "", "", "", "allow"),
    ("publish", "", "analyst", "", "1000", "/public/*", "allow"),
    ("delete_*", "", "admin", "", "", "", "allow"),
    ("delete_*", "", "", "yes", "", "", "deny"),
)


def make() -> Callable[[Question], bool]:
    """Conditions in the lines."""
    return _asking(MODEL, LINES)


def columns() -> Callable[[Question], bool]:
    """Conditions in the matcher."""
    return _asking(COLUMNS_MODEL, COLUMNS)


def _asking(model: str, lines: Iterable[Sequence[Any]]) -> Callable[[Question], bool]:
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model))
    enforcer.add_function("atMost", lambda amount, most: amount <= int(most))
    enforcer.add_policies([list(line) for line in lines])

    def ask(question: Question) -> bool:
        try:
            return bool(enforcer.enforce(question.claims, question.tool, question.arguments))
        except Exception:  # noqa: BLE001 - whatever a condition raises, from whichever library beneath
            return False

    return ask


FORMS: Final = {"": make, "without eval": columns}
