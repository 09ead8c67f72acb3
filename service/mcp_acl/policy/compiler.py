"""Policy files → `PolicySet`: every condition compiled, every rule in its index, or every problem at once."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from mcp_acl.domain import Mode, RuleRef
from mcp_acl.expr.condition import Condition
from mcp_acl.expr.nodes import Node
from mcp_acl.expr.outlook import Outlook, outlook_of
from mcp_acl.expr.shapes import Shapes
from mcp_acl.policy.checks import check_policies
from mcp_acl.policy.conditions import Reading, joined, read_cel, read_el, read_variable
from mcp_acl.policy.facts import PARTLY_BEFORE_CALL, UNKNOWN_BEFORE_CALL, Source, sources_of
from mcp_acl.policy.index import Grant, Group, PolicyInfo, PolicySet, Rule, ServerPatterns, ShadowRule
from mcp_acl.policy.overlap import rows_of
from mcp_acl.policy.patterns import NamePattern
from mcp_acl.policy.servers import Said
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import LoadedPolicy, RuleSpec, load_policies
from mcp_acl.problems import Place, Problem, SourceError, Span

_Path: TypeAlias = tuple[str | int, ...]

_LABEL: Final = "+git."


def compile_policies(files: Sequence[SourceFile], commit: str = "") -> PolicySet:
    """Compile one directory's files into a set. `commit` is the git commit they come from, if any.

    Raises SourceError with every problem and finding of every file if there is one problem.
    """
    policies, problems = load_policies(files)
    compiler = _Compiler([*problems, *check_policies(policies)])
    compiled = [(policy, compiler.policy(policy)) for policy in policies]
    if any(not problem.is_finding for problem in compiler.problems):
        raise SourceError(compiler.problems)
    everything = PolicySet(
        revision=_revision(policies, commit),
        policies=tuple(sorted(map(_info, policies), key=lambda info: info.id)),
        findings=SourceError(compiler.problems).problems,
        groups=_groups(compiled),
    )
    if not any(policy.spec.mode is Mode.SHADOW or _in_shadow(policy) for policy, _ in compiled):
        return everything
    enforced = [(policy, _enforced(policy, grants)) for policy, grants in compiled if policy.spec.mode is Mode.ENFORCE]
    return PolicySet(everything.revision, everything.policies, everything.findings, _groups(enforced), everything)


def _in_shadow(policy: LoadedPolicy) -> frozenset[str]:
    return frozenset(rule.id for rule in policy.spec.rules if rule.mode is Mode.SHADOW)


def _enforced(policy: LoadedPolicy, grants: Iterable[Grant]) -> list[Grant]:
    """The grants of rules that are not in shadow."""
    shadow = _in_shadow(policy)
    return [grant for grant in grants if grant.rule.ref.rule not in shadow]


def _groups(compiled: Iterable[tuple[LoadedPolicy, list[Grant]]]) -> tuple[tuple[ServerPatterns, Group], ...]:
    by_servers: dict[tuple[str, ...], list[Grant]] = {}
    settings: dict[tuple[str, ...], dict[str, Said]] = {}
    for policy, grants in compiled:
        spec = policy.spec
        servers = tuple(sorted(set(spec.servers or ())))
        by_servers.setdefault(servers, []).extend(grants)
        settings.setdefault(servers, {})[spec.policy] = {} if spec.settings is None else spec.settings.said()
    return tuple(
        (ServerPatterns(servers), Group(grants, settings[servers])) for servers, grants in sorted(by_servers.items())
    )


def at_commit(policies: PolicySet, commit: str) -> PolicySet:
    """The same rules, as those of another commit."""
    digest = policies.revision.partition(_LABEL)[0]
    trial = None if policies.trial is None else at_commit(policies.trial, commit)
    return PolicySet(_labelled(digest, commit), policies.policies, policies.findings, policies.groups, trial)


def _revision(policies: Iterable[LoadedPolicy], commit: str) -> str:
    """SHA-256 over what the files say, in the order of policy ids; 16 hexadecimal digits, and the commit."""
    texts = sorted(json.dumps(policy.document.plain(), sort_keys=True) for policy in policies)
    return _labelled(hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16], commit)


def _labelled(digest: str, commit: str) -> str:
    return f"{digest}{_LABEL}{commit[:12]}" if commit else digest


def _info(policy: LoadedPolicy) -> PolicyInfo:
    spec = policy.spec
    line = policy.document.place(("policy",)).line
    servers = tuple(spec.servers or ())
    return PolicyInfo(spec.policy, policy.file, servers, len(spec.rules), line, spec.mode, tuple(_shadow_rules(policy)))


def _shadow_rules(policy: LoadedPolicy) -> Iterable[ShadowRule]:
    for index, rule in enumerate(policy.spec.rules):
        if Mode.SHADOW in (policy.spec.mode, rule.mode):
            yield ShadowRule(_ref(policy, index, rule), rule.effect)


def _ref(policy: LoadedPolicy, index: int, rule: RuleSpec) -> RuleRef:
    return RuleRef(policy.spec.policy, rule.id, policy.file, policy.document.place(("rules", index, "id")).line)


@dataclass(slots=True)
class _Compiler:
    """Compiles policy after policy and gathers what is wrong with them. Equal conditions are read and compiled once.

    Those that differ in texts alone share their code.
    """

    problems: list[Problem]
    _shapes: Shapes = field(default_factory=dict)
    _outlooks: dict[Condition, Outlook] = field(default_factory=dict)
    _conditions: dict[tuple[object, ...], tuple[Condition | None, tuple[Reading, ...]]] = field(default_factory=dict)

    def policy(self, policy: LoadedPolicy) -> list[Grant]:
        variables = self._variables(policy)
        grants: list[Grant] = []
        for index, spec in enumerate(policy.spec.rules):
            rule = self._rule(policy, index, spec, variables)
            for methods, patterns in policy.targets_of(spec):
                grants += _grants(rule, spec.feature, methods, patterns)
        return grants

    def _rule(self, policy: LoadedPolicy, index: int, spec: RuleSpec, variables: Mapping[str, Node]) -> Rule:
        path = ("rules", index)
        ref = _ref(policy, index, spec)
        condition = self._condition(policy, path, spec, variables)
        if condition is None:
            return Rule(ref, spec.effect, message=spec.message or "")
        sources = sources_of(condition.reads)
        return Rule(
            ref,
            spec.effect,
            condition,
            spec.message or "",
            reads_principal=Source.PRINCIPAL in sources,
            reads_entry=Source.ENTRY in sources,
            outlook=self._outlook(condition, sources),
        )

    def _outlook(self, condition: Condition, sources: frozenset[Source]) -> Outlook | None:
        """What the condition may come to before the call; None if that is what it comes to in the call."""
        if sources.isdisjoint((Source.CALL, Source.HEADERS)):
            return None
        if condition not in self._outlooks:
            self._outlooks[condition] = outlook_of(
                condition.node, UNKNOWN_BEFORE_CALL, PARTLY_BEFORE_CALL, self._shapes
            )
        return self._outlooks[condition]

    def _variables(self, policy: LoadedPolicy) -> Mapping[str, Node]:
        """Each variable's tree, variables of variables put in; one that uses itself or a later one is a problem."""
        trees: dict[str, Node] = {}
        for name, text in (policy.spec.variables or {}).items():
            reading = read_variable(text, trees)
            self._report(policy, ("variables", name), reading)
            if reading.node is not None:
                trees[f"variables.{name}"] = reading.node
        return trees

    def _condition(
        self, policy: LoadedPolicy, path: _Path, spec: RuleSpec, variables: Mapping[str, Node]
    ) -> Condition | None:
        """The rule's `condition` and `cel`, joined. One effect's conditions are apart from the other's."""
        key = (spec.condition, spec.cel, spec.effect, policy.spec.policy if variables else "")
        found = self._conditions.get(key)
        if found is None:
            readings: list[Reading] = []
            if spec.condition is not None:
                readings.append(read_el(spec.condition))
            if spec.cel is not None:
                readings.append(read_cel(spec.cel, variables))
            found = self._conditions[key] = joined(readings, self._shapes), tuple(readings)
        for reading in found[1]:
            self._report(policy, (*path, reading.key), reading)
        return found[0]

    def _report(self, policy: LoadedPolicy, path: _Path, reading: Reading) -> None:
        """Add what is wrong with an expression, each moved from its place in the text to its place in the file."""
        for problem in reading.problems:
            start = _offset(reading.text, problem.place)
            place = policy.document.place(path, Span(start, start + problem.place.width))
            self.problems.append(replace(problem, place=place))


def _offset(text: str, place: Place) -> int:
    lines = text.split("\n")[: place.line - 1]
    return sum(len(line) + 1 for line in lines) + place.column - 1


def _grants(
    rule: Rule, feature: str | None, methods: Sequence[str], patterns: Sequence[NamePattern]
) -> Iterable[Grant]:
    """Every method a rule covers, with every name pattern. `*` is every method of the table, of the feature if one is given."""
    every_feature = feature == "*"
    spelled = {method: True for method in methods if method != "*"}
    if "*" in methods:
        spelled = {name: spelled.get(name, False) for name in (*rows_of("*", feature), *spelled)}
    for method, is_spelled in spelled.items():
        for pattern in patterns:
            yield Grant(rule, method, pattern, is_spelled, every_feature)
