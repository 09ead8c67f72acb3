"""What hypothesis draws: rule sets, requests on every method, entries of lists.

The alphabets of names are small, so that rules and requests meet, and hold what is easily confused: case, spaces, NUL, line breaks,
percent triplets, Unicode forms.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from mcp_acl.domain import Direction, Http, Json, Message, MessageKind, Request, TaskFact, TokenState, ToolFact
from mcp_acl.mcp.methods import METHODS, Method, MethodClass
from mcp_acl.policy.source import SourceFile

SERVERS = ("alpha", "alpha-1", "beta", "Alpha", "")
NAMES = ("a", "b", "ab", "A", "a ", "a\0", "a\n", "b.c", "b_c", "read_x", "read_", "é", "e\u0301", "")
URIS = (
    "text:a",
    "text:b",
    "text:a%20b",
    "doc://h/a",
    "doc://h/a/b",
    "doc://h/a%2Fb",
    "doc://h/%2E",
    "doc://h/b.txt",
    "doc://h/a@b",
    "doc://h/a%40b",
    "doc://h/a:b%2Fc",
    "doc://h/a?x=b",
)
LOOSE_URIS = ("TEXT:a", "doc://h/../a", "doc://h/%61", "doc://H/a", "text:a b", "a", "", "doc://h/{x}")
TEMPLATES = ("doc://h/{x}", "doc://h/{y}", "doc://h/{x}/{y}", "text:{x}", "doc://h/{x}.txt", "doc://h/{+x}", "text:a")
TASKS = ("t1", "t2", "t3")
SUBJECTS = ("ann", "bob", "")
ISSUER = "https://id.example"
UNKNOWN_METHODS = ("events/poll", "Tools/call", "notifications/events/list_changed", "notifications/x/y/list_changed")

LITERALS = (
    "a",
    "b",
    "ab",
    "A",
    "a ",
    "b.c",
    "é",
    "text:a",
    "doc://h/a",
    "doc://h/{x}",
    "t1",
    "doc://h/a@b",
    "doc://h/a%40b",
)
REGEXES = ("a.*", "a|b", "[ab]+", "(?i)a", "text:.", "doc://h/.*", "b.c", ".*", "(?s).*", "read_[a-z]?", "[^a]")
GLOBS = ("a*", "*", "?", "b?c", "text:*", "doc://h/*", "read_*", "*a", "*{x}*", "a*b*", "doc://h/a%40*", "doc://h/a/*")
TEMPLATE_PATTERNS = ("doc://h/{x}", "doc://h/{x}/{z}", "text:{v}", "doc://h/{x}.txt", "doc://h/a:{x}")

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
    "{#mcp.annotations['readOnlyHint']}",
    "{#context.attributes['jwt.claims']['nope']?.equals('x')}",
    "{(1 / 0 == 0)}",
    "true",
)
VARIABLES = ('claims.role == "admin"', "claims.level > 3", "mcp.arguments.n == 5", 'mcp.name == "a"')

_ABSENT = object()
_METHOD_NAMES = tuple(METHODS)
_WITH_NAMES = tuple(row.name for row in METHODS.values() if row.target or row.method_class is MethodClass.LIST)

# ---- rule sets ---------------------------------------------------------------------------------------------------------

USUAL_METHODS = ("tools/call", "tools/list", "resources/read", "resources/list", "prompts/get", "resources/subscribe")
"""Rules and requests meet on these most of the time."""

PATTERNS: st.SearchStrategy[Json] = st.sampled_from(
    [
        *("a", "text:a", {"glob": "*"}, {"regex": "a|text:a|doc://h/a"}, {"template": "doc://h/{x}"}, {"glob": "a*"})
        * 6,
        *LITERALS,
        *({"literal": text} for text in LITERALS[:2]),
        *({"regex": text} for text in REGEXES),
        *({"glob": text} for text in GLOBS),
        *({"template": text} for text in TEMPLATE_PATTERNS),
    ]
)
"""One name pattern as it is written."""

PATTERN_LISTS = st.lists(PATTERNS, min_size=1, max_size=3)
METHOD_LISTS = st.lists(st.sampled_from(_METHOD_NAMES), min_size=1, max_size=4, unique=True)
NAMED_METHOD_LISTS = st.one_of(
    st.lists(st.sampled_from(USUAL_METHODS), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(_WITH_NAMES), min_size=1, max_size=4, unique=True),
)
FEATURES = st.sampled_from(["*", "*", "*", "*", "tools", "resources", "prompts", "tasks"])
CEL_TEXTS = st.sampled_from(CEL)
EL_TEXTS = st.sampled_from(EL)
COMBINATIONS = st.sampled_from(
    ["({} && {})", "({} || {})", "!({})", "({} ? {} : {})", "({} && {}) || {}", "!({}) && {}"]
)
SHAPES = st.sampled_from(
    [*["named"] * 6, *["listed"] * 3, *["nameless"] * 3, "any", "any", "star", "star", "star-named", "unknown"]
)
CONDITIONS = st.sampled_from(["none", "none", "cel", "cel", "combined", "el", "both"])
EFFECTS = st.sampled_from(["allow", "allow", "allow", "deny"])
UNKNOWNS = st.sampled_from(UNKNOWN_METHODS)
SERVER_LISTS = st.sampled_from(
    [*[None] * 6, *[["alpha"]] * 6, ["alpha-*", "beta"], ["*"], ["?eta", "alpha"], ["nowhere"]]
)
VARIABLE_TEXTS = st.sampled_from(VARIABLES)
COUNTS = st.sampled_from([0, 2, 3, 4, 5, 6])


def targets(draw: st.DrawFn) -> dict[str, Any]:
    """Methods and names of one rule, so that they belong together."""
    shape = draw(SHAPES)
    match shape:
        case "any":
            return {"feature": "*", "methods": draw(METHOD_LISTS)}
        case "unknown":
            return {"feature": "*", "methods": [draw(UNKNOWNS)]}
        case "star":
            return {"feature": draw(FEATURES), "methods": ["*"]}
        case "star-named":
            return {"feature": draw(FEATURES), "methods": ["*"], "name": draw(PATTERNS)}
        case "nameless":
            return {"methods": draw(NAMED_METHOD_LISTS)}
        case "listed":
            return {"methods": draw(NAMED_METHOD_LISTS), "name": draw(PATTERN_LISTS)}
    return {"methods": draw(NAMED_METHOD_LISTS), "name": draw(PATTERNS)}


def conditions(draw: st.DrawFn) -> dict[str, str]:
    """None, one, or one in each language."""
    kind = draw(CONDITIONS)
    found: dict[str, str] = {}
    if kind in ("cel", "both"):
        found["cel"] = draw(CEL_TEXTS)
    if kind == "combined":
        shape = draw(COMBINATIONS)
        found["cel"] = shape.format(*(f"({draw(CEL_TEXTS)})" for _ in range(shape.count("{}"))))
    if kind in ("el", "both"):
        found["condition"] = draw(EL_TEXTS)
    return found


def maybe(*values: object) -> st.SearchStrategy[Any]:
    """One of the values, or none."""
    return st.sampled_from([_ABSENT, *values])


def some(draw: st.DrawFn, choices: Mapping[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """A value for some of the keys."""
    found = {name: draw(choice) for name, choice in choices.items()}
    return {name: value for name, value in found.items() if value is not _ABSENT}


SETTINGS = {
    "trust_annotations": maybe(True, True, True, False),
    "lenient_uris": maybe(*[_ABSENT] * 6, True, False),
    "wrappers": maybe(
        *[_ABSENT] * 4,
        [{"tool": "a", "argument": "inner"}],
        [{"tool": "a", "argument": "inner", "arguments": "with"}, {"tool": "b", "argument": "inner"}],
    ),
}


@st.composite
def policy_sets(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The files of one directory."""
    files: list[dict[str, Any]] = []
    for file in range(draw(st.sampled_from([1, 2, 3]))):
        policy: dict[str, Any] = {"version": 1, "policy": f"p{file}", "variables": {"v0": draw(VARIABLE_TEXTS)}}
        said = some(draw, SETTINGS)
        if said:
            policy["settings"] = said
        servers = draw(SERVER_LISTS)
        if servers is not None:
            policy["servers"] = servers
        policy["rules"] = [
            {"id": f"r{number}", "effect": draw(EFFECTS), **targets(draw), **conditions(draw)}
            for number in range(draw(COUNTS))
        ]
        files.append(policy)
    return files


def source_files(written: Sequence[Mapping[str, Any]]) -> tuple[SourceFile, ...]:
    """Files of policies. JSON is YAML."""
    return tuple(SourceFile(f"{one['policy']}.yaml", json.dumps(one).encode()) for one in written)


# ---- requests ----------------------------------------------------------------------------------------------------------

CLAIMS = {
    "sub": maybe(*["ann"] * 8, *SUBJECTS),
    "iss": maybe(*[ISSUER] * 8, "https://other.example"),
    "role": maybe("admin", "admin", "guest", "a", 5, None),
    "level": maybe(0, 1, 5, "5", None),
}
ARGUMENTS = maybe(
    {},
    {"n": 5},
    {"n": 5},
    *({"inner": inner, "n": 5, "with": {"n": 5, "inner": "ab", "with": {}}} for inner in ("a", "b", "ab", 5)),
    {"n": 50},
    {"n": "5"},
    {"n": 5, "list": [5]},
    {"list": [1, 9]},
    {"list": 1},
    None,
    5,
)
ANSWERS = maybe(*[_ABSENT] * 15, {}, {"a": {}})
META = maybe(*[_ABSENT] * 4, {"x/y": 1}, {"x/y": 2})
USUAL_NAMES = {"name": ("a", "a", "b"), "uri": ("text:a", "doc://h/a"), "taskId": ("t1", "t2")}
USUAL: Mapping[str, st.SearchStrategy[Any]] = {
    member: st.sampled_from(
        [*USUAL_NAMES[member] * 30, *usual * 4, *NAMES, *URIS, *LOOSE_URIS, *TEMPLATES, *TASKS, 5, None, _ABSENT]
    )
    for member, usual in (("name", NAMES), ("uri", URIS), ("taskId", TASKS))
}
REFERENCES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({"ref": {"type": "ref/prompt", "name": name}} for name in (*["a"] * 20, *NAMES, 5)),
        *[{"ref": {"type": "ref/resource", "uri": "doc://h/{y}"}}] * 10,
        *[{"ref": {"type": "ref/resource", "uri": "text:a"}}] * 10,
        *({"ref": {"type": "ref/resource", "uri": uri}} for uri in (*URIS, *TEMPLATES, *LOOSE_URIS)),
        {"ref": {"type": "ref/tool", "name": "a"}},
        {"ref": "a"},
        {},
    ]
)
SUBSCRIPTIONS = {
    "resourceSubscriptions": maybe(
        [], *[["text:a"], ["text:a", "doc://h/a"], ["doc://h/a", "doc://h/a"]] * 4, ["TEXT:a"], [5], "text:a"
    ),
    "taskIds": maybe(*[_ABSENT] * 20, [], *[["t1"]] * 3, ["t1", "t2"], ["t3", 5]),
    "toolsListChanged": maybe(*[True] * 9, False, 1),
    "other": maybe(*[_ABSENT] * 30, True),
}
TOKENS = st.sampled_from([*[TokenState.VALID] * 30, *[TokenState.NONE] * 5, TokenState.INVALID, TokenState.MISSING])
KINDS = st.sampled_from([*["known"] * 30, "unknown", "unknown", "response"])
CALLED = (
    "tools/call",
    "tools/call",
    "resources/read",
    "prompts/get",
    "completion/complete",
    "subscriptions/listen",
    "tasks/get",
)
METHOD_NAMES = st.sampled_from([*_METHOD_NAMES, *CALLED * 12])
DIRECTIONS = st.sampled_from(list(Direction))
USUALLY = st.sampled_from([*[True] * 19, False])
TEAMS = maybe(["red"], ["blue"], ["red", "blue"])
REGIONS = maybe(_ABSENT, _ABSENT, ["eu"], ["us"])
MIRRORED = maybe(
    *[_ABSENT] * 300,
    *["right"] * 20,
    "right",
    "right",
    "twice",
    ["ping"],
    ["a"],
    ["=?base64?w6k=?="],
    ["=?base64?YQ==?="],
    [""],
)
PLANS = maybe("gold", "true", "", 5)
SERVER_IDS = st.sampled_from([*["alpha"] * 40, *SERVERS])
TIMES = st.sampled_from([datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])
TASK_FACTS = maybe(
    *[TaskFact(ISSUER, "ann", "a")] * 8,
    *(TaskFact(ISSUER, subject, tool) for subject in SUBJECTS for tool in ("a", "b")),
)
TASK_CHOICES = dict.fromkeys(TASKS, TASK_FACTS)
TOOL_FACTS = maybe(ToolFact({}), ToolFact({"readOnlyHint": True}), ToolFact({"readOnlyHint": 1}))
TOOL_CHOICES = dict.fromkeys(("a", "b", "ab"), TOOL_FACTS)


def params_of(draw: st.DrawFn, row: Method) -> dict[str, Json]:
    """Parameters of a message of one method."""
    params: dict[str, Any] = {}
    if row.method_class is MethodClass.COMPLETION:
        params = dict(draw(REFERENCES))
    elif row.method_class is MethodClass.LISTEN:
        params = {"notifications": some(draw, SUBSCRIPTIONS)} if draw(USUALLY) else {}
    elif row.target:
        params = some(draw, {row.target[-1]: USUAL[row.target[-1]]})
    return {**params, **some(draw, {"arguments": ARGUMENTS, "_meta": META, "inputResponses": ANSWERS})}


def message_of(draw: st.DrawFn) -> tuple[Message, Direction]:
    """A message of any method, mostly in a direction it has."""
    match draw(KINDS):
        case "response":
            return Message(MessageKind.RESPONSE, id=1, is_empty=draw(st.booleans())), draw(DIRECTIONS)
        case "unknown":
            return Message(MessageKind.REQUEST, draw(UNKNOWNS), 1), draw(DIRECTIONS)
    row = METHODS[draw(METHOD_NAMES)]
    usual = Direction.CLIENT_TO_SERVER if Direction.CLIENT_TO_SERVER in row.directions else Direction.SERVER_TO_CLIENT
    direction = usual if draw(USUALLY) else draw(DIRECTIONS)
    return Message(row.kind, row.name, 1 if row.kind is MessageKind.REQUEST else None, params_of(draw, row)), direction


def http_of(draw: st.DrawFn, message: Message) -> Http:
    """Headers: facts, and now and then what mirrors the message, right or wrong."""
    headers: dict[str, Any] = some(draw, {"x-team": TEAMS, "mcp-param-region": REGIONS})
    row = METHODS.get(message.method)
    target = message.params.get(row.target[-1]) if row and row.target else None
    for header, right in (("mcp-method", message.method), ("mcp-name", target)):
        given = draw(MIRRORED)
        if given in ("right", "twice"):
            headers[header] = [str(right)] * (1 if given == "right" else 2)
        elif given is not _ABSENT:
            headers[header] = given
    return Http(headers=headers)


def request_of(draw: st.DrawFn, message: Message, direction: Direction, http: Http) -> Request:
    """What a message is asked with."""
    token = draw(TOKENS)
    return Request(
        server=draw(SERVER_IDS),
        message=message,
        claims=some(draw, CLAIMS) if token is TokenState.VALID else {},
        token=token,
        direction=direction,
        http=http,
        attributes=some(draw, {"plan": PLANS}),
        filters_responses=draw(USUALLY),
        time=draw(TIMES),
        tasks=some(draw, TASK_CHOICES),
        tools=some(draw, TOOL_CHOICES),
    )


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One question."""
    message, direction = message_of(draw)
    return request_of(draw, message, direction, http_of(draw, message))


# ---- lists -------------------------------------------------------------------------------------------------------------

_LIST_NAMES: Mapping[str, Sequence[str]] = {
    "tools/list": NAMES,
    "prompts/list": NAMES,
    "resources/list": (*URIS, *LOOSE_URIS),
    "resources/templates/list": (*TEMPLATES, *URIS),
    "skills/list": (*URIS, *LOOSE_URIS),
    "tasks/list": TASKS,
}
LIST_METHODS = st.sampled_from([*sorted(_LIST_NAMES), "tools/list", "tools/list", "resources/list"])
USUALLY_LISTED = ("a", "b", "text:a", "doc://h/a", "doc://h/{y}", "t1")
ENTRY_NAMES = {
    method: st.lists(st.sampled_from([*names, *[name for name in names if name in USUALLY_LISTED] * 4]), max_size=6)
    for method, names in _LIST_NAMES.items()
}
ANNOTATIONS = maybe(_ABSENT, {"readOnlyHint": True}, {"readOnlyHint": False}, {"readOnlyHint": 1}, 5)


@st.composite
def lists(draw: st.DrawFn) -> tuple[Request, list[dict[str, Json]]]:
    """A request for a list, and the list."""
    method = draw(LIST_METHODS)
    http = Http(headers=some(draw, {"x-team": TEAMS, "mcp-param-region": REGIONS}))
    request = request_of(draw, Message(MessageKind.REQUEST, method, 1), Direction.CLIENT_TO_SERVER, http)
    member = METHODS[method].list_member
    entries = [{member: name, **some(draw, {"annotations": ANNOTATIONS})} for name in draw(ENTRY_NAMES[method])]
    return request, entries
