"""What is wrong or odd about policies beyond their shape: one function for each rule they must keep, in a table.

Conditions are read and judged elsewhere. A problem refuses the set; a finding is only made where it is certain.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from mcp_acl.domain import Effect
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.missing import optional_facts
from mcp_acl.policy.naming_checks import NAMING_CHECKS, namings_of
from mcp_acl.policy.null_checks import null_orderings
from mcp_acl.policy.overlap import overlaps
from mcp_acl.policy.patterns import NamePattern, program_size
from mcp_acl.policy.spec import LoadedPolicy
from mcp_acl.policy.wording import limited
from mcp_acl.problems import Problem, Severity, Span

MAX_PROGRAMS: Final = 1_000_000
"""Instructions RE2 may need for all patterns of a set: an index holds them for each method."""


def check_policies(policies: Sequence[LoadedPolicy]) -> tuple[Problem, ...]:
    """Every problem and finding of some policies, as far as they need no compiled condition. Raises nothing."""
    found: list[Problem] = []
    for policy in policies:
        namings = namings_of(policy)
        for check in POLICY_CHECKS:
            found += limited(check(policy))
        for naming_check in NAMING_CHECKS:
            found += limited(problem for naming in namings for problem in naming_check(naming))
    for set_check in SET_CHECKS:
        found += limited(set_check(policies))
    if all(policy.whole for policy in policies) and all(problem.is_finding for problem in found):
        found += limited(overlaps(policies))
    program_size.cache_clear()
    return tuple(found)


# ---- one policy ---------------------------------------------------------------------------------------------------


def _duplicate_rules(policy: LoadedPolicy) -> Iterator[Problem]:
    """A rule id is unique in its policy."""
    first: dict[str, int] = {}
    for index, rule in enumerate(policy.spec.rules):
        before = first.setdefault(rule.id, index)
        if before != index:
            hint = f"the first is on line {policy.document.place(('rules', before, 'id')).line}; give each its own"
            place = policy.document.place(("rules", index, "id"))
            yield Problem("duplicate-rule", f"a second rule {quoted(rule.id)}", place, hint)


def _methods_or_targets(policy: LoadedPolicy) -> Iterator[Problem]:
    """A rule says what it is about once: by `methods` and `name`, or by `targets`."""
    for index, rule in enumerate(policy.spec.rules):
        place = policy.document.place(("rules", index))
        if rule.targets is None and rule.methods is None:
            hint = "write `methods: [tools/list, tools/call]`, or `targets`"
            yield Problem("missing-key", "`methods` is missing", place, hint)
        extra = [key for key, value in (("methods", rule.methods), ("name", rule.name)) if value is not None]
        if rule.targets is not None and extra:
            place = policy.document.place(("rules", index, extra[0]), key=True)
            hint = "move it into one of the targets, or do without `targets`"
            yield Problem("methods-and-targets", f"`{extra[0]}` beside `targets`", place, hint)


def _message_of_allow(policy: LoadedPolicy) -> Iterator[Problem]:
    """Only a denial has a message."""
    for index, rule in enumerate(policy.spec.rules):
        if rule.effect is Effect.ALLOW and rule.message is not None:
            place = policy.document.place(("rules", index, "message"), key=True)
            hint = "only a rule with `effect: deny` tells the client something; for people, write `description`"
            yield Problem("message-unused", "the message of an allow rule is never told", place, hint, Severity.FINDING)


_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CEL_WORDS: Final = frozenset(("true", "false", "null", "in"))


def _variable_names(policy: LoadedPolicy) -> Iterator[Problem]:
    """A variable is read as `variables.NAME`: NAME is a CEL identifier (CEL specification, syntax)."""
    for name in policy.spec.variables or {}:
        if not _NAME.fullmatch(name) or name in _CEL_WORDS:
            place = policy.document.place(("variables", name), key=True)
            hint = "use letters, digits and `_`, the first one no digit, and no word of CEL's own"
            yield Problem("variable-name", f"{quoted(name)} is no name for a variable", place, hint)


def _unused_variables(policy: LoadedPolicy) -> Iterator[Problem]:
    """A variable nothing names. Rules that were left out may name it."""
    if not policy.whole:
        return
    variables = policy.spec.variables or {}
    words = [set(_NAME.findall(rule.cel or "")) for rule in policy.spec.rules]
    named_by = {name: set(_NAME.findall(text)) - {name} for name, text in variables.items()}
    used = set[str]().union(*words, *named_by.values())
    for name in variables:
        if name not in used and _NAME.fullmatch(name):
            place = policy.document.place(("variables", name), key=True)
            hint = f"use it as `variables.{name}`, or remove it"
            yield Problem("unused-variable", f"nothing uses the variable {quoted(name)}", place, hint, Severity.FINDING)


_GLOB_ONLY: Final = re.compile(r"[\[\](){}|\\^$\s]")


def _servers(policy: LoadedPolicy) -> Iterator[Problem]:
    """A server is an id or a glob of `*` and `?`."""
    servers = policy.spec.servers or ()
    for index, server in enumerate(servers):
        found = _GLOB_ONLY.search(server)
        path = ("servers", index)
        if found:
            place = policy.document.place(path, Span(*found.span()))
            hint = "only `*`, any characters, and `?`, any one, have a meaning in a server's name; list the servers"
            yield Problem("server-glob", f"{quoted(found.group())} in the name of a server", place, hint)
        if server in servers[:index]:
            place = policy.document.place(path)
            yield Problem("duplicate-server", f"{quoted(server)} again", place, "remove it", Severity.FINDING)


# ---- the set ------------------------------------------------------------------------------------------------------


def _duplicate_policies(policies: Sequence[LoadedPolicy]) -> Iterator[Problem]:
    """A policy id is unique in the set."""
    first: dict[str, LoadedPolicy] = {}
    for policy in policies:
        before = first.setdefault(policy.spec.policy, policy)
        if before is not policy:
            hint = f"the first is at {before.document.place(('policy',))}; give each its own"
            place = policy.document.place(("policy",))
            yield Problem("duplicate-policy", f"a second policy {quoted(policy.spec.policy)}", place, hint)


def _programs(policies: Sequence[LoadedPolicy]) -> Iterator[Problem]:
    """All patterns fit into an index."""
    seen: set[NamePattern] = set()
    total = 0
    for policy in policies:
        for at in namings_of(policy):
            for name in at.naming.names:
                if name.pattern in seen or name.pattern.kind in ("any", "literal"):
                    continue
                seen.add(name.pattern)
                total += program_size(name.pattern)
                if total > MAX_PROGRAMS:
                    hint = "use smaller counts and fewer classes, or literals"
                    yield at.problem("patterns-too-large", "all patterns together are too large", name.path, hint)
                    return


PolicyCheck: TypeAlias = Callable[[LoadedPolicy], Iterator[Problem]]
SetCheck: TypeAlias = Callable[[Sequence[LoadedPolicy]], Iterator[Problem]]

POLICY_CHECKS: Final[tuple[PolicyCheck, ...]] = (
    _duplicate_rules,
    _methods_or_targets,
    _message_of_allow,
    _variable_names,
    _unused_variables,
    _servers,
    optional_facts,
    null_orderings,
)
SET_CHECKS: Final[tuple[SetCheck, ...]] = (_duplicate_policies, _programs)
