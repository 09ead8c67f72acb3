"""`mcp-acl filter`: what of a response this principal may see."""

from typing import Annotated

import msgspec
import typer

from mcp_acl.cli.asking import Asked, asking
from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import AsJson, bytes_of, text_of
from mcp_acl.cli.printing import Record, print_record
from mcp_acl.cli.records import error_records
from mcp_acl.domain import Denial
from mcp_acl.engine.response import Filtered
from mcp_acl.runtime.gate import Answer, Gate


@asking
def command(
    asked: Asked,
    response: Annotated[str, typer.Option(metavar="JSON|@FILE", help="The server's response, byte for byte.")],
    method: Annotated[
        str | None, typer.Option(help="The request it answers, by its method; or give --message.", show_default=False)
    ] = None,
    content_type: Annotated[str, typer.Option(help="The response's content type.")] = "application/json",
    as_json: AsJson = False,
) -> None:
    """Print the body that would be sent to the client.

    That is the response filtered; or, which ends with 1, the denial of the request or the error in place of a response withheld.
    """
    if method is not None and asked.message is not None:
        raise InputError("--method: there is a --message already")
    request = {"jsonrpc": "2.0", "id": 1, "method": text_of("--method", method or "tools/list")}
    body = bytes_of("--response", response)
    content_type = text_of("--content-type", content_type)
    gate = asked.gate()
    answer = gate.check(asked.question(msgspec.json.encode(request)))
    sent = _denied(answer, answer.denial) if answer.denial else _filtered(gate, answer, content_type, body)
    if as_json:
        print_record(_record(sent, counted=bool(answer.context)))
    else:
        typer.echo(sent.body, nl=False)
    passed = answer.decision.allowed and not sent.refused
    raise typer.Exit(Exit.FINE if passed else Exit.DENIED)


def _denied(answer: Answer, denial: Denial) -> Filtered:
    content_type = dict(denial.headers).get("content-type", "")
    return Filtered(content_type, denial.body, refused=answer.decision.reason, errors=answer.decision.errors)


def _filtered(gate: Gate, answer: Answer, content_type: str, body: bytes) -> Filtered:
    """A response that needs nothing passes as it is, unread."""
    return gate.filter(answer.context, content_type, body).filtered if answer.context else Filtered(content_type, body)


def _record(sent: Filtered, *, counted: bool) -> Record:
    return {
        "body": sent.body.decode(errors="replace"),
        "content_type": sent.content_type,
        "shown": sent.shown if counted else None,
        "hidden": sent.hidden,
        "dropped": sent.dropped,
        "refused": sent.refused,
        "errors": error_records(sent.errors),
    }
