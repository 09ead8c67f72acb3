"""The options of a question, shared by the subcommands that decide: from the command line to the gate.

`asking` gives a subcommand these options beside its own.
"""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple

import typer

from mcp_acl.cli.exits import InputError
from mcp_acl.cli.inputs import Policies, bytes_of, facts_of, object_of, pairs_of, text_of, time_of
from mcp_acl.cli.refusals import reading
from mcp_acl.domain import Direction, Http, Json, TaskFact, TokenState
from mcp_acl.runtime.gate import Gate, Question
from mcp_acl.runtime.memory import Given
from mcp_acl.runtime.store import load_policies


class Asked(NamedTuple):
    """What was asked, as it was typed."""

    policies: Policies
    server: Annotated[str, typer.Option(metavar="ID", help="The MCP server, by the id the gateway gives it.")]
    claims: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE", help="Verified token claims. Without them the principal is anonymous."),
    ] = None
    message: Annotated[str | None, typer.Option(metavar="JSON|@FILE", help="One JSON-RPC message, byte for byte.")] = (
        None
    )
    header: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An HTTP header; may be repeated.")] = None
    attribute: Annotated[
        list[str] | None, typer.Option(metavar="K=JSON", help="A fact the gateway knows; may be repeated.")
    ] = None
    filters_responses: Annotated[
        bool, typer.Option(help="Whether responses will be filtered; without, a list that needs it is denied.")
    ] = True
    token: Annotated[
        TokenState | None, typer.Option(help="Left out: valid if there are claims, else none.", show_default=False)
    ] = None
    direction: Annotated[Direction, typer.Option(help="Which way the message travels.")] = Direction.CLIENT_TO_SERVER
    http_method: Annotated[str, typer.Option(help="The HTTP method.")] = "POST"
    path: Annotated[str, typer.Option(help="The HTTP path.")] = ""
    remote_address: Annotated[str, typer.Option(help="The caller's address.")] = ""
    session_id: Annotated[str, typer.Option(metavar="ID", help="The MCP session.")] = ""
    time: Annotated[str | None, typer.Option(metavar="RFC3339", help="When the message arrived. Left out: now.")] = None
    task: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=JSON", help="A task: its issuer, subject and tool; may be repeated."),
    ] = None

    def gate(self) -> Gate:
        """The gate to ask. Raises RefusedError, InputError."""
        tasks = {name: _task(value) for name, value in facts_of("--task", self.task or ()).items()}
        with reading(self.policies):
            return Gate(load_policies(self.policies), memory=Given(tasks))

    def question(self, message: bytes | None = None) -> Question:
        """What to ask it. `message` is used where none was typed. Raises InputError."""
        if self.message is not None:
            message = bytes_of("--message", self.message)
        if message is None:
            raise InputError("--message: it is missing; give one JSON-RPC message")
        claims, token = self._principal()
        return Question(
            text_of("--server", self.server),
            message,
            claims,
            token,
            self.direction,
            self._http(),
            facts_of("--attribute", self.attribute or ()),
            text_of("--session-id", self.session_id),
            self.filters_responses,
            None if self.time is None else time_of("--time", self.time),
        )

    def _principal(self) -> tuple[dict[str, Json], TokenState]:
        if self.claims is None:
            return {}, self.token or TokenState.NONE
        claims = object_of("--claims", self.claims)
        token = self.token or TokenState.VALID
        if token in (TokenState.NONE, TokenState.MISSING):
            raise InputError("--token: there are claims, so there was a token")
        return claims, token

    def _http(self) -> Http:
        headers: dict[str, list[str]] = {}
        for name, value in pairs_of("--header", self.header or ()):
            headers.setdefault(name.lower(), []).append(value)
        address = text_of("--remote-address", self.remote_address)
        return Http(text_of("--http-method", self.http_method), text_of("--path", self.path), headers, address)


_TASK_MEMBERS: Final = frozenset(TaskFact._fields)


def _task(members: Json) -> TaskFact:
    if (
        not isinstance(members, dict)
        or members.keys() != _TASK_MEMBERS
        or not all(isinstance(value, str) for value in members.values())
    ):
        raise InputError('--task: write `ID={"issuer": "…", "subject": "…", "tool": "…"}`')
    return TaskFact(**{name: str(value) for name, value in members.items()})


def asking(run: Callable[..., None]) -> Callable[..., None]:
    """A subcommand with the options of a question, then its own: its first parameter is what was asked."""
    own = list(inspect.signature(run, eval_str=True).parameters.values())[1:]
    shared = inspect.signature(Asked, eval_str=True).parameters.values()

    def command(**given: Any) -> None:
        asked = Asked(**{name: given.pop(name) for name in Asked._fields})
        run(asked, **given)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*shared, *own)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = run.__doc__
    return command
