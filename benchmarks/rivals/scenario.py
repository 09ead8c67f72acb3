"""The scenario: one server of 20 tools, five rules, 24 questions with the decision that is right, a list. Knows no engine.

* whoever is authenticated, which is whoever has a `sub`, calls `echo`, `clock` and `search`;
* members of the group `reporting` call tools whose names begin with `report_`;
* analysts call `publish` with an amount of at most 1,000 and a path below `/public/`;
* admins call tools whose names begin with `delete_`, and contractors never do;
* everything else is denied.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

SERVER: Final = "acme"
PUBLIC: Final = ("echo", "clock", "search")
REPORTS: Final = ("report_sales", "report_costs", "report_churn", "report_headcount")
DELETIONS: Final = ("delete_page", "delete_user", "delete_report")
OTHERS: Final = (
    *("create_page", "update_page", "archive_project", "rename_project", "list_projects"),
    *("refund_order", "export_orders", "invite_user", "reporting_setup"),
)
"""Tools that no rule grants; one begins almost as a report does."""
TOOLS: Final = (*PUBLIC, *REPORTS, "publish", *DELETIONS, *OTHERS)


class Question(NamedTuple):
    """May whoever has these claims call this tool with these arguments. Without a token there are no claims."""

    name: str
    claims: Mapping[str, Any]
    tool: str
    arguments: Mapping[str, Any]
    allowed: bool


LISTED: Final = tuple(f"{'report' if number % 2 == 0 else 'ledger'}_{number}" for number in range(100))
"""A list of tools of which a reporter sees every other one."""
SEEN: Final = LISTED[::2]

Ask = Callable[[Question], bool]
"""What a rival makes: the decision about one question, its data converted within."""


def _claims(subject: str, role: str, *groups: str, contractor: bool = False) -> Mapping[str, Any]:
    """A token of ordinary size."""
    return {
        "iss": "https://issuer.example",
        "sub": subject,
        "aud": ["https://gateway.example"],
        "exp": 1_800_000_000,
        "iat": 1_799_996_400,
        "azp": "agent",
        "scope": "openid mcp:tools",
        "role": role,
        "groups": ["staff", *groups],
        "tenant": "acme",
        "contractor": contractor,
    }


NOBODY: Final[Mapping[str, Any]] = {}
GUEST: Final = _claims("gus", "guest")
REPORTER: Final = _claims("rita", "editor", "reporting")
HIRED: Final = _claims("hal", "editor", "reporting", contractor=True)
ANALYST: Final = _claims("ann", "analyst", "research")
ADMIN: Final = _claims("adam", "admin", "operations")
HIRED_ADMIN: Final = _claims("hanna", "admin", "operations", contractor=True)

_PAPER: Final = {"amount": 250, "path": "/public/q3.pdf"}

QUESTIONS: Final = (
    Question("a guest echoes", GUEST, "echo", {"text": "hello"}, True),
    Question("a contractor asks for the time", HIRED, "clock", {}, True),
    Question("an admin searches", ADMIN, "search", {"query": "q3", "limit": 20}, True),
    Question("nobody echoes", NOBODY, "echo", {"text": "hello"}, False),
    Question("nobody searches", NOBODY, "search", {"query": "q3"}, False),
    Question("a reporter reads sales", REPORTER, "report_sales", {"year": 2026}, True),
    Question("a reporter who is hired reads headcount", HIRED, "report_headcount", {}, True),
    Question("an analyst is no reporter", ANALYST, "report_sales", {"year": 2026}, False),
    Question("nobody reads a report", NOBODY, "report_costs", {}, False),
    Question("a name that is almost a report's", REPORTER, "reporting_setup", {}, False),
    Question("an analyst publishes", ANALYST, "publish", _PAPER, True),
    Question("the largest amount", ANALYST, "publish", {"amount": 1000, "path": "/public/"}, True),
    Question("one more than that", ANALYST, "publish", {**_PAPER, "amount": 1001}, False),
    Question("another path", ANALYST, "publish", {**_PAPER, "path": "/private/public/q3.pdf"}, False),
    Question("no path", ANALYST, "publish", {"amount": 250}, False),
    Question("no amount", ANALYST, "publish", {"path": "/public/q3.pdf"}, False),
    Question("an amount that is a text", ANALYST, "publish", {**_PAPER, "amount": "250"}, False),
    Question("an admin is no analyst", ADMIN, "publish", _PAPER, False),
    Question("an admin deletes", ADMIN, "delete_page", {"id": 7}, True),
    Question("an admin who is hired does not", HIRED_ADMIN, "delete_user", {"id": 7}, False),
    Question("an analyst does not", ANALYST, "delete_page", {"id": 7}, False),
    Question("a reporter does not delete reports", REPORTER, "delete_report", {"id": 7}, False),
    Question("a tool of nobody's", ADMIN, "create_page", {"title": "q3"}, False),
    Question("a tool that the server does not have", ADMIN, "drop_tables", {}, False),
)
PUBLISH: Final = next(question for question in QUESTIONS if question.name == "an analyst publishes")
"""The question with most to read, which is timed by itself too."""


def wrong(ask: Ask) -> list[str]:
    """The questions to which the answer is another one."""
    return [question.name for question in QUESTIONS if ask(question) is not question.allowed]
