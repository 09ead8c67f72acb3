"""`mcp-acl demo`: three principals, a real MCP server, and the service deciding between them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from mcp_acl.cli.demo.children import DemoError, listening, unwinding_on_signals
from mcp_acl.cli.demo.everything import everything
from mcp_acl.cli.demo.story import Story, tell
from mcp_acl.cli.demo.tables import as_json as story_as_json
from mcp_acl.cli.demo.tables import console_for_people, show
from mcp_acl.cli.exits import Exit
from mcp_acl.cli.inputs import AsJson, Policies, directory_of
from mcp_acl.cli.printing import print_lines, print_record
from mcp_acl.client import Client

_SECONDS: Final = 5.0


def command(
    policies: Policies = Path("policies/everything"),
    node_modules: Annotated[
        Path, typer.Option(metavar="DIR", parser=directory_of, help="Where npm put the MCP server.")
    ] = Path("tests/node/node_modules"),
    as_json: AsJson = False,
) -> None:
    """Show what policies do to a real MCP server. It is the MCP project's "everything"; run this by `make demo`."""
    story = _told(policies, node_modules)
    if as_json:
        print_record(story_as_json(story))
    else:
        show(story, console_for_people())
    surprises = list(story.surprises)
    if not (surprises or as_json):
        typer.echo("All as it should be. Both servers have ended.")
    for surprise in surprises:
        print_lines(f"not as it should be: {surprise}", err=True)
    raise typer.Exit(Exit.DENIED if surprises else Exit.FINE)


def _told(policies: Path, node_modules: Path) -> Story:
    """What happened. Every process that this starts has ended when it returns, and when it does not."""
    with (
        unwinding_on_signals(),
        everything(node_modules) as port,
        _service(policies) as address,
        Client(address, timeout=_SECONDS) as service,
    ):
        try:
            return tell(service, port)
        except OSError as error:
            raise DemoError(f"there was no answer: {error}") from None


@contextmanager
def _service(policies: Path) -> Iterator[str]:
    """Run `mcp-acl serve` and yield its address."""
    command = [
        sys.executable,
        "-m",
        "mcp_acl.cli.demo.attached",
        "serve",
        "--policies",
        str(policies),
        "--listen",
        "127.0.0.1:0",
    ]
    with listening("mcp-acl serve", command, os.environ) as address:
        yield address
