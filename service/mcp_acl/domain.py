"""The vocabulary: what is asked, what is answered. Read this file first.

Floor 1: values without behaviour beyond validity. One word per thing, the same in policy files, protobuf, CLI
and metrics.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from mcp_acl.problems import EvalError

_NOTHING: Final[Mapping[str, Any]] = {}

Json: TypeAlias = "bool | int | float | str | InexactNumber | Sequence[Json] | Mapping[str, Json] | None"


class InexactNumber:
    """A JSON number that parsers read differently: an integer beyond ±(2^53−1) or an exponent out of range.

    It passes as data; any use of it in a condition is an error.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def _refuse(self, *_: object) -> NoReturn:
        raise EvalError(f"number `{self.text[:40]}` is outside the range every parser reads alike")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __hash__ = __bool__ = __len__ = _refuse

    def __repr__(self) -> str:
        return f"InexactNumber({self.text[:40]!r})"


class Feature(StrEnum):
    """The groups of MCP methods a rule may name."""

    TOOLS = "tools"
    RESOURCES = "resources"
    PROMPTS = "prompts"
    TASKS = "tasks"
    SAMPLING = "sampling"
    ELICITATION = "elicitation"
    ROOTS = "roots"
    LOGGING = "logging"
    SKILLS = "skills"


class Direction(StrEnum):
    """Which way a message travels."""

    CLIENT_TO_SERVER = "client_to_server"
    SERVER_TO_CLIENT = "server_to_client"


class MessageKind(StrEnum):
    """The three JSON-RPC 2.0 message shapes, an array of messages, and an HTTP exchange that carries none."""

    REQUEST = "request"
    NOTIFICATION = "notification"
    RESPONSE = "response"
    BATCH = "batch"
    EXCHANGE = "exchange"


class Effect(StrEnum):
    """What a rule says."""

    ALLOW = "allow"
    DENY = "deny"


class Mode(StrEnum):
    """Whether a rule or a policy counts, or is only tried beside those that do."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class TokenState(StrEnum):
    """What the gateway found when it verified the caller's token. `MISSING`: none came, and one is required."""

    NONE = "none"
    MISSING = "missing"
    INVALID = "invalid"
    VALID = "valid"


class ResponseNeeds(StrEnum):
    """What must still happen to the response of an allowed message."""

    NONE = "none"
    LIST = "list"
    RESULT = "result"
    STREAM = "stream"


class Reason(StrEnum):
    """Why the engine decided as it did; stable, in logs and in the denial."""

    GRANTED = "granted"
    ALWAYS_PERMITTED = "always_permitted"
    LIST_FILTERED = "list_filtered"
    NOTHING_HIDDEN = "nothing_hidden"
    TASK_OWNER = "task_owner"
    NO_POLICY = "no_policy"
    NO_MATCHING_RULE = "no_matching_rule"
    DENIED_BY_RULE = "denied_by_rule"
    UNKNOWN_METHOD = "unknown_method"
    WRONG_DIRECTION = "wrong_direction"
    LIST_NOT_FILTERED = "list_not_filtered"
    TASK_NOT_OWNED = "task_not_owned"
    URI_NOT_CANONICAL = "uri_not_canonical"
    HEADER_MISMATCH = "header_mismatch"
    MESSAGE_REFUSED = "message_refused"
    TARGET_MISSING = "target_missing"
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - a reason, not a secret
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a reason, not a secret
    RESPONSE_REFUSED = "response_refused"
    INTERNAL_ERROR = "internal_error"
    UNAVAILABLE = "unavailable"


class Message(NamedTuple):
    """One JSON-RPC message that every parser reads the same way. `method` is `''` for what is neither request nor notification.

    `is_empty` says of a response that it brings nothing, as the answer to a ping does. `members` are the messages of a batch.
    """

    kind: MessageKind
    method: str = ""
    id: str | int | None = None
    params: Mapping[str, Json] = _NOTHING
    is_empty: bool = False
    members: "tuple[Message, ...]" = ()


class TaskFact(NamedTuple):
    """What is remembered of a task: who created it and with which tool."""

    issuer: str
    subject: str
    tool: str


class ToolFact(NamedTuple):
    """What is known of a tool whose definition was seen in a list and has not changed since."""

    annotations: Mapping[str, Json]


class ToolDefinition(NamedTuple):
    """A tool as a list brings it: its annotations, and a digest that differs if anything of the definition does."""

    digest: bytes
    annotations: Mapping[str, Json]


class Learned(NamedTuple):
    """What a response brought that outlives it: tasks it created, by id, each with its life in seconds if that was said; tools by name."""

    tasks: Mapping[str, tuple[TaskFact, float | None]] = _NOTHING
    tools: Mapping[str, ToolDefinition] = _NOTHING


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Http(NamedTuple):
    """The HTTP request the message came in. Header names are lower case, each with all its values."""

    method: str = "POST"
    path: str = ""
    headers: Mapping[str, Sequence[str]] = _NOTHING
    remote_address: str = ""


class Request(NamedTuple):
    """One question: may this principal send this message through this server.

    `attributes` are the gateway's own facts. `filters_responses` says the caller will hand list responses back to
    be filtered. `time` is when the request arrived, UTC. `tasks` holds what is known of the task ids it names, `tools` of
    the server's tools, by name: of a server whose annotations are not trusted nothing.
    """

    server: str
    message: Message
    claims: Mapping[str, Json] = _NOTHING
    token: TokenState = TokenState.NONE
    direction: Direction = Direction.CLIENT_TO_SERVER
    http: Http = Http()
    attributes: Mapping[str, Json] = _NOTHING
    session_id: str = ""
    filters_responses: bool = False
    time: datetime = _EPOCH
    tasks: Mapping[str, TaskFact] = _NOTHING
    tools: Mapping[str, ToolFact] = _NOTHING


class RuleRef(NamedTuple):
    """A rule by name and place, as it appears in decisions."""

    policy: str
    rule: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.policy}/{self.rule}"


class RuleError(NamedTuple):
    """A condition that broke, in one decision, against one rule."""

    rule: RuleRef
    message: str


class Denial(NamedTuple):
    """The ready-made answer for the client: HTTP status, headers, body bytes (empty for a notification)."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Decision(NamedTuple):
    """What the engine answers. `rules` are those that decided; `errors` the conditions that broke on the way."""

    effect: Effect
    reason: Reason
    revision: str
    rules: tuple[RuleRef, ...] = ()
    errors: tuple[RuleError, ...] = ()
    response_needs: ResponseNeeds = ResponseNeeds.NONE
    message: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the message may pass."""
        return self.effect is Effect.ALLOW
