"""`mcp-acl serve`: run the gRPC service."""

import logging
from math import isfinite
from typing import Annotated

import typer

from mcp_acl.cli.exits import InputError
from mcp_acl.cli.inputs import AsJson, Policies
from mcp_acl.cli.printing import print_record
from mcp_acl.cli.records import policy_records
from mcp_acl.cli.refusals import print_problems, reading
from mcp_acl.hosts.listening import ListenError
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.address import AddressError
from mcp_acl.server import Settings, serve


def command(
    policies: Policies,
    listen: Annotated[
        str, typer.Option(metavar="ADDR", help="host:port, [v6]:port or unix:path. Port 0 is any free one.")
    ] = "127.0.0.1:9191",
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Listen without TLS where others can reach it. They may then ask anything."),
    ] = False,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds to go on answering after SIGTERM while health says NOT_SERVING.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Serve until SIGTERM or SIGINT. The first line on standard output says where."""
    if not isfinite(drain):
        raise InputError(f"--drain: `{drain}` is no number of seconds")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    def ready(bound: str, loaded: PolicySet) -> None:
        if loaded.findings:
            print_problems(policies, loaded.findings, err=True)
        if as_json:
            print_record({"listening": bound, "revision": loaded.revision, "policies": policy_records(loaded)})
        else:
            typer.echo(f"listening on {bound}")

    try:
        with reading(policies):
            serve(Settings(policies, listen, insecure, drain), ready)
    except (AddressError, ListenError) as error:
        raise InputError(f"--listen: {error}") from None
