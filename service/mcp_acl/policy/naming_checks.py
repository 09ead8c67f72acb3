"""What is wrong or odd about one pair of methods and names of a rule: one function for each rule it must keep, in a table."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from mcp_acl.domain import Effect, Feature
from mcp_acl.mcp.methods import METHODS, Method, MethodClass, method_named
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.overlap import rows_of
from mcp_acl.policy.patterns import pattern_problem
from mcp_acl.policy.spec import LoadedPolicy, Naming, RuleSpec
from mcp_acl.policy.tree import Path
from mcp_acl.problems import Problem, Severity, Span, nearest


class NamingAt(NamedTuple):
    """One pair of methods and names, its rule, and where it stands in its policy."""

    policy: LoadedPolicy
    rule: RuleSpec
    naming: Naming
    rule_path: Path

    def problem(self, code: str, message: str, path: Path, hint: str = "", span: Span | None = None) -> Problem:
        """A problem at a path of the rule."""
        return Problem(code, message, self.policy.document.place((*self.rule_path, *path), span), hint)

    def methods(self) -> Iterator[tuple[str, Path]]:
        """Each method as written, and its path in the rule."""
        for index, method in enumerate(self.naming.methods):
            yield method, (*self.naming.path, "methods", index)

    def rows(self) -> Sequence[Method]:
        """The rows of all methods it covers, those that `*` stands for included."""
        return _rows(self.naming.methods, self.rule.feature)


@lru_cache(maxsize=256)
def _rows(words: tuple[str, ...], feature: str | None) -> Sequence[Method]:
    return [row for word in words for row in rows_of(word, feature).values()]


def namings_of(policy: LoadedPolicy) -> list[NamingAt]:
    """Every pair of methods and names of a policy."""
    rules = enumerate(policy.spec.rules)
    return [NamingAt(policy, rule, naming, ("rules", index)) for index, rule in rules for naming in rule.namings]


def _finding(problem: Problem) -> Problem:
    return replace(problem, severity=Severity.FINDING)


# ---- one pair of methods and names --------------------------------------------------------------------------------


def _star(at: NamingAt) -> Iterator[Problem]:
    """`*` is every method of the rule's feature, and needs no company."""
    for method, path in at.methods():
        if method == "*" and len(at.naming.methods) > 1:
            hint = 'write `methods: ["*"]`, or use `targets` for several lists of methods'
            yield at.problem("star-method", "`*` beside other methods", path, hint)
        if method == "*" and at.rule.feature is None:
            hint = 'write `feature: "*"` for every method there is, or a feature such as `feature: tools`'
            yield at.problem("star-method", "`*` without a feature", path, hint)


def _unknown_methods(at: NamingAt) -> Iterator[Problem]:
    """A method is in the table, or under `feature: "*"`, where any name may be spelled out."""
    for method, path in at.methods():
        if method == "*" or method_named(method) is not None:
            continue
        if "*" in method:
            hint = _feature_hint(method) or "write every method out, or `*` alone with a `feature`"
            yield at.problem(
                "star-method", f"{quoted(method)}: `*` stands for all methods, not for a part of a name", path, hint
            )
            continue
        hint = nearest(method, METHODS)
        if at.rule.feature == "*":
            message = f"no MCP revision or listed extension has a method {quoted(method)}"
            hint = hint or "it is granted or denied by exactly this name"
            yield _finding(at.problem("unknown-method", message, path, hint))
        else:
            hint = hint or 'a method outside the table needs `feature: "*"`'
            yield at.problem("unknown-method", f"unknown method {quoted(method)}", path, hint)


def _feature_hint(method: str) -> str:
    """Somebody wrote `tools/*`."""
    feature, _, rest = method.partition("/")
    return f'write `feature: {feature}` and `methods: ["*"]`' if rest == "*" and feature in set(Feature) else ""


def _other_features(at: NamingAt) -> Iterator[Problem]:
    """A rule that states a feature names no method of another."""
    if at.rule.feature in (None, "*"):
        return
    for method, path in at.methods():
        row = method_named(method)
        if row is not None and row.feature != at.rule.feature:
            whose = f"belongs to `{row.feature}`" if row.feature else "belongs to no feature"
            hint = "leave `feature` out: it follows from the methods"
            yield at.problem("other-feature", f"{quoted(method)} {whose}, not to `{at.rule.feature}`", path, hint)


_DECIDED: Final = {
    MethodClass.ALWAYS: "it is always permitted; only a deny rule stops it",
    MethodClass.COMPLETION: "who may get the prompt or read the resource may complete its arguments",
    MethodClass.LISTEN: "every URI in it needs `resources/subscribe`, every task its owner",
    MethodClass.TASK: "a task belongs to who created it, while the tool may be called",
}


def _without_effect(at: NamingAt) -> Iterator[Problem]:
    """Methods that are always permitted, and those the rules on another method decide."""
    if at.rule.effect is not Effect.ALLOW:
        return
    for method, path in at.methods():
        row = method_named(method)
        if row is None:
            continue
        reason = _DECIDED.get(row.method_class, "")
        if row.decided_as != row.name:
            reason = f"the rules on `{row.decided_as}` decide it"
        if reason:
            yield _finding(at.problem("no-effect", f"allowing {quoted(method)} has no effect", path, reason))


_NAMELESS: Final = (MethodClass.ALWAYS, MethodClass.PLAIN)


def _names_without_target(at: NamingAt) -> Iterator[Problem]:
    """A message that acts on nothing has no name: only the pattern `any` matches it."""
    if any(name.pattern.kind == "any" for name in at.naming.names):
        return
    path = at.naming.names[0].path
    if at.rule.feature != "*" and not all(method == "*" or method_named(method) for method, _ in at.methods()):
        return
    if all(row.method_class in _NAMELESS for row in at.rows()):
        hint = "leave `name` out: these methods act on nothing that has one"
        yield at.problem("name-without-target", "this name can never match", path, hint)
        return
    for method, method_path in at.methods():
        row = method_named(method)
        if method != "*" and (row is None or row.method_class in _NAMELESS):
            message = f"{quoted(method)} acts on nothing that has a name, so this never covers it"
            yield _finding(at.problem("name-without-target", message, method_path, "give it a rule without `name`"))


# ---- names --------------------------------------------------------------------------------------------------------

_NAME_SIGNS: Final = re.compile(r"[*?\[\]()|\\^$]")
_URI_SIGNS: Final = re.compile(r"[*\\]")
_GLOB_SIGNS: Final = re.compile(r"[\[\]()|\\^$]")
_EXPANDED: Final = frozenset(("resources/read", "resources/subscribe"))


def _literals(at: NamingAt) -> Iterator[Problem]:
    """A literal that looks like a pattern is one that was not marked as such."""
    signs = _signs(at.rows())
    for name in at.naming.names:
        text = name.pattern.literal or ""
        for found in (sign.search(text) for sign in signs):
            if found:
                hint = f"write {{glob: {_yaml(text)}}} for a pattern, {{regex: {_yaml(_escaped(text))}}} for this very name"
                message = f"a literal with `{found.group()}` looks like a pattern"
                yield at.problem("literal-pattern", message, name.path, hint, Span(*found.span()))
                break
        if "{" in text and any(row.name in _EXPANDED for row in at.rows()):
            hint = f"write {{template: {_yaml(text)}}} for what it expands to"
            yield _finding(at.problem("literal-template", "a literal that looks like a template", name.path, hint))


def _signs(rows: Iterable[Method]) -> list[re.Pattern[str]]:
    """What makes a literal look like a pattern: in the name of a tool or prompt, and in a URI."""
    named = any(row.feature in (Feature.TOOLS, Feature.PROMPTS) for row in rows)
    return [_NAME_SIGNS] * named + [_URI_SIGNS] * any(row.target_is_uri for row in rows)


def _escaped(text: str) -> str:
    return re.sub(r"[\\.+*?()|\[\]{}^$]", lambda found: f"\\{found.group()}", text)


def _yaml(text: str) -> str:
    """A text as YAML writes it in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def _patterns(at: NamingAt) -> Iterator[Problem]:
    """Regexes are RE2's, templates level 1."""
    for name in at.naming.names:
        problem = pattern_problem(name.pattern)
        if problem is not None:
            yield at.problem(problem.code, problem.message, name.path, problem.hint, problem.span)


def _globs(at: NamingAt) -> Iterator[Problem]:
    """What other globs know and these do not."""
    if not any(row.feature in (Feature.TOOLS, Feature.PROMPTS) for row in at.rows()):
        return
    for name in at.naming.names:
        found = _GLOB_SIGNS.search(name.pattern.text) if name.pattern.kind == "glob" else None
        if found:
            message = f"`{found.group()}` stands for itself in a glob"
            hint = "only `*`, any characters, and `?`, any one, have a meaning; write {regex: …} for more"
            yield _finding(at.problem("glob-sign", message, name.path, hint, Span(*found.span())))


NamingCheck: TypeAlias = Callable[[NamingAt], Iterator[Problem]]

NAMING_CHECKS: Final[tuple[NamingCheck, ...]] = (
    _star,
    _unknown_methods,
    _other_features,
    _without_effect,
    _names_without_target,
    _literals,
    _patterns,
    _globs,
)
