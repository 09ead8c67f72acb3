"""Which entries of a list a principal may see.

The rule: an entry is shown by the rules that name its list method alone. An allow rule shows it if its condition may
still be true, a deny rule hides it only if its condition can no longer be false; what only the call will bring is
unknown. Conditions that read nothing of the entry are settled once for the whole list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from mcp_acl.domain import Feature, Json, Request, RuleError
from mcp_acl.engine.decision import settle, task_decision, uri_refusal
from mcp_acl.engine.scope import Scope
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
    errors: dict[str, RuleError] = field(default_factory=dict)
    _settled: dict[int, bool | EvalError] = field(default_factory=dict)

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
        candidates = self.view.candidates(self.row.name, name)
        for rule in candidates.denies:
            if self._settle(rule, raw, name) is not False:
                return False
        return any(self._settle(rule, raw, name) is True for rule in candidates.allows)

    def _owned(self, task_id: str) -> bool:
        return task_decision(self.view, self.request, self.row.name, task_id).allowed

    def _settle(self, rule: Rule, raw: msgspec.Raw, name: str) -> bool | EvalError:
        outcome = None if rule.reads_entry else self._settled.get(id(rule))
        if outcome is None:
            entry = _entry(raw) if rule.reads_entry else None
            outcome = settle(rule, Scope(self.request, self.row.name, name, entry, before_call=True))
            if not rule.reads_entry:
                self._settled[id(rule)] = outcome
            if isinstance(outcome, EvalError):
                self.errors.setdefault(str(rule.ref), RuleError(rule.ref, outcome.message))
        return outcome


def _entry(raw: msgspec.Raw) -> Mapping[str, Json]:
    try:
        entry = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
