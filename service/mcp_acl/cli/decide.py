"""`mcp-acl decide`: may this principal send this message."""

import typer

from mcp_acl.cli.asking import Asked, asking
from mcp_acl.cli.exits import Exit
from mcp_acl.cli.inputs import AsJson
from mcp_acl.cli.printing import print_record
from mcp_acl.cli.records import decision_record
from mcp_acl.cli.showing import show_answer


@asking
def command(asked: Asked, as_json: AsJson = False) -> None:
    """Decide one message. Ends with 0 if it is allowed, with 1 if it is denied."""
    answer = asked.gate().check(asked.question())
    if as_json:
        print_record(decision_record(answer))
    else:
        show_answer(answer)
    raise typer.Exit(Exit.FINE if answer.decision.allowed else Exit.DENIED)
