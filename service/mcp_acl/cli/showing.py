"""Answers for people: a verdict in a few lines, the rules that were tried. Plain text where it is not a terminal."""

from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

from rich.console import Console
from rich.text import Text

from mcp_acl.cli.printing import printable
from mcp_acl.domain import Decision, Effect, Reason, ResponseNeeds, RuleRef
from mcp_acl.engine.explanation import Trial
from mcp_acl.runtime.gate import Answer

IN_WORDS: Final[Mapping[Reason, str]] = {
    Reason.GRANTED: "a rule allows it",
    Reason.ALWAYS_PERMITTED: "the protocol needs it, and no rule forbids it",
    Reason.LIST_FILTERED: "the list will be filtered",
    Reason.NOTHING_HIDDEN: "nothing in the list is hidden from this principal",
    Reason.TASK_OWNER: "the task is this principal's own",
    Reason.NO_POLICY: "no policy governs this server",
    Reason.NO_MATCHING_RULE: "no rule allows it",
    Reason.DENIED_BY_RULE: "a rule forbids it",
    Reason.UNKNOWN_METHOD: "no MCP revision knows this method, and no rule spells it out",
    Reason.WRONG_DIRECTION: "this method does not travel in this direction",
    Reason.LIST_NOT_FILTERED: "the list would have to be filtered, and will not be",
    Reason.TASK_NOT_OWNED: "the task is not this principal's, or its tool may no longer be called",
    Reason.URI_NOT_CANONICAL: "the URI is not in canonical form",
    Reason.HEADER_MISMATCH: "a header contradicts the message",
    Reason.MESSAGE_REFUSED: "this is not one message that every parser reads alike",
    Reason.TARGET_MISSING: "the message does not name what it is about",
    Reason.TOKEN_INVALID: "the token is not valid",
    Reason.TOKEN_MISSING: "a token is required",
    Reason.RESPONSE_REFUSED: "the response cannot be read with certainty",
    Reason.INTERNAL_ERROR: "it could not be decided; this is a bug",
    Reason.UNAVAILABLE: "the service gave no answer",
}
_NEEDS: Final[Mapping[ResponseNeeds, str]] = {
    ResponseNeeds.NONE: "nothing",
    ResponseNeeds.LIST: "filtering: it is a list",
    ResponseNeeds.RESULT: "filtering: its result may hold what is hidden, or must not be shared",
    ResponseNeeds.STREAM: "filtering, event by event",
}
_COLOURS: Final = {Effect.ALLOW: "green", Effect.DENY: "red"}


class PlainConsole(Console):
    """A console that leaves it to the program how to end."""

    def on_broken_pipe(self) -> NoReturn:
        """Rich would end with 1, which means denied."""
        raise BrokenPipeError


def console() -> Console:
    """Where people read: standard output, as it is now."""
    return PlainConsole(highlight=False, markup=False, emoji=False, soft_wrap=True)


def show_answer(answer: Answer) -> None:
    """The verdict."""
    decision = answer.decision
    out = console()
    verdict = Text.assemble(
        (decision.effect.upper(), f"bold {_COLOURS[decision.effect]}"), "  ", IN_WORDS[decision.reason]
    )
    out.print(verdict.append(f"  ({decision.reason})", "dim"))
    for label, text in _lines(answer):
        out.print(Text.assemble((f"  {label:<9}", "dim"), printable(text)))


def _lines(answer: Answer) -> Iterable[tuple[str, str]]:
    decision = answer.decision
    for rule in decision.rules:
        yield "rule", _named(rule)
    for error in decision.errors:
        yield "error", f"{_named(error.rule)}: {error.message}"
    if decision.message:
        yield "message", decision.message
    if answer.denial is not None:
        yield "denial", f"HTTP {answer.denial.status} {answer.denial.body.decode()}".rstrip()
    elif decision.response_needs is not ResponseNeeds.NONE:
        yield "response", f"needs {_NEEDS[decision.response_needs]}"
    if answer.shadow is not None:
        rules = ", ".join(map(_named, answer.shadow.rules)) or IN_WORDS[answer.shadow.reason]
        yield "shadow", f"would {'pass' if answer.shadow.allowed else 'be denied'}: {rules}"
    yield "decision", _stamp(decision, answer.decision_id)


def _named(rule: RuleRef) -> str:
    return f"{rule}  {rule.file}:{rule.line}"


def _stamp(decision: Decision, decision_id: str) -> str:
    return f"{decision_id}, revision {decision.revision}"


def show_trials(trials: Iterable[Trial]) -> None:
    """Every rule that was tried, with what its condition saw."""
    out = console()
    for trial in trials:
        mark, style = ("\u25cf", _COLOURS[trial.effect]) if trial.applies else ("\u25cb", "dim")
        where = f"{trial.effect}, {trial.rule.file}:{trial.rule.line}"
        where = f"in shadow, {where}" if trial.in_shadow else where
        head = Text.assemble((mark, style), " ", printable(str(trial.rule)), (f"  ({printable(where)})", "dim"))
        out.print(head.append(f"  {printable(trial.why)}"))
        for seen in trial.saw:
            out.print(Text.assemble("      ", printable(seen.text), ("  =  ", "dim"), printable(seen.value)))
        for label, text in (("missing", trial.missing), ("remains", trial.remains)):
            if text:
                out.print(Text.assemble((f"      {label}: ", "dim"), printable(text)))
