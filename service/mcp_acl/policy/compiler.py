"""Policy files → `PolicySet`: every condition compiled, every rule in its index, or every problem at once."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from mcp_acl.domain import RuleRef
from mcp_acl.expr.cel.operators import TRUTH
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.condition import Condition, as_condition, both, condition_of
from mcp_acl.expr.el.parser import parse_el
from mcp_acl.expr.el.template import has_block
from mcp_acl.expr.nodes import Node, Parsed, Variable, descendants
from mcp_acl.expr.rewrite import moved, substituted
from mcp_acl.policy.checks import check_policies
from mcp_acl.policy.conditions import cel_findings, el_findings, no_block, too_large
from mcp_acl.policy.facts import CEL_ENVIRONMENT, EL_ENVIRONMENT, Source, sources_of
from mcp_acl.policy.index import Grant, Group, PolicyInfo, PolicySet, Rule, ServerPatterns
from mcp_acl.policy.overlap import rows_of
from mcp_acl.policy.patterns import NamePattern
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import LoadedPolicy, RuleSpec, load_policies
from mcp_acl.problems import Place, Problem, SourceError, Span

_Path: TypeAlias = tuple[str | int, ...]

MAX_NODES: Final = 5_000
"""Nodes a condition may have once its variables are put in."""


def compile_policies(files: Sequence[SourceFile], commit: str = "") -> PolicySet:
    """Compile one directory's files into a set. `commit` is the git commit they come from, if any.

    Raises SourceError with every problem and finding of every file if there is one problem.
    """
    policies, problems = load_policies(files)
    compiler = _Compiler([*problems, *check_policies(policies)])
    compiled = [(policy, compiler.policy(policy)) for policy in policies]
    if any(not problem.is_finding for problem in compiler.problems):
        raise SourceError(compiler.problems)
    by_servers: dict[tuple[str, ...], list[Grant]] = {}
    for policy, grants in compiled:
        by_servers.setdefault(tuple(sorted(set(policy.spec.servers or ()))), []).extend(grants)
    return PolicySet(
        revision=_revision(policies, commit),
        policies=tuple(sorted(map(_info, policies), key=lambda info: info.id)),
        findings=SourceError(compiler.problems).problems,
        groups=tuple((ServerPatterns(servers), Group(grants)) for servers, grants in sorted(by_servers.items())),
    )


def _revision(policies: Iterable[LoadedPolicy], commit: str) -> str:
    """SHA-256 over what the files say, in the order of policy ids; 16 hexadecimal digits, and the commit."""
    texts = sorted(json.dumps(policy.document.plain(), sort_keys=True) for policy in policies)
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    return f"{digest}+git.{commit[:12]}" if commit else digest


def _info(policy: LoadedPolicy) -> PolicyInfo:
    spec = policy.spec
    return PolicyInfo(spec.policy, policy.file, tuple(spec.servers or ()), len(spec.rules))


@dataclass(slots=True)
class _Compiler:
    """Compiles policy after policy and gathers what is wrong with them."""

    problems: list[Problem]

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
        ref = RuleRef(policy.spec.policy, spec.id, policy.file, policy.document.place((*path, "id")).line)
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
            may_be_unknown=not sources.isdisjoint((Source.CALL, Source.HEADERS)),
        )

    def _variables(self, policy: LoadedPolicy) -> Mapping[str, Node]:
        """Each variable's tree, variables of variables put in; one that uses itself or a later one is a problem."""
        trees: dict[str, Node] = {}
        for name, text in (policy.spec.variables or {}).items():
            path = ("variables", name)
            parsed = self._parsed(policy, path, text, partial(parse_cel, text, _environment(trees)))
            if parsed is None:
                continue
            tree = substituted(parsed.node, trees)
            self._check_size(policy, path, text, tree)
            trees[f"variables.{name}"] = tree
        return trees

    def _condition(
        self, policy: LoadedPolicy, path: _Path, spec: RuleSpec, variables: Mapping[str, Node]
    ) -> Condition | None:
        """The rule's `condition` and `cel`, joined. Equal texts share one compiled condition."""
        nodes: list[Node] = []
        texts: list[str] = []
        if spec.condition is not None:
            nodes += self._el(policy, (*path, "condition"), spec)
            texts.append(spec.condition)
        if spec.cel is not None:
            offset = sum(len(text) + 1 for text in texts)
            nodes += [moved(node, offset) for node in self._cel(policy, (*path, "cel"), spec, variables)]
            texts.append(spec.cel)
        if not nodes:
            return None
        tree = nodes[0] if len(nodes) == 1 else both(nodes[0], nodes[1])
        return condition_of(tree, "\n".join(texts))

    def _el(self, policy: LoadedPolicy, path: _Path, spec: RuleSpec) -> list[Node]:
        text = spec.condition or ""
        if not has_block(text) and text.strip().lower() not in ("true", "false"):
            self._report(policy, path, text, [no_block(text)])
            return []
        parsed = self._parsed(policy, path, text, partial(parse_el, text, EL_ENVIRONMENT))
        if parsed is None:
            return []
        self._report(policy, path, text, el_findings(text, parsed.node))
        return [parsed.node]

    def _cel(self, policy: LoadedPolicy, path: _Path, spec: RuleSpec, variables: Mapping[str, Node]) -> list[Node]:
        text = spec.cel or ""
        parsed = self._parsed(policy, path, text, partial(parse_cel, text, _environment(variables)))
        if parsed is None:
            return []
        tree = substituted(parsed.node, variables)
        self._check_size(policy, path, text, tree)
        self._report(policy, path, text, cel_findings(text, tree))
        return [as_condition(tree, TRUTH)]

    def _parsed(self, policy: LoadedPolicy, path: _Path, text: str, parse: Callable[[], Parsed]) -> Parsed | None:
        """What the front end makes of a text; its problems and findings are reported where the text stands."""
        try:
            parsed = parse()
        except SourceError as error:
            self._report(policy, path, text, error.problems)
            return None
        self._report(policy, path, text, parsed.findings)
        return parsed

    def _check_size(self, policy: LoadedPolicy, path: _Path, text: str, tree: Node) -> None:
        if sum(1 for _ in descendants(tree)) > MAX_NODES:
            self._report(policy, path, text, [too_large(text)])

    def _report(self, policy: LoadedPolicy, path: _Path, text: str, problems: Iterable[Problem]) -> None:
        """Add problems of an expression, each moved from its place in the text to its place in the file."""
        for problem in problems:
            start = _offset(text, problem.place)
            place = policy.document.place(path, Span(start, start + problem.place.width))
            self.problems.append(replace(problem, place=place))


def _offset(text: str, place: Place) -> int:
    lines = text.split("\n")[: place.line - 1]
    return sum(len(line) + 1 for line in lines) + place.column - 1


def _environment(variables: Mapping[str, Node]) -> Mapping[str, Variable]:
    return {**CEL_ENVIRONMENT, **{name: Variable(name, name) for name in variables}}


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
