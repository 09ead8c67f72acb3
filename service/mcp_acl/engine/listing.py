"""Which entries of a list a principal may see.

The rule: an entry is shown by the rules that name its list method alone. An allow rule shows it if its condition may
still be true, a deny rule hides it only if its condition can no longer be false; what only the call will bring is
unknown. Conditions that read nothing of the entry are settled once for the whole list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mcp_acl.domain import Feature, Json, Request, RuleError, RuleRef
from mcp_acl.engine.decision import task_decision
from mcp_acl.engine.judging import settle, uri_refusal
from mcp_acl.engine.scope import Scope
from mcp_acl.expr.condition import Condition
from mcp_acl.mcp.message import parse_json
from mcp_acl.mcp.methods import Method
from mcp_acl.mcp.results import Entry, read_members, watched
from mcp_acl.policy.index import Candidates, Rule, View
from mcp_acl.problems import EvalError, MessageError


@dataclass(slots=True)
class Listing:
    """Decides the entries of one list, and keeps what it met on the way."""

    view: View
    request: Request
    row: Method
    hidden: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    errors: dict[RuleRef, RuleError] = field(default_factory=dict)
    _settled: dict[Condition | None, bool | EvalError] = field(default_factory=dict)
    _scope: Scope = field(init=False)
    _seen: Mapping[str, Candidates] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = self.view.remembered(self.row.name)
        self._scope = Scope(self.request, self.row.name, None, before_call=True)

    def keep(self, entries: Sequence[Entry], names: Sequence[str | None]) -> list[Entry]:
        """The entries that are shown, in their order."""
        if None in names or self.row.target_is_uri:
            names = [self._readable(name) for name in names]
        shows = self._owned if self.row.feature is Feature.TASKS else self._granted
        kept: list[Entry] = []
        for entry, name in zip(entries, names, strict=True):
            if name is None:
                continue
            if shows(entry, name):
                kept.append(entry)
            else:
                self.hidden.append(name)
        return kept

    def _readable(self, name: str | None) -> str | None:
        """The name, unless it is in doubt or one that no rule may speak of."""
        if name is None:
            self.dropped.append("an entry without one readable name")
            return None
        refusal = self._refusal(name) if self.row.target_is_uri else ""
        if refusal:
            self.dropped.append(f"`{name[:200]}`: {refusal}")
        return None if refusal else name

    def _refusal(self, name: str) -> str:
        return uri_refusal(self.view.settings, name, template=self.row.list_member == "uriTemplate")

    def _granted(self, entry: Entry, name: str) -> bool:
        found = self._seen.get(name)
        denies, allows = self.view.candidates(self.row.name, name) if found is None else found
        for rule in denies:
            if self._settle(rule, entry, name) is not False:
                return False
        for rule in allows:
            outcome = self._settled.get(rule.condition)
            if outcome is True or (outcome is not False and self._settle(rule, entry, name) is True):
                return True
        return False

    def _owned(self, _entry: Entry, task_id: str) -> bool:
        return task_decision(self.view, Scope(self.request, self.row.name, task_id, before_call=True)).allowed

    def _settle(self, rule: Rule, entry: Entry, name: str) -> bool | EvalError:
        """As `settle`; rules that share a condition share what it says, unless that depends on the entry."""
        condition = rule.condition
        if condition is None:
            return True
        outcome = self._settled.get(condition)
        if outcome is None:
            scope = self._scope
            if rule.reads_entry:
                members = _members(entry) if self.view.settings.trust_annotations else None
                scope = Scope(self.request, self.row.name, name, members, before_call=True)
            outcome = settle(rule, scope)
            if not rule.reads_entry:
                self._settled[condition] = outcome
        if isinstance(outcome, EvalError):
            self.errors.setdefault(rule.ref, RuleError(rule.ref, outcome.message))
        return outcome


_ANNOTATIONS: Final = watched("annotations")


def _members(entry: Entry) -> Mapping[str, Json] | None:
    """What conditions read of an entry: its annotations. None if they cannot be read in one way, so that asking for them is an error."""
    try:
        members = entry if isinstance(entry, Mapping) else read_members(entry, "entry", _ANNOTATIONS)
        if "annotations" not in members:
            return {}
        return {"annotations": parse_json(msgspec.json.encode(members["annotations"]))}
    except MessageError:
        return None
