"""Rules that never decide anything, because an unconditional rule has all of what they name.

Strategy: unconditional rules are entered by effect, servers and method, the first of each pattern only. A rule is found if
everything it names is covered by such an entry. One pattern covers another if that is certain: `any` covers all, a pattern
covers itself and the literals it matches. What would take long is not looked for, so some such rules stay unfound; none is
found wrongly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from mcp_acl.domain import Effect, Feature, Mode
from mcp_acl.mcp.methods import METHODS, Method, MethodClass, method_named, methods_of
from mcp_acl.policy.patterns import NamePattern
from mcp_acl.policy.spec import LoadedPolicy, RuleSpec
from mcp_acl.problems import Place, Problem, Severity

_MAX_GRANTS: Final = 500_000
_MAX_MATCHES: Final = 100_000  # literals compared with patterns
_MAX_MATCHERS: Final = 50  # patterns of one method and list of servers
_MAX_WIDER: Final = 100  # server lists compared with each

_ANY: Final = NamePattern("any")
_EVERY_SERVER: Final = frozenset[str]()
_ALLOWABLE: Final = (MethodClass.LIST, MethodClass.TARGET, MethodClass.PLAIN)

Servers: TypeAlias = frozenset[str]
"""Ids and globs; empty for every server."""

_Turn: TypeAlias = tuple[str, str]


def rows_of(method: str, feature: str | None) -> Mapping[str, Method]:
    """The rows a word under `methods` stands for: `*` for all of the feature; nothing for a method outside the table."""
    if method == "*":
        return METHODS if feature in (None, "*") else methods_of(Feature(feature))
    row = method_named(method)
    return {} if row is None else {method: row}


def overlaps(policies: Sequence[LoadedPolicy]) -> Iterator[Problem]:
    """A finding for each rule that could be taken out without any decision changing.

    What is in shadow changes none, so no rule that counts is held against it.
    """
    rules = sorted((rule for policy in policies for rule in _rules(policy)), key=lambda one: one.order)
    counting = [rule for rule in rules if not rule.in_shadow]
    yield from _overlaps(counting, counting)
    if len(counting) < len(rules):
        yield from _overlaps(rules, [rule for rule in rules if rule.in_shadow])


def _overlaps(rules: "Sequence[_Rule]", judged: "Sequence[_Rule]") -> Iterator[Problem]:
    """Of rules that all count, those of `judged` that are too many."""
    entries = _Entries(_MAX_GRANTS, _MAX_MATCHES)
    for rule in rules:
        if not rule.spec.is_conditional:
            entries.add(rule)
        if _tells(rule):
            entries.add_message(rule)
    for rule in judged:
        dead = entries.covering(rule, Effect.DENY) if rule.spec.effect is Effect.ALLOW else ()
        if dead:
            yield _finding("dead-rule", "this rule allows nothing: all it names is denied by", rule, dead)
        elif not _tells(rule):
            covering = entries.covering(rule, rule.spec.effect)
            if covering and not entries.silences(rule, covering):
                done = "allowed" if rule.spec.effect is Effect.ALLOW else "denied"
                yield _finding("covered-rule", f"this rule changes nothing: all it names is {done} by", rule, covering)


class _Rule(NamedTuple):
    """A rule in its set. Of two that name the same, the one that names more is kept, else the first by policy and id."""

    order: tuple[int, str, str]
    servers: Servers
    spec: RuleSpec
    place: Place
    in_shadow: bool

    @property
    def turn(self) -> _Turn:
        """When it is tried: the first denial decides, and its message is the one told."""
        return self.order[1:]

    def grants(self) -> Iterator[tuple[str, NamePattern]]:
        """Each method it has an effect on, with each pattern."""
        for naming in self.spec.namings:
            for method in _affected(naming.methods, self.spec.feature, self.spec.effect):
                for name in naming.names:
                    yield method, name.pattern


@lru_cache(maxsize=256)
def _affected(words: tuple[str, ...], feature: str | None, effect: Effect) -> tuple[str, ...]:
    """The methods that a rule has an effect on, by the words under its `methods`."""
    return tuple(dict.fromkeys(one for word in words for one in _affected_by(word, feature, effect)))


def _affected_by(word: str, feature: str | None, effect: Effect) -> Iterator[str]:
    rows = rows_of(word, feature)
    if not rows:
        yield word
    for name, row in rows.items():
        allowable = row.method_class in _ALLOWABLE and row.decided_as == name
        deniable = word != "*" or row.method_class is not MethodClass.ALWAYS
        if allowable if effect is Effect.ALLOW else deniable:
            yield name


def _rules(policy: LoadedPolicy) -> Iterator[_Rule]:
    servers = frozenset(policy.spec.servers or ())
    for index, spec in enumerate(policy.spec.rules):
        order = (-_size(spec), policy.spec.policy, spec.id)
        place = policy.document.place(("rules", index, "id"))
        in_shadow = Mode.SHADOW in (policy.spec.mode, spec.mode)
        yield _Rule(order, _EVERY_SERVER if "*" in servers else servers, spec, place, in_shadow)


def _size(spec: RuleSpec) -> int:
    """About how much a rule names."""
    return sum(len(rows_of(word, spec.feature)) * len(one.names) for one in spec.namings for word in one.methods)


def _tells(rule: _Rule) -> bool:
    """A deny rule with a message may be the one whose message the client gets."""
    return rule.spec.effect is Effect.DENY and rule.spec.message is not None


def _finding(code: str, message: str, rule: _Rule, covering: Sequence[_Rule]) -> Problem:
    names = ", ".join(f"`{'/'.join(one.order[1:])}`" for one in covering[:3])
    hint = f"remove it; see {', '.join(str(one.place) for one in covering[:3])}"
    return Problem(code, f"{message} {names}", rule.place, hint, Severity.FINDING)


# ---- what covers what ---------------------------------------------------------------------------------------------


def covers_servers(wider: Servers, narrower: Servers) -> bool:
    """Whether it is certain that every server of one list is in the other."""
    if not wider:
        return True
    return bool(narrower) and all(one in wider or _is_matched(one, wider) for one in narrower)


def _is_matched(server: str, servers: Servers) -> bool:
    is_glob = "*" in server or "?" in server
    return not is_glob and any(NamePattern("glob", one).matches(server) for one in servers)


class _Entry(NamedTuple):
    """What unconditional rules name on one method of some servers: the first rule of each pattern."""

    by_pattern: dict[NamePattern, _Rule]
    matchers: list[NamePattern]

    def add(self, pattern: NamePattern, rule: _Rule) -> None:
        is_new = self.by_pattern.setdefault(pattern, rule) is rule
        if is_new and pattern.kind not in ("any", "literal") and len(self.matchers) < _MAX_MATCHERS:
            self.matchers.append(pattern)


@dataclass(slots=True)
class _Entries:
    """All entries, and how much may still be looked for."""

    grants: int
    matches: int
    entries: dict[tuple[Effect, Servers, str], _Entry] = field(default_factory=dict)
    wider: dict[Servers, tuple[Servers, ...]] = field(default_factory=dict)
    told: dict[tuple[str, str | None], _Turn] = field(default_factory=dict)
    """The last rule with a message by method and name: a literal, None for other patterns, `''` for all of them."""

    def add(self, rule: _Rule) -> None:
        """Enter all a rule names."""
        for method, pattern in self._counted(rule):
            key = (rule.spec.effect, rule.servers, method)
            self.entries.setdefault(key, _Entry({}, [])).add(pattern, rule)

    def add_message(self, rule: _Rule) -> None:
        """Enter a rule that tells the client something."""
        for method, pattern in self._counted(rule):
            for name in ("", pattern.literal):
                self.told[method, name] = max(rule.turn, self.told.get((method, name), rule.turn))

    def silences(self, rule: _Rule, covering: Sequence[_Rule]) -> bool:
        """Whether a denial without a message may keep that of a rule after it from being told: never if its covers go first."""
        if rule.spec.effect is Effect.ALLOW or all(one.turn < rule.turn for one in covering):
            return False
        names = ((method, pattern.literal or "") for method, pattern in rule.grants())
        return any(rule.turn < self.told.get(key, rule.turn) for one in names for key in (one, (one[0], None)))

    def covering(self, rule: _Rule, effect: Effect) -> tuple[_Rule, ...]:
        """The rules of an effect that together have all that a rule names; none if something is left over."""
        found: dict[Place, _Rule] = {}
        for method, pattern in self._counted(rule):
            cover = next(self._covers(rule, effect, method, pattern), None)
            if cover is None:
                return ()
            found[cover.place] = cover
        return tuple(found.values()) if self.grants >= 0 else ()

    def _counted(self, rule: _Rule) -> Iterator[tuple[str, NamePattern]]:
        for grant in rule.grants():
            self.grants -= 1
            yield grant
            if self.grants < 0:
                return

    def _covers(self, rule: _Rule, effect: Effect, method: str, pattern: NamePattern) -> Iterator[_Rule]:
        for servers in self._wider_than(rule.servers):
            entry = self.entries.get((effect, servers, method))
            if entry is not None:
                for wider in self._patterns(entry, pattern):
                    cover = entry.by_pattern[wider]
                    if cover is not rule and (wider != pattern or _goes_first(cover, rule)):
                        yield cover

    def _patterns(self, entry: _Entry, pattern: NamePattern) -> Iterator[NamePattern]:
        """The patterns of an entry that match all that a pattern matches."""
        yield from (one for one in dict.fromkeys((_ANY, pattern)) if one in entry.by_pattern)
        if pattern.literal is not None:
            self.matches -= len(entry.matchers)
            if self.matches > 0:
                yield from (one for one in entry.matchers if one.matches(pattern.literal))

    def _wider_than(self, servers: Servers) -> tuple[Servers, ...]:
        """The lists of servers with entries that hold all of some servers."""
        if servers not in self.wider:
            known = dict.fromkeys(key[1] for key in islice(self.entries, _MAX_WIDER))
            some = dict.fromkeys((servers, _EVERY_SERVER, *known))
            self.wider[servers] = tuple(one for one in some if covers_servers(one, servers))
        return self.wider[servers]


def _goes_first(cover: _Rule, rule: _Rule) -> bool:
    """Of two rules that name the same on the same servers under no condition, the second is too many."""
    equal = cover.spec.effect is rule.spec.effect and not rule.spec.is_conditional
    return not (equal and covers_servers(rule.servers, cover.servers)) or cover.order < rule.order
