"""The flags of a run of `mcp-acl bench`, as they are typed."""

import sys
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import typer

_Json: TypeAlias = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write every round to this file.")
]
_Html: TypeAlias = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a report for people to this file.")
]


class Flags(NamedTuple):
    """What was typed. A service that runs is asked with the flags from `target` on."""

    interface: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="unary, stream, filter, ext_authz or ext_proc; may be repeated. All, without."
        ),
    ] = None
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="grpcio or envoy; may be repeated. Those that are installed, without."),
    ] = None
    rules: Annotated[str, typer.Option(metavar="N,…", help="How many rules there are, 1 to 10000.")] = "100"
    entries: Annotated[
        str, typer.Option("--list", metavar="N,…", help="Entries of the list that `filter` filters, 2 to 1000.")
    ] = "100"
    payload: Annotated[str, typer.Option(metavar="BYTES,…", help="Bytes of the message, 200 to 1048576.")] = "200"
    conditions: Annotated[
        str, typer.Option(metavar="NAME,…", help="What conditions of rules read: none, claims or arguments.")
    ] = "claims"
    denied: Annotated[bool, typer.Option("--denied", help="Ask for what is denied.")] = False
    reload: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="Measure each case once more while policies change so often; 0.5 or more.", min=0.0
        ),
    ] = 0.0
    loop: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="closed: ask again when answered. open: ask at planned moments, whether or not there are answers.",
            show_default="closed, or open with a rate",
        ),
    ] = ""
    rate: Annotated[
        float, typer.Option(metavar="N", help="Of an open loop: questions a second.", min=0.0, max=100_000)
    ] = 0.0
    in_flight: Annotated[
        int, typer.Option(metavar="N", help="Of a closed loop: questions at once.", min=1, max=10_000)
    ] = 32
    connections: Annotated[int, typer.Option(metavar="N", help="Connections that ask.", min=1, max=1_000)] = 1
    seconds: Annotated[float, typer.Option(help="Seconds of each round.", min=0.1, max=3600)] = 1.0
    warm_up: Annotated[float, typer.Option(help="Seconds before each round that do not count.", min=0.0, max=600)] = 0.2
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Rounds that count; to compare runs, 5 or more.", min=1, max=100)
    ] = 5
    quick: Annotated[bool, typer.Option("--quick", help="Few short rounds; figures are rough.")] = False
    seed: Annotated[int, typer.Option(metavar="N", help="What policies are made from.")] = 1
    python: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="The Python that runs the service, where it is not this one.", show_default=False
        ),
    ] = sys.executable
    target: Annotated[
        str,
        typer.Option(
            metavar="ADDR",
            help="Ask a service that runs, by unary, stream or ext_authz; the flags below say what. Any decision is an answer.",
        ),
    ] = ""
    server: Annotated[str, typer.Option(metavar="ID", help="The MCP server that is asked about.")] = ""
    message: Annotated[str, typer.Option(metavar="JSON|@FILE", help="One JSON-RPC message.")] = ""
    claims: Annotated[str, typer.Option(metavar="JSON|@FILE", help="Verified token claims.")] = ""
    pid: Annotated[
        int | None, typer.Option(metavar="N", help="The process whose CPU is counted, with those it started.", min=1)
    ] = None
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS. Any of the flags below says so too.")] = False
    tls_ca: Annotated[Path | None, typer.Option(metavar="FILE", help="Who signs the service's certificate (PEM).")] = (
        None
    )
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate to show (PEM).")] = None
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key (PEM).")] = None
    tls_name: Annotated[
        str, typer.Option(metavar="NAME", help="The name in the service's certificate, where it is not the address.")
    ] = ""
    json_file: _Json = None
    html_file: _Html = None
