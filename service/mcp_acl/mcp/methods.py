"""The method table: every JSON-RPC method of every MCP revision and listed extension, one row each.

Knows no policy. What a message acts on, how it is decided and what its result lists is read from the rows; nothing else in
the package repeats it. Sources: the five published schemas of the Model Context Protocol, SEP-2663 (tasks) and SEP-2640
(skills). MCP Apps (`io.modelcontextprotocol/ui`) adds no method.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from mcp_acl.domain import Direction, Feature, MessageKind

REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
TASKS_EXTENSION: Final = "io.modelcontextprotocol/tasks"
SKILLS_EXTENSION: Final = "io.modelcontextprotocol/skills"
UI_EXTENSION: Final = "io.modelcontextprotocol/ui"


class MethodClass(StrEnum):
    """How a method is decided."""

    ALWAYS = "always"
    LIST = "list"
    TARGET = "target"
    PLAIN = "plain"
    COMPLETION = "completion"
    LISTEN = "listen"
    TASK = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One row.

    `from_client` and `from_server` hold the revisions and extensions in which that side may send it. `target` is the path in
    `params` of the member that names what is acted on. `decided_as` is the method whose rules decide, mostly its own.
    `list_key` is the member of the result that holds a list of targets, `list_member` what identifies an entry of it.
    """

    name: str
    kind: MessageKind
    method_class: MethodClass
    doc: str
    feature: Feature | None = None
    from_client: tuple[str, ...] = ()
    from_server: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    target_is_uri: bool = False
    decided_as: str = ""
    list_key: str = ""
    list_member: str = ""
    directions: frozenset[Direction] = field(init=False)

    def __post_init__(self) -> None:
        senders = {Direction.CLIENT_TO_SERVER: self.from_client, Direction.SERVER_TO_CLIENT: self.from_server}
        object.__setattr__(self, "directions", frozenset(side for side, origins in senders.items() if origins))
        object.__setattr__(self, "decided_as", self.decided_as or self.name)

    @property
    def result_list(self) -> bool:
        """Whether the result holds a list of targets."""
        return self.list_key != ""


_ALL: Final = REVISIONS
_LEGACY: Final = REVISIONS[:4]
_ELICITING: Final = REVISIONS[2:4]
_LAST_LEGACY: Final = REVISIONS[3:4]
_MODERN: Final = REVISIONS[4:]
_TASKS: Final = (TASKS_EXTENSION,)
_SKILLS: Final = (SKILLS_EXTENSION,)

_REQUEST: Final = MessageKind.REQUEST
_NOTE: Final = MessageKind.NOTIFICATION
_ALWAYS: Final = MethodClass.ALWAYS
_LIST: Final = MethodClass.LIST
_TARGET: Final = MethodClass.TARGET
_PLAIN: Final = MethodClass.PLAIN
_TASK: Final = MethodClass.TASK
_NAME: Final = ("name",)
_URI: Final = ("uri",)
_TASK_ID: Final = ("taskId",)

_ROWS: Final = (
    Method(
        name="initialize", kind=_REQUEST, method_class=_ALWAYS, from_client=_LEGACY,
        doc="opens a session and negotiates the revision",
    ),
    Method(
        name="notifications/initialized", kind=_NOTE, method_class=_ALWAYS, from_client=_LEGACY,
        doc="the client is ready",
    ),
    Method(
        name="server/discover", kind=_REQUEST, method_class=_ALWAYS, from_client=_MODERN,
        doc="asks for the server's revisions and capabilities",
    ),
    Method(
        name="ping", kind=_REQUEST, method_class=_ALWAYS, from_client=_LEGACY, from_server=_LEGACY,
        doc="asks whether the other side is alive",
    ),
    Method(
        name="notifications/cancelled", kind=_NOTE, method_class=_ALWAYS, from_client=_ALL, from_server=_ALL,
        doc="a request is no longer wanted",
    ),
    Method(
        name="notifications/progress", kind=_NOTE, method_class=_ALWAYS, from_client=_LEGACY, from_server=_ALL,
        doc="how far a request has come",
    ),
    Method(
        name="tools/list", kind=_REQUEST, method_class=_LIST, feature=Feature.TOOLS, from_client=_ALL,
        list_key="tools", list_member="name", doc="lists tools",
    ),
    Method(
        name="tools/call", kind=_REQUEST, method_class=_TARGET, feature=Feature.TOOLS, from_client=_ALL,
        target=_NAME, doc="calls a tool",
    ),
    Method(
        name="notifications/tools/list_changed", kind=_NOTE, method_class=_ALWAYS, feature=Feature.TOOLS,
        from_server=_ALL, doc="the list of tools has changed",
    ),
    Method(
        name="resources/list", kind=_REQUEST, method_class=_LIST, feature=Feature.RESOURCES, from_client=_ALL,
        target_is_uri=True, list_key="resources", list_member="uri", doc="lists resources",
    ),
    Method(
        name="resources/templates/list", kind=_REQUEST, method_class=_LIST, feature=Feature.RESOURCES,
        from_client=_ALL, target_is_uri=True, list_key="resourceTemplates", list_member="uriTemplate",
        doc="lists resource templates",
    ),
    Method(
        name="resources/read", kind=_REQUEST, method_class=_TARGET, feature=Feature.RESOURCES, from_client=_ALL,
        target=_URI, target_is_uri=True, doc="reads a resource",
    ),
    Method(
        name="resources/subscribe", kind=_REQUEST, method_class=_TARGET, feature=Feature.RESOURCES,
        from_client=_LEGACY, target=_URI, target_is_uri=True, doc="asks to be told when a resource changes",
    ),
    Method(
        name="resources/unsubscribe", kind=_REQUEST, method_class=_TARGET, feature=Feature.RESOURCES,
        from_client=_LEGACY, target=_URI, target_is_uri=True, decided_as="resources/subscribe",
        doc="ends a subscription",
    ),
    Method(
        name="resources/directory/read", kind=_REQUEST, method_class=_TARGET, feature=Feature.RESOURCES,
        from_client=_SKILLS, target=_URI, target_is_uri=True, list_key="resources", list_member="uri",
        doc="lists what a directory resource holds",
    ),
    Method(
        name="notifications/resources/updated", kind=_NOTE, method_class=_TARGET, feature=Feature.RESOURCES,
        from_server=_ALL, target=_URI, target_is_uri=True, decided_as="resources/read", doc="a resource has changed",
    ),
    Method(
        name="notifications/resources/list_changed", kind=_NOTE, method_class=_ALWAYS, feature=Feature.RESOURCES,
        from_server=_ALL, doc="the list of resources has changed",
    ),
    Method(
        name="prompts/list", kind=_REQUEST, method_class=_LIST, feature=Feature.PROMPTS, from_client=_ALL,
        list_key="prompts", list_member="name", doc="lists prompts",
    ),
    Method(
        name="prompts/get", kind=_REQUEST, method_class=_TARGET, feature=Feature.PROMPTS, from_client=_ALL,
        target=_NAME, doc="gets a prompt",
    ),
    Method(
        name="notifications/prompts/list_changed", kind=_NOTE, method_class=_ALWAYS, feature=Feature.PROMPTS,
        from_server=_ALL, doc="the list of prompts has changed",
    ),
    Method(
        name="completion/complete", kind=_REQUEST, method_class=MethodClass.COMPLETION, from_client=_ALL,
        doc="asks for values of an argument of a prompt or resource template",
    ),
    Method(
        name="subscriptions/listen", kind=_REQUEST, method_class=MethodClass.LISTEN, from_client=_MODERN,
        doc="opens a stream of notifications on lists, resources and tasks",
    ),
    Method(
        name="notifications/subscriptions/acknowledged", kind=_NOTE, method_class=MethodClass.LISTEN,
        from_server=_MODERN, doc="what the server will notify of",
    ),
    Method(
        name="logging/setLevel", kind=_REQUEST, method_class=_PLAIN, feature=Feature.LOGGING, from_client=_LEGACY,
        doc="sets the least severe level of log messages",
    ),
    Method(
        name="notifications/message", kind=_NOTE, method_class=_PLAIN, feature=Feature.LOGGING, from_server=_ALL,
        doc="a log message",
    ),
    Method(
        name="sampling/createMessage", kind=_REQUEST, method_class=_PLAIN, feature=Feature.SAMPLING,
        from_server=_LEGACY, doc="asks the client's model for a message",
    ),
    Method(
        name="elicitation/create", kind=_REQUEST, method_class=_PLAIN, feature=Feature.ELICITATION,
        from_server=_ELICITING, doc="asks the user for input",
    ),
    Method(
        name="notifications/elicitation/complete", kind=_NOTE, method_class=_PLAIN, feature=Feature.ELICITATION,
        from_server=_LAST_LEGACY, doc="the user has finished at a URL",
    ),
    Method(
        name="roots/list", kind=_REQUEST, method_class=_PLAIN, feature=Feature.ROOTS, from_server=_LEGACY,
        doc="asks for the client's directories",
    ),
    Method(
        name="notifications/roots/list_changed", kind=_NOTE, method_class=_ALWAYS, feature=Feature.ROOTS,
        from_client=_LEGACY, doc="the list of the client's directories has changed",
    ),
    Method(
        name="tasks/list", kind=_REQUEST, method_class=_LIST, feature=Feature.TASKS, from_client=_LAST_LEGACY,
        from_server=_LAST_LEGACY, list_key="tasks", list_member="taskId", doc="lists tasks",
    ),
    Method(
        name="tasks/get", kind=_REQUEST, method_class=_TASK, feature=Feature.TASKS,
        from_client=_LAST_LEGACY + _TASKS, from_server=_LAST_LEGACY, target=_TASK_ID, doc="asks how a task stands",
    ),
    Method(
        name="tasks/result", kind=_REQUEST, method_class=_TASK, feature=Feature.TASKS, from_client=_LAST_LEGACY,
        from_server=_LAST_LEGACY, target=_TASK_ID, doc="waits for a task's result",
    ),
    Method(
        name="tasks/cancel", kind=_REQUEST, method_class=_TASK, feature=Feature.TASKS,
        from_client=_LAST_LEGACY + _TASKS, from_server=_LAST_LEGACY, target=_TASK_ID, doc="cancels a task",
    ),
    Method(
        name="tasks/update", kind=_REQUEST, method_class=_TASK, feature=Feature.TASKS, from_client=_TASKS,
        target=_TASK_ID, doc="gives a task the input it asked for",
    ),
    Method(
        name="notifications/tasks/status", kind=_NOTE, method_class=_TASK, feature=Feature.TASKS,
        from_client=_LAST_LEGACY, from_server=_LAST_LEGACY, target=_TASK_ID, doc="how a task stands",
    ),
    Method(
        name="notifications/tasks", kind=_NOTE, method_class=_TASK, feature=Feature.TASKS, from_server=_TASKS,
        target=_TASK_ID, doc="how a task stands, its result included",
    ),
    Method(
        name="skills/list", kind=_REQUEST, method_class=_LIST, feature=Feature.SKILLS, from_client=_SKILLS,
        target_is_uri=True, list_key="skills", list_member="uri", doc="lists skills",
    ),
    Method(
        name="skills/get", kind=_REQUEST, method_class=_TARGET, feature=Feature.SKILLS, from_client=_SKILLS,
        target=_URI, target_is_uri=True, doc="gets the entry of one skill",
    ),
)  # fmt: skip

METHODS: Final[Mapping[str, Method]] = MappingProxyType({row.name: row for row in _ROWS})

LIST_CHANGED: Final = Method(
    name="notifications/*/list_changed",
    kind=_NOTE,
    method_class=_ALWAYS,
    from_client=_ALL,
    from_server=_ALL,
    doc="a list of some other kind has changed",
)
"""Stands for every `notifications/<one segment>/list_changed` that has no row of its own."""

_LIST_CHANGED_NAME: Final = re.compile(r"notifications/[A-Za-z0-9_.-]+/list_changed")


def method_named(name: str) -> Method | None:
    """The row of a method, compared exactly, or None if no revision and no listed extension knows it."""
    row = METHODS.get(name)
    if row is None and _LIST_CHANGED_NAME.fullmatch(name):
        return replace(LIST_CHANGED, name=name, decided_as=name)
    return row


def methods_of(feature: Feature) -> Mapping[str, Method]:
    """The rows of one feature, by name."""
    return {row.name: row for row in _ROWS if row.feature is feature}
