"""What hypothesis draws: rule sets, requests on every method, entries of lists.

The alphabets of names are small, so that rules and requests meet, and hold what is easily confused: case, spaces, NUL, line breaks,
percent triplets, Unicode forms.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from mcp_acl.domain import Direction, Http, Json, Message, MessageKind, Request, TaskFact, TokenState
from mcp_acl.mcp.methods import METHODS, Method, MethodClass
from mcp_acl.policy.source import SourceFile

SERVERS = ("alpha", "alpha-1", "beta", "Alpha", "")
SERVER_PATTERNS = ("alpha", "alpha-*", "beta", "*", "?eta", "nowhere")
NAMES = ("a", "b", "ab", "A", "a ", "a\0", "a\n", "b.c", "b_c", "read_x", "read_", "é", "e\u0301", "")
URIS = ("text:a", "text:b", "text:a%20b", "doc://h/a", "doc://h/a/b", "doc://h/a%2Fb", "doc://h/%2E", "doc://h/b.txt")
LOOSE_URIS = ("TEXT:a", "doc://h/../a", "doc://h/%61", "doc://H/a", "text:a b", "a", "", "doc://h/{x}")
TEMPLATES = ("doc://h/{x}", "doc://h/{y}", "doc://h/{x}/{y}", "text:{x}", "doc://h/{x}.txt", "doc://h/{+x}", "text:a")
TASKS = ("t1", "t2", "t3")
SUBJECTS = ("ann", "bob", "")
ISSUER = "https://id.example"
UNKNOWN_METHODS = ("events/poll", "Tools/call", "notifications/events/list_changed", "notifications/x/y/list_changed")

LITERALS = ("a", "b", "ab", "A", "a ", "b.c", "é", "text:a", "doc://h/a", "doc://h/{x}", "t1")
REGEXES = ("a.*", "a|b", "[ab]+", "(?i)a", "text:.", "doc://h/.*", "b.c", ".*", "(?s).*", "read_[a-z]?", "[^a]")
GLOBS = ("a*", "*", "?", "b?c", "text:*", "doc://h/*", "read_*", "*a", "*{x}*", "a*b*")
TEMPLATE_PATTERNS = ("doc://h/{x}", "doc://h/{x}/{z}", "text:{v}", "doc://h/{x}.txt")

CEL = (
    'claims.role == "admin"',
    "claims.level > 3",
    '!has(claims.role) || claims.role != "guest"',
    'claims.sub == "ann"',
    "mcp.arguments.n < 10",
    "has(mcp.arguments.n)",
    'mcp.arguments.n < 10 && claims.role == "admin"',
    "mcp.arguments.n < 10 || claims.level > 3",
    '(mcp.arguments.n < 10 ? claims.role == "admin" : claims.level > 3)',
    "!(mcp.arguments.n < 10)",
    "mcp.arguments.list.exists(x, x == claims.level)",
    "mcp.arguments.list.all(x, x < 5)",
    'mcp.name == "a"',
    'mcp.name.startsWith("doc:")',
    "mcp.name == claims.role",
    "mcp.annotations.readOnlyHint",
    'mcp.method.endsWith("/list")',
    'mcp.feature == "tools"',
    'mcp.meta["x/y"] == 1',
    'attributes.plan == "gold"',
    '"x-team" in request.headers',
    'request.headers["x-team"] == "red"',
    'request.headers["mcp-param-region"] == "eu"',
    'request.time > timestamp("2026-01-01T00:00:00Z")',
    'mcp.server == "alpha"',
    "1 / claims.level == 1",
    "true",
    "false",
    "variables.v0",
    "variables.v0 && mcp.arguments.n < 10",
)
EL = (
    "{#context.attributes['jwt.claims']['role'] == 'admin'}",
    "{#context.attributes['jwt.claims']['level'] > 3}",
    "{#context.attributes['jwt.claims']['nope']['x'] == 'a'}",
    "{#context.attributes['user'] == 'ann'}",
    "{#context.attributes['plan'] == 'gold'}",
    "{#context.attributes['plan']}",
    "{#request.jsonContent.params.arguments.n < 10}",
    "{#context.attributes['jwt.claims']['role'] == 'admin' && #request.jsonContent.params.arguments.n < 10}",
    "{#request.jsonContent.params.arguments.n < 10 || #context.attributes['jwt.claims']['level'] > 3}",
    "{#request.headers['X-Team'] != null && #request.headers['X-Team'][0] == 'red'}",
    "{#mcp.name == 'a'}",
    "{#context.attributes['jwt.claims']['nope']?.equals('x')}",
    "{(1 / 0 == 0)}",
    "true",
)
VARIABLES = ('claims.role == "admin"', "claims.level > 3", "mcp.arguments.n == 5", 'mcp.name == "a"')

_METHOD_NAMES = tuple(METHODS)
_WITH_NAMES = tuple(row.name for row in METHODS.values() if row.target or row.method_class is MethodClass.LIST)

# ---- rule sets ---------------------------------------------------------------------------------------------------------


def atoms() -> st.SearchStrategy[str]:
    """Small CEL terms, to be put together."""
    return st.sampled_from([text for text in CEL if "variables" not in text])


def cel_texts() -> st.SearchStrategy[str]:
    """Conditions of the pool, and combinations of them."""
    combined = st.recursive(
        atoms(),
        lambda inner: st.one_of(
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
            st.builds("!({})".format, inner),
            st.builds("({} ? {} : {})".format, inner, inner, inner),
        ),
        max_leaves=4,
    )
    return st.one_of(st.sampled_from(CEL), combined)


def patterns() -> st.SearchStrategy[Json]:
    """One name pattern as it is written."""
    return st.one_of(
        st.sampled_from(LITERALS),
        st.builds(lambda text: {"regex": text}, st.sampled_from(REGEXES)),
        st.builds(lambda text: {"glob": text}, st.sampled_from(GLOBS)),
        st.builds(lambda text: {"template": text}, st.sampled_from(TEMPLATE_PATTERNS)),
    )


def names() -> st.SearchStrategy[Json]:
    """One pattern, or a list."""
    return st.one_of(patterns(), st.lists(patterns(), min_size=1, max_size=3))


@st.composite
def targets(draw: st.DrawFn) -> dict[str, Any]:
    """Methods and names of one rule, so that they belong together."""
    match draw(st.sampled_from(["named", "named", "any", "star", "unknown"])):
        case "named":
            methods = draw(st.lists(st.sampled_from(_WITH_NAMES), min_size=1, max_size=3, unique=True))
            found: dict[str, Any] = {"methods": methods}
            if draw(st.booleans()):
                found["name"] = draw(names())
            return found
        case "any":
            methods = draw(st.lists(st.sampled_from(_METHOD_NAMES), min_size=1, max_size=3, unique=True))
            return {"feature": "*", "methods": methods}
        case "unknown":
            return {"feature": "*", "methods": [draw(st.sampled_from(UNKNOWN_METHODS))]}
    found = {"feature": draw(st.sampled_from(["*", "tools", "resources", "prompts", "tasks"])), "methods": ["*"]}
    if draw(st.booleans()):
        found["name"] = draw(names())
    return found


@st.composite
def rules(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """One rule."""
    rule: dict[str, Any] = {"id": f"r{number}", **draw(targets())}
    if draw(st.integers(0, 2)) == 0:
        rule["effect"] = "deny"
    kind = draw(st.sampled_from(["none", "none", "cel", "cel", "el", "both"]))
    if kind in ("cel", "both"):
        rule["cel"] = draw(cel_texts())
    if kind in ("el", "both"):
        rule["condition"] = draw(st.sampled_from(EL))
    return rule


@st.composite
def policies(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """One file."""
    policy: dict[str, Any] = {"version": 1, "policy": f"p{number}"}
    if draw(st.integers(0, 3)):
        policy["servers"] = draw(st.lists(st.sampled_from(SERVER_PATTERNS), min_size=1, max_size=2, unique=True))
    policy["variables"] = {"v0": draw(st.sampled_from(VARIABLES))}
    policy["rules"] = [draw(rules(index)) for index in range(draw(st.integers(0, 5)))]
    return policy


@st.composite
def policy_sets(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The files of one directory."""
    return [draw(policies(index)) for index in range(draw(st.integers(1, 3)))]


def source_files(written: Sequence[Mapping[str, Any]]) -> tuple[SourceFile, ...]:
    """Files of policies. JSON is YAML."""
    return tuple(SourceFile(f"{one['policy']}.yaml", json.dumps(one).encode()) for one in written)


# ---- requests ----------------------------------------------------------------------------------------------------------

CLAIMS: st.SearchStrategy[dict[str, Json]] = st.fixed_dictionaries(
    {},
    optional={
        "sub": st.sampled_from(SUBJECTS),
        "iss": st.sampled_from([ISSUER, "https://other.example"]),
        "role": st.sampled_from(["admin", "guest", "a", 5, None]),
        "level": st.sampled_from([0, 1, 5, "5", None]),
    },
)
ARGUMENTS: st.SearchStrategy[Json] = st.one_of(
    st.fixed_dictionaries({}, optional={"n": st.sampled_from([5, 50, "5", None]), "list": st.sampled_from([[], [5], [1, 9], 1])}),
    st.sampled_from([None, 5]),
)
ANY_NAME = st.sampled_from([*NAMES, *URIS, *LOOSE_URIS, *TEMPLATES, *TASKS])
USUAL_NAMES: Mapping[str, Sequence[str]] = {"name": NAMES, "uri": URIS, "taskId": TASKS}


def target_names(member: str) -> st.SearchStrategy[Json]:
    """Mostly a name of the right kind, sometimes any, sometimes none."""
    usual = st.sampled_from(USUAL_NAMES[member])
    return st.one_of(usual, usual, usual, ANY_NAME, st.sampled_from([None, 5]))


@st.composite
def references(draw: st.DrawFn) -> dict[str, Json]:
    """What a completion refers to."""
    kind = draw(st.sampled_from(["ref/prompt", "ref/resource", "ref/resource", "ref/tool"]))
    name = draw(st.sampled_from(NAMES if kind == "ref/prompt" else [*URIS, *TEMPLATES, *LOOSE_URIS]))
    return {"ref": {"type": kind, "name" if kind == "ref/prompt" else "uri": name}, "argument": {"name": "x", "value": "a"}}


SUBSCRIPTIONS: st.SearchStrategy[dict[str, Json]] = st.fixed_dictionaries(
    {
        "notifications": st.fixed_dictionaries(
            {},
            optional={
                "resourceSubscriptions": st.lists(st.sampled_from([*URIS, *LOOSE_URIS[:2]]), max_size=3),
                "taskIds": st.lists(st.sampled_from(TASKS), max_size=2),
                "toolsListChanged": st.booleans(),
                "other": st.booleans(),
            },
        )
    }
)


@st.composite
def params_of(draw: st.DrawFn, row: Method) -> dict[str, Json]:
    """Parameters of a message of one method."""
    params: dict[str, Json] = {}
    if row.method_class is MethodClass.COMPLETION:
        params = draw(references())
    elif row.method_class is MethodClass.LISTEN:
        params = draw(SUBSCRIPTIONS)
    elif row.target:
        params = {row.target[-1]: draw(target_names(row.target[-1]))}
    if draw(st.booleans()):
        params["arguments"] = draw(ARGUMENTS)
    if draw(st.integers(0, 4)) == 0:
        params["_meta"] = {"x/y": draw(st.sampled_from([1, 2]))}
    return {name: value for name, value in params.items() if value is not None}


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, Direction]:
    """A message of any method, mostly in a direction it has."""
    if draw(st.integers(0, 30)) == 0:
        return Message(MessageKind.RESPONSE, id=1), draw(st.sampled_from(Direction))
    if draw(st.integers(0, 15)) == 0:
        return Message(MessageKind.REQUEST, draw(st.sampled_from(UNKNOWN_METHODS)), 1), draw(st.sampled_from(Direction))
    row = METHODS[draw(st.sampled_from(_METHOD_NAMES))]
    direction = draw(st.sampled_from(sorted(row.directions)))
    if draw(st.integers(0, 20)) == 0:
        direction = draw(st.sampled_from(Direction))
    message_id = 1 if row.kind is MessageKind.REQUEST else None
    return Message(row.kind, row.name, message_id, draw(params_of(row))), direction


@st.composite
def https(draw: st.DrawFn, message: Message) -> Http:
    """Headers: facts, and now and then what mirrors the message, right or wrong."""
    headers: dict[str, Sequence[str]] = {}
    if draw(st.booleans()):
        headers["x-team"] = draw(st.sampled_from([["red"], ["blue"], ["red", "blue"]]))
    if draw(st.integers(0, 3)) == 0:
        headers["mcp-param-region"] = [draw(st.sampled_from(["eu", "us"]))]
    if draw(st.integers(0, 9)) == 0:
        headers["mcp-method"] = draw(st.sampled_from([[message.method], ["ping"], [message.method] * 2]))
    if draw(st.integers(0, 9)) == 0:
        headers["mcp-name"] = [draw(st.sampled_from(["a", "text:a", "b", "=?base64?w6k=?=", "=?base64?YQ==?=", "t1"]))]
    return Http(headers=headers)


TASK_FACTS = st.dictionaries(
    st.sampled_from(TASKS),
    st.builds(TaskFact, st.just(ISSUER), st.sampled_from(SUBJECTS), st.sampled_from(["a", "b"])),
    max_size=3,
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One question."""
    message, direction = draw(messages())
    token = draw(st.sampled_from([TokenState.VALID, TokenState.VALID, TokenState.VALID, TokenState.NONE, TokenState.INVALID]))
    return Request(
        server=draw(st.sampled_from(SERVERS)) if draw(st.integers(0, 3)) == 0 else "alpha",
        message=message,
        claims=draw(CLAIMS) if token is TokenState.VALID else {},
        token=token,
        direction=direction,
        http=draw(https(message)),
        attributes=draw(st.fixed_dictionaries({}, optional={"plan": st.sampled_from(["gold", "true", "", 5])})),
        filters_responses=draw(st.booleans()),
        time=draw(st.sampled_from([datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])),
        tasks=draw(TASK_FACTS),
    )


# ---- lists -------------------------------------------------------------------------------------------------------------

_LIST_NAMES: Mapping[str, Sequence[str]] = {
    "tools/list": NAMES,
    "prompts/list": NAMES,
    "resources/list": (*URIS, *LOOSE_URIS),
    "resources/templates/list": (*TEMPLATES, *URIS),
    "skills/list": (*URIS, *LOOSE_URIS),
    "tasks/list": TASKS,
}


@st.composite
def entries_of(draw: st.DrawFn, method: str) -> list[dict[str, Json]]:
    """What a server lists."""
    row = METHODS[method]
    found: list[dict[str, Json]] = []
    for name in draw(st.lists(st.sampled_from(_LIST_NAMES[method]), max_size=8)):
        entry: dict[str, Json] = {row.list_member: name}
        if draw(st.integers(0, 2)) == 0:
            entry["annotations"] = {"readOnlyHint": draw(st.booleans())}
        found.append(entry)
    return found


@st.composite
def list_requests(draw: st.DrawFn) -> tuple[Request, list[dict[str, Json]]]:
    """A request for a list, by a caller that filters, and the list."""
    method = draw(st.sampled_from(sorted(_LIST_NAMES)))
    request = draw(requests())
    message = Message(MessageKind.REQUEST, method, 1)
    headers = {name: values for name, values in request.http.headers.items() if name not in ("mcp-method", "mcp-name")}
    asked = Request(
        server=request.server,
        message=message,
        claims=request.claims,
        token=request.token if request.token is not TokenState.INVALID else TokenState.NONE,
        http=Http(headers=headers),
        attributes=request.attributes,
        filters_responses=True,
        time=request.time,
        tasks=request.tasks,
    )
    return asked, draw(entries_of(method))
