"""A small policy set, and questions to it."""

from mcp_acl.domain import Json, Message, MessageKind, Request, TaskFact, TokenState
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile

POLICY = """
version: 1
policy: weather
servers: [weather]
settings: {trust_annotations: true}
rules:
  - id: see-shared-tools
    methods: [tools/list, tools/call]
    name: {glob: "shared_*"}
  - id: admins-see-all-tools
    methods: [tools/list]
    cel: 'claims.role == "admin"'
  - id: read-only-tools
    methods: [tools/list]
    cel: 'mcp.annotations.readOnlyHint && mcp.name != "secret"'
  - id: no-drafts
    effect: deny
    methods: [tools/list, tools/call]
    name: {glob: "*_draft"}
    cel: 'claims.drafts == false'
    message: drafts are not finished
  - id: read-public
    methods: [resources/read, resources/list]
    name: {glob: "report://public/*"}
  - id: read-templates
    methods: [resources/read, resources/templates/list]
    name: {template: "report://{year}/{name}"}
    cel: '!has(claims.banned)'
  - id: log-and-sample
    methods: [notifications/message, sampling/createMessage]
"""


def policies(text: str = POLICY) -> PolicySet:
    return compile_policies([SourceFile("weather.yaml", text.encode())])


def request(method: str, claims: dict[str, Json] | None = None, server: str = "weather", **params: Json) -> Request:
    return Request(
        server,
        Message(MessageKind.REQUEST, method, 7, params),
        claims or {},
        TokenState.VALID if claims else TokenState.NONE,
        filters_responses=True,
        tasks={"t1": TaskFact("https://idp", "ann", "shared_add")},
    )
