"""`mcp-acl filter`: what of a response this principal may see."""

from typing import Annotated

import msgspec
import typer

from mcp_acl.cli.asking import Asked, asking
from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import AsJson, bytes_of, text_of
from mcp_acl.cli.printing import Record, print_lines, print_record, printable
from mcp_acl.cli.records import error_records
from mcp_acl.domain import Denial
from mcp_acl.engine.response import Filtered
from mcp_acl.engine.shadow import Shadow
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
    shadow: Shadow | None = None
    if answer.denial is not None:
        sent = _denied(answer, answer.denial)
    else:
        sent, shadow = _filtered(gate, answer, content_type, body)
    if as_json:
        record = _record(sent, counted=bool(answer.context))
        print_record({**record, "shadow": None if shadow is None else shadow._asdict()})
    else:
        typer.echo(sent.body, nl=False)
        if shadow is not None:
            print_lines(f"in shadow: {_difference(shadow)}", err=True)
    passed = answer.decision.allowed and not sent.refused
    raise typer.Exit(Exit.FINE if passed else Exit.DENIED)


def _denied(answer: Answer, denial: Denial) -> Filtered:
    content_type = dict(denial.headers).get("content-type", "")
    return Filtered(content_type, denial.body, refused=answer.decision.reason, errors=answer.decision.errors)


def _filtered(gate: Gate, answer: Answer, content_type: str, body: bytes) -> tuple[Filtered, Shadow | None]:
    """A response that needs nothing passes as it is, unread."""
    if not answer.context:
        return Filtered(content_type, body), None
    reply = gate.filter(answer.context, content_type, body)
    return reply.filtered, reply.shadow


def _difference(shadow: Shadow) -> str:
    """What would be otherwise, in words."""
    if shadow.refused:
        return printable(f"the response would be withheld: {shadow.refused}")
    changes = (("hidden", shadow.hidden), ("shown", shadow.shown))
    return printable("; ".join(f"would be {what}: {', '.join(names)}" for what, names in changes if names))


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
