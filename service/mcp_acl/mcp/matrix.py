"""The method table as a page for people. Knows the table alone."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from mcp_acl.mcp.exchanges import EXCHANGES, Exchange
from mcp_acl.mcp.methods import LIST_CHANGED, METHODS, REVISIONS, UI_EXTENSION, Method, MethodClass

_CLASSES: Final[Mapping[MethodClass, str]] = {
    MethodClass.ALWAYS: "permitted unless a deny rule spells the method out",
    MethodClass.LIST: "permitted; the entries of the result are filtered",
    MethodClass.TARGET: "needs a grant for the method and the target's name",
    MethodClass.PLAIN: "needs a grant for the method, with no name pattern",
    MethodClass.COMPLETION: "as `prompts/get` or `resources/read` of what `params.ref` names",
    MethodClass.LISTEN: "as `resources/subscribe` of every URI and `tasks/get` of every task it names",
    MethodClass.TASK: "for the owner of the task, while the tool that created it may still be called",
}

_NOTES: Final = (
    "A method is known if any revision or extension has it, whatever version the client states.",
    "In 2026-07-28 `sampling/createMessage`, `elicitation/create` and `roots/list` travel inside a result's `inputRequests`.",
    f"The extension `{UI_EXTENSION}` (MCP Apps) adds no method: its calls are ordinary `tools/call` and `resources/read`.",
    'Any other method is denied, unless a rule with `feature: "*"` spells its full name.',
)

_CLIENT_RESPONSES: Final = (
    "* A client's response comes in an HTTP exchange of its own, so nobody knows what it answers: it passes if the server may ask this "
    "client for sampling, elicitation or roots, or if it is empty, as the answer to a ping is. `inputResponses` in a request, likewise."
)
_SERVER_RESPONSES: Final = (
    "* A server's response is filtered by its shape, whatever it answers. Values of a completion do not say what they complete: repeated on "
    "a stream, or beside another answer, they are withheld where a rule keeps some resource from being read."
)
_EXCHANGES_HEAD: Final = ("HTTP", "Path", "", "Token", "What comes back")
_HEAD: Final = ("Method", "Kind", "From client", "From server", "Class", "Feature", "Target", "Decided as", "List", "")
_NO_SCENARIOS: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


def render_matrix(scenarios: Mapping[str, Sequence[str]] = _NO_SCENARIOS) -> str:
    """Markdown. `scenarios` maps a method to the names of the scenarios that show it; a column appears if there are any."""
    head = (*_HEAD, "Scenarios") if scenarios else _HEAD
    lines = [
        "# Methods",
        "",
        "Written by `render_matrix` from the method table; a test compares.",
        "",
        *_table(("Class", "How it is decided"), [(f"`{name}`", text) for name, text in _CLASSES.items()]),
        "",
        *_table(head, [_cells(row, scenarios) for row in (*METHODS.values(), LIST_CHANGED)]),
        "",
        *(f"* {note}" for note in _NOTES),
        "",
        "## Exchanges without a message",
        "",
        "An HTTP request with an empty body. On a server that some policy governs these pass, and nothing else does. A message comes by POST.",
        "",
        *_table(
            (*_EXCHANGES_HEAD, "Scenarios") if scenarios else _EXCHANGES_HEAD,
            [_exchange_cells(row, scenarios) for row in EXCHANGES],
        ),
        "",
        "* A caller that cannot filter may not have a stream repeated (`Last-Event-ID`), unless nothing would be hidden in any list.",
        "* `Last-Event-ID` on anything but a GET or a request is refused. With it, or with `Mcp-Session-Id`, nothing is asked that everybody may ask.",
        "",
        "## Responses",
        "",
        _SERVER_RESPONSES,
        _CLIENT_RESPONSES,
    ]
    return "\n".join(lines) + "\n"


def _what_comes_back(row: Exchange) -> str:
    if row.brings_messages:
        return "is filtered by its shape"
    return "is left as it is, if it is no event stream"


def _exchange_cells(row: Exchange, scenarios: Mapping[str, Sequence[str]]) -> Sequence[str]:
    cells = [
        f"`{row.method}`",
        "`/.well-known/…`" if row.path else "any",
        row.doc,
        "any, without a session" if row.is_open else "not an invalid one",
        _what_comes_back(row),
    ]
    return [*cells, ", ".join(scenarios.get(row.name, ()))] if scenarios else cells


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(row: Method, scenarios: Mapping[str, Sequence[str]]) -> Sequence[str]:
    cells = [
        f"`{row.name}`",
        row.kind,
        _origins(row.from_client),
        _origins(row.from_server),
        row.method_class,
        row.feature or "",
        _code(".".join(("params", *row.target)) if row.target else ""),
        _code(row.decided_as if row.decided_as != row.name else ""),
        _code(f"{row.list_key}[].{row.list_member}" if row.result_list else ""),
        row.doc,
    ]
    return [*cells, ", ".join(scenarios.get(row.name, ()))] if scenarios else cells


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _origins(origins: Sequence[str]) -> str:
    """A run of revisions as first to last, extensions by the last part of their name."""
    revisions = [origin for origin in origins if origin in REVISIONS]
    extensions = [f"{origin.rpartition('/')[2]} extension" for origin in origins if origin not in REVISIONS]
    span = " to ".join(dict.fromkeys((revisions[0], revisions[-1]))) if revisions else ""
    return ", ".join([span, *extensions] if span else extensions)
