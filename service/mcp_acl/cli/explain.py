"""`mcp-acl explain`: why a message is decided as it is."""

import typer

from mcp_acl.cli.asking import Asked, asking
from mcp_acl.cli.exits import Exit
from mcp_acl.cli.inputs import AsJson
from mcp_acl.cli.printing import print_record
from mcp_acl.cli.records import decision_record, trial_record
from mcp_acl.cli.showing import show_answer, show_trials


@asking
def command(asked: Asked, as_json: AsJson = False) -> None:
    """Decide one message, and show every rule. What its condition saw, why it did or did not apply."""
    answer, trials = asked.gate().explain(asked.question())
    if as_json:
        print_record({"decision": decision_record(answer), "rules": [trial_record(trial) for trial in trials]})
    else:
        show_answer(answer)
        show_trials(trials)
    raise typer.Exit(Exit.FINE if answer.decision.allowed else Exit.DENIED)
