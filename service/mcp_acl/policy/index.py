"""The compiled policy set, indexed so that rules which do not match cost nothing.

Strategy: rules are grouped by the servers they govern; in a group each method has its literals in a dict and its
patterns in one RE2 set. What a name matches is remembered (bounded), so a name seen before costs one lookup. Candidates
are kept in the order of (policy id, rule id), so neither the order of files nor that of rules is ever visible.

Values here never change but for those memos, which hold only what can be computed again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

import re2

from mcp_acl.domain import Effect, MessageKind, Mode, RuleRef
from mcp_acl.expr.condition import Condition
from mcp_acl.expr.outlook import Outlook
from mcp_acl.mcp.methods import METHODS, MethodClass
from mcp_acl.policy.patterns import NamePattern
from mcp_acl.policy.servers import LinkedResources, Said, ServerSettings, combined
from mcp_acl.policy.spellings import deny_patterns, spellings
from mcp_acl.problems import Problem

ASKING: Final = tuple(
    row.name
    for row in METHODS.values()
    if row.method_class is MethodClass.PLAIN and row.kind is MessageKind.REQUEST and row.from_server
)
"""What a server asks its client for: sampling, elicitation, roots."""

_MEMO_ENTRIES: Final = 4096
_MEMO_NAME: Final = 512  # characters; a longer name is looked up each time
_SET_MEMORY: Final = 256 << 20  # bytes RE2 may use for the automaton of one set


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule, ready to be applied. `reads_principal`: its condition depends on who asks."""

    ref: RuleRef
    effect: Effect
    condition: Condition | None = None
    message: str = ""
    reads_principal: bool = False
    reads_entry: bool = False
    outlook: Outlook | None = None

    @property
    def rank(self) -> tuple[str, str]:
        """The order in which rules are tried."""
        return (self.ref.policy, self.ref.rule)


class Grant(NamedTuple):
    """A rule on one method for the names one pattern matches.

    `spelled` says that the rule names the method in full and not by `*`; `every_feature` that it is under `feature: "*"`.
    """

    rule: Rule
    method: str
    pattern: NamePattern
    spelled: bool
    every_feature: bool


class Candidates(NamedTuple):
    """The rules that match a method and name, each kind in order."""

    denies: tuple[Rule, ...]
    allows: tuple[Rule, ...]


_NOTHING_SAID: Final[Mapping[str, Said]] = {}
_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")
_UNSEEN: Final = "unseen"
_DEFAULTS: Final = ServerSettings()
NO_CANDIDATES: Final = Candidates((), ())


class PatternSet:
    """Many patterns matched in one pass.

    The set holds one pattern that always matches: if it is missing in an answer RE2 ran out of memory, and every pattern is
    tried alone, so that a deny rule is never lost.
    """

    __slots__ = ("_patterns", "_rules", "_set")

    def __init__(self, grants: Sequence[Grant]) -> None:
        options = re2.Options()
        options.max_mem = _SET_MEMORY
        self._set = re2.Set.FullMatchSet(options)
        by_pattern: dict[NamePattern, list[Rule]] = {}
        for grant in grants:
            by_pattern.setdefault(grant.pattern, []).append(grant.rule)
        self._patterns = tuple(by_pattern)
        self._rules = tuple(tuple(rules) for rules in by_pattern.values())
        for pattern in self._patterns:
            self._set.Add(pattern.regex)
        self._set.Add("(?s:.*)")
        self._set.Compile()

    def matching(self, name: str) -> list[Rule]:
        """Every rule with a pattern that matches the whole name."""
        try:
            found = self._set.Match(name) or ()
        except UnicodeEncodeError:  # a lone surrogate: no pattern speaks of it
            return []
        if len(self._rules) not in found:
            found = [index for index, pattern in enumerate(self._patterns) if pattern.matches(name)]
        return [rule for index in found if index < len(self._rules) for rule in self._rules[index]]


class MethodRules:
    """The rules of one group on one method. `spelled` are its deny rules on URIs, for every form of a URI."""

    __slots__ = ("any", "every", "literals", "patterns", "spelled")

    def __init__(self, grants: Sequence[Grant], *, on_uris: bool = False) -> None:
        self.spelled = MethodRules(_spelled(grants)) if on_uris else None
        self.any = tuple(grant for grant in grants if grant.pattern.kind == "any")
        patterned = [grant for grant in grants if grant.pattern.kind not in ("any", "literal")]
        self.patterns = PatternSet(patterned) if patterned else None
        literals: dict[str, list[Rule]] = {}
        for grant in grants:
            if grant.pattern.literal is not None:
                literals.setdefault(grant.pattern.literal, []).append(grant.rule)
        self.literals: Mapping[str, Sequence[Rule]] = literals
        self.every = tuple({id(grant.rule): grant.rule for grant in grants}.values())

    def matching(self, name: str) -> list[Rule]:
        """The rules whose pattern matches a name; a rule may come more than once."""
        found = [grant.rule for grant in self.any]
        found += self.literals.get(name, ())
        if self.patterns is not None:
            found += self.patterns.matching(name)
        if self.spelled is not None:
            found += (rule for form in spellings(name) for rule in self.spelled.matching(form))
        return found


def _names_uris(method: str) -> bool:
    row = METHODS.get(method)
    return row is not None and (row.target_is_uri or row.method_class in (MethodClass.COMPLETION, MethodClass.LISTEN))


def _spelled(grants: Sequence[Grant]) -> Sequence[Grant]:
    return [
        grant._replace(pattern=pattern)
        for grant in grants
        if grant.rule.effect is Effect.DENY and grant.pattern.kind != "any"
        for pattern in deny_patterns(grant.pattern)
    ]


class ServerPatterns:
    """Which servers a group governs: ids, or globs of `*` and `?`; none given is every server."""

    __slots__ = ("_any", "_literals", "_patterns")

    def __init__(self, servers: Sequence[str]) -> None:
        self._any = not servers
        self._literals = frozenset(server for server in servers if not _is_glob(server))
        self._patterns = tuple(NamePattern("glob", server) for server in servers if _is_glob(server))

    def match(self, server: str) -> bool:
        """Whether the group governs a server."""
        return self._any or server in self._literals or any(one.matches(server) for one in self._patterns)


def _is_glob(server: str) -> bool:
    return "*" in server or "?" in server


class MethodFacts(NamedTuple):
    """What is known at load time of all rules on one method, for one server."""

    reads_principal: bool
    open: bool
    every: Candidates


class Group:
    """The rules of all policies that govern the same servers, and the settings of each, by its id."""

    __slots__ = ("grants", "methods", "said")

    def __init__(self, grants: Sequence[Grant], said: Mapping[str, Said] = _NOTHING_SAID) -> None:
        self.said = said
        by_method: dict[str, list[Grant]] = {}
        for grant in grants:
            by_method.setdefault(grant.method, []).append(grant)
        self.grants = tuple(grants)
        self.methods: Mapping[str, MethodRules] = {
            name: MethodRules(found, on_uris=_names_uris(name)) for name, found in by_method.items()
        }


class View:
    """What governs one server: the groups that name it, its settings, and the revision of the set they are of.

    `asks_freely` says that the server may ask the client for whatever it can ask for. `linked_resources` is what becomes of resources
    in its results that may not be read: what the settings say, else it follows from whether any rule keeps one from being read.
    """

    __slots__ = (
        "_facts",
        "_groups",
        "_memo",
        "asks_freely",
        "linked_resources",
        "revision",
        "rules_reading",
        "settings",
    )

    def __init__(self, groups: Sequence[Group], revision: str = "") -> None:
        self.revision = revision
        self._groups = tuple(groups)
        self._memo: dict[str, dict[str, Candidates]] = {}
        self._facts: dict[str, MethodFacts] = {}
        said = {policy: one for group in self._groups for policy, one in group.said.items()}
        self.settings = combined([said[policy] for policy in sorted(said)])
        reading = self.facts("resources/read")
        self.rules_reading = reading.every != NO_CANDIDATES and not reading.open
        self.linked_resources = self.settings.linked_resources or (
            LinkedResources.STRIP if self.rules_reading else LinkedResources.PASS
        )
        self.asks_freely = all(self.facts(method).open for method in ASKING)

    def candidates(self, method: str, name: str) -> Candidates:
        """The rules that match a known method on a name."""
        memo = self.remembered(method)
        found = memo.get(name)
        if found is None:
            found = ordered(rule for rules in self._rules_on(method) for rule in rules.matching(name))
            remember(memo, name, found, len(name))
        return found

    def remembered(self, method: str) -> dict[str, Candidates]:
        """The candidates of names seen before, for who has many to look up. Of methods outside the table none are kept."""
        found = self._memo.get(method)
        if found is None:
            found = self._memo.setdefault(method, {}) if method in METHODS else {}
        return found

    def without_name(self, method: str, *, spelled: bool = False, every_feature: bool = False) -> Candidates:
        """The rules on a method that has no target: those of pattern any. `spelled`, `every_feature`: only such."""
        return ordered(
            grant.rule
            for rules in self._rules_on(method)
            for grant in rules.any
            if (grant.spelled or not spelled) and (grant.every_feature or not every_feature)
        )

    def facts(self, method: str) -> MethodFacts:
        """What all rules on a method have in common; computed once for each method that any rule names."""
        found = self._facts.get(method)
        if found is None:
            found = _facts_of(self._rules_on(method))
            if any(method in group.methods for group in self._groups):
                self._facts[method] = found
        return found

    def grants(self) -> Mapping[RuleRef, Sequence[Grant]]:
        """Every rule that governs this server with all that it names, in order. For people: not indexed."""
        found: dict[RuleRef, list[Grant]] = {}
        for group in self._groups:
            for grant in group.grants:
                found.setdefault(grant.rule.ref, []).append(grant)
        return dict(sorted(found.items()))

    def _rules_on(self, method: str) -> list[MethodRules]:
        return [group.methods[method] for group in self._groups if method in group.methods]


def remember(memo: dict[_Key, _Kept], key: _Key, value: _Kept, size: int) -> None:
    """Keep a value, within bounds: a full memo starts anew, a very long name is not kept."""
    if size <= _MEMO_NAME:
        if len(memo) >= _MEMO_ENTRIES:
            memo.clear()
        memo[key] = value


def ordered(rules: Iterable[Rule]) -> Candidates:
    """Deny and allow rules, each once, in their order."""
    unique = sorted({id(rule): rule for rule in rules}.values(), key=lambda rule: rule.rank)
    if not unique:
        return NO_CANDIDATES
    return Candidates(
        tuple(rule for rule in unique if rule.effect is Effect.DENY),
        tuple(rule for rule in unique if rule.effect is Effect.ALLOW),
    )


def _facts_of(methods: Sequence[MethodRules]) -> MethodFacts:
    every = ordered(rule for rules in methods for rule in rules.every)
    unconditional = any(
        grant.rule.condition is None and grant.rule.effect is Effect.ALLOW for rules in methods for grant in rules.any
    )
    reads = any(rule.reads_principal for rule in (*every.denies, *every.allows))
    return MethodFacts(reads, unconditional and not every.denies, every)


class ShadowRule(NamedTuple):
    """A rule in shadow, and what it would do."""

    ref: RuleRef
    effect: Effect


@dataclass(frozen=True, slots=True)
class PolicyInfo:
    """One policy as people ask about it. `line` is where its id stands; `shadow` are its rules in shadow: in that mode all of them."""

    id: str
    file: str
    servers: tuple[str, ...]
    rules: int
    line: int = 0
    mode: Mode = Mode.ENFORCE
    shadow: tuple[ShadowRule, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Everything compiled from one directory. `revision` is the digest of what was compiled.

    `trial` is the set with what is in shadow too, as if it were enforced; None if nothing is.
    """

    revision: str
    policies: tuple[PolicyInfo, ...]
    findings: tuple[Problem, ...]
    groups: tuple[tuple[ServerPatterns, Group], ...]
    trial: "PolicySet | None" = None
    _views: dict[str, View | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def settings(self, server: str) -> ServerSettings:
        """How messages of a server are treated, whether a policy governs it or not."""
        view = self.view(server)
        return _DEFAULTS if view is None else view.settings

    def view(self, server: str) -> View | None:
        """What governs a server; None if it is empty or no policy names it."""
        found = self._views.get(server, _UNSEEN)
        if not isinstance(found, str):
            return found
        governing = [group for patterns, group in self.groups if server and patterns.match(server)]
        view = View(governing, self.revision) if governing else None
        remember(self._views, server, view, len(server))
        return view
