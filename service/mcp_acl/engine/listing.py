"""Which entries of a list a principal may see.

The rule: an entry is shown by the rules that name its list method alone. An allow rule shows it if its condition may
still be true, a deny rule hides it only if its condition can no longer be false; what only the call will bring is
unknown. Conditions that read nothing of the entry are settled once for the whole list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mcp_acl.domain import Feature, Json, Request, RuleError, RuleRef
from mcp_acl.engine.decision import settle, task_decision, uri_refusal
from mcp_acl.engine.scope import Scope
from mcp_acl.expr.condition import Condition
from mcp_acl.mcp.methods import Method
from mcp_acl.policy.index import Rule, View
from mcp_acl.problems import EvalError


@dataclass(slots=True)
class Listing:
    """Decides the entries of one list, and keeps what it met on the way."""

    view: View
    request: Request
    row: Method
    hidden: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    errors: dict[RuleRef, RuleError] = field(default_factory=dict)
    _settled: dict[Condition, bool | EvalError] = field(default_factory=dict)
    _scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        self._scope = Scope(self.request, self.row.name, None, before_call=True)

    def keep(self, raws: Sequence[msgspec.Raw], names: Sequence[str | None]) -> list[msgspec.Raw]:
        """The entries that are shown, in their order."""
        return [raw for raw, name in zip(raws, names, strict=True) if self._shows(raw, name)]

    def _shows(self, raw: msgspec.Raw, name: str | None) -> bool:
        if name is None:
            self.dropped.append("an entry without one readable name")
            return False
        if self.row.target_is_uri:
            refusal = uri_refusal(name, template=self.row.list_member == "uriTemplate")
            if refusal:
                self.dropped.append(f"`{name[:200]}`: {refusal}")
                return False
        shown = self._owned(name) if self.row.feature is Feature.TASKS else self._granted(raw, name)
        if not shown:
            self.hidden.append(name)
        return shown

    def _granted(self, raw: msgspec.Raw, name: str) -> bool:
        denies, allows = self.view.candidates(self.row.name, name)
        for rule in denies:
            if self._settle(rule, raw, name) is not False:
                return False
        for rule in allows:  # noqa: SIM110 - this is the loop over every entry, and a generator costs as much as the rest
            if self._settle(rule, raw, name) is True:
                return True
        return False

    def _owned(self, task_id: str) -> bool:
        return task_decision(self.view, self.request, self.row.name, task_id).allowed

    def _settle(self, rule: Rule, raw: msgspec.Raw, name: str) -> bool | EvalError:
        """As `settle`; rules that share a condition share what it says, unless that depends on the entry."""
        condition = rule.condition
        if condition is None:
            return True
        outcome = self._settled.get(condition)
        if outcome is None:
            scope = self._scope
            if rule.reads_entry:
                scope = Scope(self.request, self.row.name, name, _entry(raw), before_call=True)
            outcome = settle(rule, scope)
            if not rule.reads_entry:
                self._settled[condition] = outcome
        if isinstance(outcome, EvalError):
            self.errors.setdefault(rule.ref, RuleError(rule.ref, outcome.message))
        return outcome


def _entry(raw: msgspec.Raw) -> Mapping[str, Json] | None:
    """The whole entry; None if it cannot be read, so that asking for its annotations is an error."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
