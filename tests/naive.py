"""The naive engine: the rules of deciding written a second time, as plainly as they can be, to hold the real one to.

It shares the method table, the reading of files and the two languages with the package, and nothing of the index or of the engine:
every rule is looked at every time, one after the other, and patterns are matched by hand.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from mcp_acl.domain import Direction, Effect, Feature, Json, Message, MessageKind, Reason, Request, TokenState
from mcp_acl.expr.cel.operators import TRUTH
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.condition import as_condition
from mcp_acl.expr.el.parser import parse_el
from mcp_acl.expr.nodes import Available, Fact, Node, Variable, descendants
from mcp_acl.expr.rewrite import substituted
from mcp_acl.expr.walk import Outcomes, outcomes, walk
from mcp_acl.mcp.methods import METHODS, MethodClass
from mcp_acl.mcp.uris import template_why_not_canonical, why_not_canonical
from mcp_acl.policy.facts import CEL_ENVIRONMENT, EL_ENVIRONMENT
from mcp_acl.policy.patterns import NamePattern
from mcp_acl.policy.settings_spec import SettingsSpec
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import LoadedPolicy, load_policies
from tests.naive_names import deny_matches, governs, headers_agree, pattern_matches
from tests.naive_scope import OF_THE_ENTRY, UNKNOWN_IN_LISTS, NaiveScope

# ---- rules as they are written ---------------------------------------------------------------------------------------


class Target(NamedTuple):
    """Some methods with some name patterns."""

    methods: Sequence[str]
    patterns: Sequence[NamePattern]


@dataclass(frozen=True)
class NaiveRule:
    """One rule of one policy; `conditions` must all hold."""

    policy: str
    id: str
    effect: Effect
    servers: Sequence[str]
    feature: str | None
    targets: Sequence[Target]
    conditions: Sequence[Node]

    def __str__(self) -> str:
        return f"{self.policy}/{self.id}"


class NaivePolicy(NamedTuple):
    """One file."""

    id: str
    servers: Sequence[str]
    rules: Sequence[NaiveRule]
    settings: SettingsSpec | None = None


class Governing(list[NaiveRule]):
    """The rules that govern a server, and what the settings of their policies come to."""

    lenient_uris: bool = False
    trusted: bool = False
    wrappers: Sequence[tuple[str, str, str | None]] = ()


class Verdict(NamedTuple):
    """What is compared with a decision."""

    effect: Effect
    reason: Reason
    rules: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.effect is Effect.ALLOW


@cache
def cel_tree(text: str, variables: tuple[str, ...]) -> Node:
    environment = {**CEL_ENVIRONMENT, **{name: Variable(name, name) for name in variables}}
    return parse_cel(text, environment).node


@cache
def el_tree(text: str) -> Node:
    return parse_el(text, EL_ENVIRONMENT).node


def naive_policies(files: Sequence[SourceFile]) -> tuple[NaivePolicy, ...]:
    """The rules of files that are known to be good."""
    return tuple(naive_policy(policy) for policy in load_policies(files)[0])


def naive_policy(policy: LoadedPolicy) -> NaivePolicy:
    """One file; variables are put in where they are used."""
    trees: dict[str, Node] = {}
    for name, text in (policy.spec.variables or {}).items():
        trees[f"variables.{name}"] = substituted(cel_tree(text, tuple(trees)), trees)
    servers = tuple(policy.spec.servers or ())
    rules: list[NaiveRule] = []
    for rule in policy.spec.rules:
        conditions: list[Node] = []
        if rule.condition is not None:
            conditions.append(el_tree(rule.condition))
        if rule.cel is not None:
            conditions.append(as_condition(substituted(cel_tree(rule.cel, tuple(trees)), trees), TRUTH))
        targets = [Target(*pair) for pair in policy.targets_of(rule)]
        rules.append(NaiveRule(policy.spec.policy, rule.id, rule.effect, servers, rule.feature, targets, conditions))
    return NaivePolicy(policy.spec.policy, servers, rules, policy.spec.settings)


# ---- which rules speak of a message ----------------------------------------------------------------------------------


def names_method(rule: NaiveRule, methods: Sequence[str], method: str) -> bool:
    """Whether a list of methods holds one, by its name or by `*`, which is every method of the table, of the feature if any."""
    if method in methods:
        return True
    row = METHODS.get(method)
    if "*" not in methods or row is None:
        return False
    return rule.feature in ("*", None) or row.feature == rule.feature


def covers(rule: NaiveRule, method: str, name: str) -> bool:
    """Whether a rule speaks of a method and a name; a deny rule on URIs speaks of every way to write one."""
    row = METHODS.get(method)
    on_uris = row is not None and (
        row.target_is_uri or row.method_class in (MethodClass.COMPLETION, MethodClass.LISTEN)
    )
    matches = deny_matches if rule.effect is Effect.DENY and on_uris else pattern_matches
    return any(
        names_method(rule, target.methods, method) and any(matches(one, name) for one in target.patterns)
        for target in rule.targets
    )


def covers_without_name(rule: NaiveRule, method: str, *, spelled: bool = False) -> bool:
    """Whether a rule speaks of a method that has no target: with the pattern any. `spelled`: and by the method's full name."""
    return any(
        (method in target.methods if spelled else names_method(rule, target.methods, method))
        and any(pattern.kind == "any" for pattern in target.patterns)
        for target in rule.targets
    )


# ---- conditions --------------------------------------------------------------------------------------------------------


def outcome_set(rule: NaiveRule, scope: NaiveScope, *, before_call: bool) -> Outcomes:
    """What the rule's conditions may come to, joined as CEL's `&&`."""
    unknown = UNKNOWN_IN_LISTS if before_call else frozenset()
    joined = Outcomes.TRUE
    for condition in rule.conditions:
        found = outcomes(walk(condition, scope, unknown))
        pairs = [(one, two) for one in Outcomes if one & joined for two in Outcomes if two & found]
        joined = Outcomes.NONE
        for pair in pairs:
            if Outcomes.FALSE in pair:
                joined |= Outcomes.FALSE
            else:
                joined |= Outcomes.ERROR if Outcomes.ERROR in pair else Outcomes.TRUE
    return joined


def applies(rule: NaiveRule, possible: Outcomes) -> bool:
    """An allow rule applies if true is possible; a deny rule unless false is."""
    return bool(possible & Outcomes.TRUE) if rule.effect is Effect.ALLOW else not possible & Outcomes.FALSE


def judge(rules: Sequence[NaiveRule], scope: NaiveScope, *, before_call: bool = False) -> Verdict:
    """Deny rules first, then the first allow rule that applies. `rules` are those that speak of the message, in order."""
    errors: list[str] = []
    for effect in (Effect.DENY, Effect.ALLOW):
        for rule in rules:
            if rule.effect is not effect:
                continue
            possible = outcome_set(rule, scope, before_call=before_call)
            if possible == Outcomes.ERROR:
                errors.append(str(rule))
            if applies(rule, possible):
                reason = Reason.GRANTED if effect is Effect.ALLOW else Reason.DENIED_BY_RULE
                return Verdict(effect, reason, (str(rule),), tuple(errors))
    return Verdict(Effect.DENY, Reason.NO_MATCHING_RULE, (), tuple(errors))


def denies(rules: Sequence[NaiveRule]) -> list[NaiveRule]:
    """The deny rules among some."""
    return [rule for rule in rules if rule.effect is Effect.DENY]


# ---- deciding ----------------------------------------------------------------------------------------------------------


def governing(policies: Sequence[NaivePolicy], server: str) -> Governing | None:
    """The rules of all policies that govern a server, in order; None if none does."""
    those = [policy for policy in policies if governs(policy.servers, server)]
    if not those:
        return None
    found = Governing(
        sorted((rule for policy in those for rule in policy.rules), key=lambda rule: (rule.policy, rule.id))
    )
    said = [policy.settings for policy in those if policy.settings is not None]
    found.lenient_uris = all_say(one.lenient_uris for one in said)
    found.trusted = all_say(one.trust_annotations for one in said)
    found.wrappers = [(own.tool, own.argument, own.arguments) for one in said for own in one.wrappers or ()]
    return found


def all_say(said: Iterable[bool | None]) -> bool:
    """Whether somebody says yes, and nobody no."""
    given = [one for one in said if one is not None]
    return bool(given) and all(given)


def deny(reason: Reason) -> Verdict:
    return Verdict(Effect.DENY, reason)


def naive_decide(policies: Sequence[NaivePolicy], request: Request) -> Verdict:
    """The decision on one message."""
    rules = governing(policies, request.server)
    if rules is None:
        return deny(Reason.NO_POLICY)
    if request.token is TokenState.MISSING:
        return deny(Reason.TOKEN_MISSING)
    if request.token is TokenState.INVALID:
        return deny(Reason.TOKEN_INVALID)
    message = request.message
    if not headers_agree(message, request.http.headers):
        return deny(Reason.HEADER_MISMATCH)
    from_client = request.direction is Direction.CLIENT_TO_SERVER
    if message.kind is MessageKind.RESPONSE:
        if from_client and not message.is_empty and not may_be_asked(rules, request):
            return deny(Reason.NO_MATCHING_RULE)
        return Verdict(Effect.ALLOW, Reason.ALWAYS_PERMITTED)
    verdict = decide_method(rules, request)
    if (
        verdict.allowed
        and from_client
        and message.params.get("inputResponses", {}) != {}
        and not may_be_asked(rules, request)
    ):
        return deny(Reason.NO_MATCHING_RULE)
    return verdict


def may_be_asked(rules: Governing, request: Request) -> bool:
    """Whether the server may ask the client for one of the three things it can ask for."""
    return any(
        judge(
            [one for one in rules if covers_without_name(one, method)],
            NaiveScope(request, method, before_call=True),
            before_call=True,
        ).allowed
        for method in ("sampling/createMessage", "elicitation/create", "roots/list")
    )


def decide_method(rules: Governing, request: Request) -> Verdict:
    """The decision on a message with a method, by what kind of method it is."""
    method = request.message.method
    scope = NaiveScope(request, method)
    row = METHODS.get(method)
    if row is None and not is_list_changed(method):
        those = [one for one in rules if one.feature == "*" and covers_without_name(one, method, spelled=True)]
        verdict = judge(those, scope)
        return verdict._replace(reason=Reason.UNKNOWN_METHOD) if not verdict.rules else verdict
    if row is None or row.method_class is MethodClass.ALWAYS:
        verdict = judge(denies([one for one in rules if covers_without_name(one, method, spelled=True)]), scope)
        return verdict if verdict.rules else Verdict(Effect.ALLOW, Reason.ALWAYS_PERMITTED, (), verdict.errors)
    if request.direction not in row.directions:
        return deny(Reason.WRONG_DIRECTION)
    if row.method_class is MethodClass.LIST:
        return decide_list(rules, request)
    if row.method_class is MethodClass.PLAIN:
        return judge([one for one in rules if covers_without_name(one, method)], scope)
    return decide_demands(rules, request)


def is_list_changed(method: str) -> bool:
    """`notifications/<one segment>/list_changed`."""
    first, _, rest = method.partition("/")
    segment, _, last = rest.partition("/")
    plain = segment != "" and all(char.isascii() and (char.isalnum() or char in "_.-") for char in segment)
    return first == "notifications" and last == "list_changed" and plain


def decide_list(rules: Sequence[NaiveRule], request: Request) -> Verdict:
    """Passes if the response will be filtered or nothing would be hidden, which is tried on an entry nobody has heard of."""
    if request.message.method != "tasks/list" and nothing_hidden(rules, request):
        return Verdict(Effect.ALLOW, Reason.NOTHING_HIDDEN)
    if request.filters_responses:
        return Verdict(Effect.ALLOW, Reason.LIST_FILTERED)
    return deny(Reason.LIST_NOT_FILTERED)


def nothing_hidden(rules: Sequence[NaiveRule], request: Request) -> bool:
    """Some allow rule shows any entry, and no deny rule can hide one."""
    method = request.message.method
    scope = NaiveScope(request, method, before_call=True)

    def certain(rule: NaiveRule) -> bool:
        reads = [node for tree in rule.conditions for node in descendants(tree) if isinstance(node, Fact | Available)]
        return not any(node.variable.attribute in OF_THE_ENTRY for node in reads)

    shows = [
        rule
        for rule in rules
        if rule.effect is Effect.ALLOW
        and covers_without_name(rule, method)
        and certain(rule)
        and outcome_set(rule, scope, before_call=True) & Outcomes.TRUE
    ]
    hides = [
        rule
        for rule in denies(rules)
        if any(names_method(rule, target.methods, method) for target in rule.targets)
        and not (certain(rule) and outcome_set(rule, scope, before_call=True) & Outcomes.FALSE)
    ]
    return bool(shows) and not hides


class Demand(NamedTuple):
    """A method and a name that must be granted; the name may be missing."""

    method: str
    name: object
    may_be_template: bool = False


def demands_of(message: Message) -> list[Demand] | None:
    """What a message asks for, or None if its shape is none that the protocol knows."""
    params, method = message.params, message.method
    match METHODS[method].method_class:
        case MethodClass.COMPLETION:
            ref = params.get("ref")
            if not isinstance(ref, Mapping) or ref.get("type") not in ("ref/prompt", "ref/resource"):
                return None
            if ref["type"] == "ref/prompt":
                return [Demand("prompts/get", ref.get("name"))]
            return [Demand("resources/read", ref.get("uri"), may_be_template=True)]
        case MethodClass.LISTEN:
            return listened(params.get("notifications"))
        case MethodClass.TASK:
            return [Demand(method, params.get("taskId"))]
    as_method = {
        "resources/unsubscribe": "resources/subscribe",
        "notifications/resources/updated": "resources/read",
    }.get(method, method)
    return [Demand(as_method, params.get("uri" if METHODS[method].target_is_uri else "name"))]


def listened(wanted: Json) -> list[Demand] | None:
    """Every URI needs `resources/subscribe`, every task `tasks/get`; flags pass."""
    if not isinstance(wanted, Mapping):
        return None
    demands: list[Demand] = []
    for member, value in wanted.items():
        method = {"resourceSubscriptions": "resources/subscribe", "taskIds": "tasks/get"}.get(member)
        if method is None:
            if member not in ("toolsListChanged", "promptsListChanged", "resourcesListChanged"):
                return None
            if not isinstance(value, bool):
                return None
        elif not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            return None
        else:
            demands += [Demand(method, name) for name in value]
    return list(dict.fromkeys(demands))


def decide_demands(rules: Governing, request: Request) -> Verdict:
    """Every demand must be granted; the first that is not refuses the message."""
    method = request.message.method
    demands = demands_of(request.message)
    if demands is None:
        return deny(Reason.MESSAGE_REFUSED)
    own = judge(
        denies([one for one in rules if covers_without_name(one, method)]),
        NaiveScope(request, method, before_call=method == "completion/complete"),
        before_call=method == "completion/complete",
    )
    if own.rules and METHODS[method].method_class in (MethodClass.COMPLETION, MethodClass.LISTEN):
        return own
    return all_of([decide_demand(rules, request, demand) for demand in demands], rules, request)


def all_of(verdicts: Sequence[Verdict], rules: Governing, request: Request) -> Verdict:
    """The first refusal, or all grants together; a wrapper is granted together with what it calls."""
    inside = calls_inside(rules, request) if request.message.method == "tools/call" else []
    granted = [*verdicts, *(decide_inside(rules, one) for one in inside)]
    refused = [verdict for verdict in granted if not verdict.allowed]
    if refused:
        return refused[0]
    if len(granted) == 1:
        return granted[0]
    return Verdict(
        Effect.ALLOW,
        Reason.GRANTED if granted else Reason.ALWAYS_PERMITTED,
        tuple(dict.fromkeys(rule for verdict in granted for rule in verdict.rules)),
        tuple(error for verdict in granted for error in verdict.errors),
    )


def decide_inside(rules: Governing, request: Request | None) -> Verdict:
    """A call that a wrapper makes, if it says which."""
    if request is None:
        return deny(Reason.TARGET_MISSING)
    return decide_demand(rules, request, Demand("tools/call", request.message.params["name"]))


def calls_inside(rules: Governing, request: Request) -> list[Request | None]:
    """The calls that a wrapper makes, each before those that it makes; None for one that does not say what it calls."""
    params = request.message.params
    arguments = params.get("arguments")
    given: Mapping[str, Json] = arguments if isinstance(arguments, dict) else {}
    found: list[Request | None] = []
    for tool, argument, inner in dict.fromkeys(rules.wrappers):
        if tool != params.get("name"):
            continue
        if not isinstance(given.get(argument), str):
            found.append(None)
            continue
        called = {**params, "name": given[argument], "arguments": given.get(inner) if inner else None}
        one = request._replace(message=request.message._replace(params=called))
        found += [one, *calls_inside(rules, one)]
    return found


def decide_demand(rules: Governing, request: Request, demand: Demand) -> Verdict:
    """One demand."""
    name, method = demand.name, request.message.method
    if not isinstance(name, str):
        return deny(Reason.TARGET_MISSING)
    strict = METHODS[demand.method].target_is_uri and not rules.lenient_uris
    if strict and not is_canonical(name, may_be_template=demand.may_be_template):
        return deny(Reason.URI_NOT_CANONICAL)
    before_call = method == "completion/complete"
    if demand.method != method:
        scope = NaiveScope(request, method, name, before_call=before_call)
        own = judge(denies([one for one in rules if covers(one, method, name)]), scope, before_call=before_call)
        if own.rules:
            return own
    if METHODS[demand.method].method_class is MethodClass.TASK:
        return decide_task(rules, request, demand.method, name)
    scope = NaiveScope(request, demand.method, name, before_call=before_call)
    return judge([one for one in rules if covers(one, demand.method, name)], scope, before_call=before_call)


def decide_task(
    rules: Sequence[NaiveRule], request: Request, method: str, task_id: str, *, listed: bool = False
) -> Verdict:
    """The owner, while the tool that made the task may still be called, unless a deny rule names the method."""
    scope = NaiveScope(request, method, task_id, before_call=listed)
    own = judge(denies([one for one in rules if covers(one, method, task_id)]), scope, before_call=listed)
    if own.rules:
        return own
    task = request.tasks.get(task_id)
    subject, issuer = request.claims.get("sub"), request.claims.get("iss")
    if task is None or not isinstance(subject, str) or not subject or (issuer, subject) != (task.issuer, task.subject):
        return deny(Reason.TASK_NOT_OWNED)
    scope = NaiveScope(request, "tools/call", task.tool, before_call=True)
    call = judge([one for one in rules if covers(one, "tools/call", task.tool)], scope, before_call=True)
    if call.allowed:
        return call._replace(reason=Reason.TASK_OWNER)
    return call if call.rules else call._replace(reason=Reason.TASK_NOT_OWNED)


def is_canonical(uri: str, *, may_be_template: bool) -> bool:
    """Only completions and lists of templates hold the text of a template."""
    if may_be_template and "{" in uri:
        return template_why_not_canonical(uri) == ""
    return why_not_canonical(uri) == ""


# ---- lists -------------------------------------------------------------------------------------------------------------


def naive_filter(policies: Sequence[NaivePolicy], request: Request, entries: Sequence[Mapping[str, Json]]) -> list[str]:
    """The names of the entries that are shown, in order. Every entry has a readable name."""
    rules = governing(policies, request.server)
    return list(shown_names(rules, request, entries)) if rules is not None else []


def shown_names(rules: Governing, request: Request, entries: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    """An entry is shown by the rules that name its list method; a task by being its owner's."""
    method = request.message.method
    row = METHODS[method]
    for entry in entries:
        name = entry[row.list_member]
        assert isinstance(name, str)
        strict = row.target_is_uri and not rules.lenient_uris
        if strict and not is_canonical(name, may_be_template=method == "resources/templates/list"):
            continue
        if row.feature is Feature.TASKS:
            if decide_task(rules, request, method, name, listed=True).allowed:
                yield name
            continue
        scope = NaiveScope(request, method, name, entry if rules.trusted else None, before_call=True)
        if judge([one for one in rules if covers(one, method, name)], scope, before_call=True).allowed:
            yield name
