"""`mcp-acl eval`: evaluate expressions on a scope, to try a language out or to hold it to another's answers."""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Final, NamedTuple, TypeAlias

import typer

from mcp_acl.cli.exits import InputError
from mcp_acl.cli.inputs import AsJson, bytes_of, object_of, text_of
from mcp_acl.cli.printing import Record, print_record
from mcp_acl.cli.records import seen_records
from mcp_acl.domain import Json
from mcp_acl.expr.account import Account, account_of
from mcp_acl.expr.cel.operators import TRUTH
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.cel.typed import from_typed, to_typed
from mcp_acl.expr.condition import as_condition
from mcp_acl.expr.el.classes import class_of
from mcp_acl.expr.el.parser import parse_el, parse_el_value
from mcp_acl.expr.el.roots import scope_from_fixture
from mcp_acl.expr.el.texts import java_text
from mcp_acl.expr.nodes import Node, Value, Variable
from mcp_acl.expr.walk import walk
from mcp_acl.mcp.quoting import quoted
from mcp_acl.problems import EvalError, SourceError, nearest


class Language(StrEnum):
    """The languages of conditions."""

    EL = "el"
    CEL = "cel"


class As(StrEnum):
    """What an expression is evaluated as."""

    CONDITION = "condition"
    VALUE = "value"


class _Outcome(NamedTuple):
    """How an expression ended: with a value, or with the word for having none, and why."""

    word: str = ""
    detail: str = ""
    value: Value = None
    account: Callable[[], Account] = Account


_Evaluator: TypeAlias = Callable[[str], _Outcome]
_Typed: TypeAlias = Callable[[Value], Record]
_TYPED: Final = {"type", "value"}


def command(  # noqa: PLR0913, PLR0917 - its flags
    language: Annotated[Language, typer.Option(help="The language of the expressions.")],
    scope: Annotated[
        str,
        typer.Option(
            metavar="JSON|@FILE",
            help="What they see. CEL: an object of variables, plain or each as {type, value}. EL: an object of roots.",
        ),
    ],
    expressions: Annotated[
        str, typer.Option(metavar="TEXT|@FILE", help="One expression a line, or a JSON array of strings.")
    ],
    evaluate_as: Annotated[
        As,
        typer.Option(
            "--as",
            help="The outcome as a condition, or the value. CEL: its type, and what is in it. "
            "EL: the simple name of its Java class, and the text that Java makes of it.",
        ),
    ] = As.CONDITION,
    unknown: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A variable that is not known yet, as arguments are not in a list; may be repeated."
        ),
    ] = None,
    parts: Annotated[
        bool,
        typer.Option("--parts", help="With each answer: every part's value, the fact that was missing, what remains."),
    ] = False,
    as_json: AsJson = True,  # noqa: ARG001 - each answer is a line of JSON either way
) -> None:
    """Print one line of JSON for each expression."""
    seen = object_of("--scope", scope)
    texts = _expressions(bytes_of("--expressions", expressions))
    evaluator_of, typed = _LANGUAGES[language]
    evaluator = evaluator_of(seen, evaluate_as, frozenset(unknown or ()))
    record = _condition_record if evaluate_as is As.CONDITION else partial(_value_record, typed)
    for text in texts:
        outcome = evaluator(text)
        print_record({**record(text, outcome), **(_parts(outcome) if parts else {})})


def _expressions(content: bytes) -> Sequence[str]:
    """A JSON array of strings, or lines; empty ones are left out."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InputError("--expressions: it is not UTF-8") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return [text_of("--expressions", one) for one in found]
    return [line for line in (line.removesuffix("\r") for line in text.split("\n")) if line.strip()]


# ---- the two languages --------------------------------------------------------------------------------------------


def _cel(seen: Mapping[str, Json], evaluate_as: As, unknown: frozenset[str]) -> _Evaluator:
    """Names that the scope does not hold are errors when they are evaluated."""
    scope = SimpleNamespace(**{_attribute(name): value for name, value in _variables(seen).items()})
    environment = {name: Variable(name, _attribute(name)) for name in (*seen, *unknown)}

    def parse(text: str) -> Node:
        node = parse_cel(text, environment, open_names=True).node
        return as_condition(node, TRUTH) if evaluate_as is As.CONDITION else node

    return lambda text: _evaluated(parse, text, scope, frozenset(map(_attribute, unknown)))


def _attribute(name: str) -> str:
    """Where a scope keeps a variable: under no name that any object has."""
    return f"variable {name}"


def _variables(seen: Mapping[str, Json]) -> Mapping[str, Value]:
    """Typed, if every value is an object of exactly `type` and `value`."""
    if not all(isinstance(value, Mapping) and value.keys() == _TYPED for value in seen.values()):
        return seen
    try:
        return {name: from_typed(value) for name, value in seen.items()}
    except (KeyError, TypeError, ValueError, EvalError) as error:
        raise InputError(f"--scope: a typed value cannot be read: {error}") from None


def _el(seen: Mapping[str, Json], evaluate_as: As, unknown: frozenset[str]) -> _Evaluator:
    environment, scope = scope_from_fixture(seen)
    wrong = sorted(unknown - environment.keys())
    if wrong:
        raise InputError(
            f"--unknown: there is no variable {quoted(wrong[0])}; {nearest(wrong[0], environment)}".rstrip("; ")
        )
    later = frozenset(environment[name].attribute for name in unknown)
    parse = parse_el if evaluate_as is As.CONDITION else parse_el_value
    return lambda text: _evaluated(lambda one: parse(one, environment).node, text, scope, later)


def _java(value: Value) -> Record:
    """The value with its Java class. Raises `EvalError` for what has no text."""
    if value is None:
        return {"type": "null", "value": None}
    return {"type": class_of(value).name, "value": java_text(value)}


_LANGUAGES: Final[Mapping[Language, tuple[Callable[[Mapping[str, Json], As, frozenset[str]], _Evaluator], _Typed]]] = {
    Language.CEL: (_cel, to_typed),
    Language.EL: (_el, _java),
}


def _evaluated(parse: Callable[[str], Node], text: str, scope: object, unknown: frozenset[str]) -> _Outcome:
    try:
        node = parse(text)
    except SourceError as error:
        return _Outcome("parse", "; ".join(problem.message for problem in error.problems))
    possible = walk(node, scope, unknown)
    account = partial(account_of, node, text, scope, unknown)
    if not isinstance(possible, tuple) or len(possible) != 1:
        return _Outcome("unknown", account=account)
    value = possible[0]
    if isinstance(value, EvalError):
        return _Outcome("error", value.message, account=account)
    return _Outcome(value=value, account=account)


# ---- answers ------------------------------------------------------------------------------------------------------


def _condition_record(text: str, outcome: _Outcome) -> Record:
    if outcome.word:
        return _record(text, outcome)
    if isinstance(outcome.value, bool):
        return _record(text, _Outcome("true" if outcome.value else "false"))
    return _record(text, _Outcome("empty"))


def _value_record(typed: _Typed, text: str, outcome: _Outcome) -> Record:
    if outcome.word:
        return {**_record(text, outcome), "type": "error"}
    try:
        return {"expression": text, **typed(outcome.value)}
    except EvalError as error:
        return {**_record(text, _Outcome("error", error.message)), "type": "error"}


def _parts(outcome: _Outcome) -> Record:
    account = outcome.account()
    return {"saw": seen_records(account.saw), "missing": account.missing, "remains": account.remains}


def _record(text: str, outcome: _Outcome) -> Record:
    detail = {"detail": outcome.detail} if outcome.detail else {}
    return {"expression": text, "outcome": outcome.word, **detail}
