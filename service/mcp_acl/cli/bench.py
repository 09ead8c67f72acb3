"""`mcp-acl bench`: what decisions cost, as a client sees it and as the operating system counts it."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Final, TypeAlias

import typer

from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import AsJson
from mcp_acl.cli.printing import print_lines, print_record

_NEEDED: Final = ("hdrh", "hpack", "psutil")
_OF_OUR_OWN: Final = ("host", "rules", "entries", "payload", "conditions", "denied", "reload", "python")
_OF_A_TARGET: Final = ("server", "message", "claims", "pid", "tls", "tls_ca", "tls_cert", "tls_key", "tls_name")
_FLAGS: Final = {"entries": "--list"}
"""Where a flag is not called as its parameter."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)

_Json: TypeAlias = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write every round to this file.")
]
_Html: TypeAlias = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a report for people to this file.")
]
_Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write a page for people to this file.")
]


@app.callback()
def run(  # noqa: PLR0913 - each is a flag
    ctx: typer.Context,
    *,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="unary, stream, filter, ext_authz or ext_proc; may be repeated. All, without."
        ),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="grpcio or envoy; may be repeated. Those that are installed, without."),
    ] = None,
    rules: Annotated[str, typer.Option(metavar="N,…", help="How many rules there are, 1 to 10000.")] = "100",
    entries: Annotated[
        str, typer.Option("--list", metavar="N,…", help="Entries of the list that `filter` filters, 2 to 1000.")
    ] = "100",
    payload: Annotated[str, typer.Option(metavar="BYTES,…", help="Bytes of the message, 200 to 1048576.")] = "200",
    conditions: Annotated[
        str, typer.Option(metavar="NAME,…", help="What conditions of rules read: none, claims or arguments.")
    ] = "claims",
    denied: Annotated[bool, typer.Option("--denied", help="Ask for what is denied.")] = False,
    reload: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="Measure each case once more while policies change so often; 0.5 or more.", min=0.0
        ),
    ] = 0.0,
    loop: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="closed: ask again when answered. open: ask at planned moments, whether or not there are answers.",
            show_default="closed, or open with a rate",
        ),
    ] = "",
    rate: Annotated[
        float, typer.Option(metavar="N", help="Of an open loop: questions a second.", min=0.0, max=100_000)
    ] = 0.0,
    in_flight: Annotated[
        int, typer.Option(metavar="N", help="Of a closed loop: questions at once.", min=1, max=10_000)
    ] = 32,
    connections: Annotated[int, typer.Option(metavar="N", help="Connections that ask.", min=1, max=1_000)] = 1,
    seconds: Annotated[float, typer.Option(help="Seconds of each round.", min=0.1, max=3600)] = 1.2,
    warm_up: Annotated[
        float, typer.Option(help="Seconds before each round that do not count.", min=0.0, max=600)
    ] = 0.3,
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Rounds that count; to compare runs, 5 or more.", min=1, max=100)
    ] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Few short rounds; figures are rough.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="What policies are made from.")] = 1,
    python: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="The Python that runs the service, where it is not this one.", show_default=False
        ),
    ] = sys.executable,
    target: Annotated[
        str,
        typer.Option(
            metavar="ADDR",
            help="Ask a service that runs, by unary, stream or ext_authz; the flags below say what. Any decision is an answer.",
        ),
    ] = "",
    server: Annotated[str, typer.Option(metavar="ID", help="The MCP server that is asked about.")] = "",
    message: Annotated[str, typer.Option(metavar="JSON|@FILE", help="One JSON-RPC message.")] = "",
    claims: Annotated[str, typer.Option(metavar="JSON|@FILE", help="Verified token claims.")] = "",
    pid: Annotated[
        int | None, typer.Option(metavar="N", help="The process whose CPU is counted, with those it started.", min=1)
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS. Any of the flags below says so too.")] = False,
    tls_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Who signs the service's certificate (PEM).")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate to show (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key (PEM).")] = None,
    tls_name: Annotated[
        str, typer.Option(metavar="NAME", help="The name in the service's certificate, where it is not the address.")
    ] = "",
    json_file: _Json = None,
    html_file: _Html = None,
) -> None:
    """Measure what decisions cost: latency at the client, CPU and memory of the service. Less than two minutes, without options.

    Ends with 1 if an answer was wrong, or rounds are missing. `mcp-acl bench compare A B` compares two runs that were written with
    `--json`, `mcp-acl bench report A` shows one.
    """
    given = _given(ctx)
    if ctx.invoked_subcommand is not None:
        if given:
            raise InputError(f"{_flag(given[0])}: it is for a run; give it without `{ctx.invoked_subcommand}`")
        return
    _check_loop(given, loop, rate, in_flight, connections)
    _refuse(
        given,
        *((_OF_OUR_OWN, "with `--target` what runs is asked") if target else (_OF_A_TARGET, "it is for `--target`")),
    )
    benching = _with_extra()
    if quick:
        seconds, warm_up, rounds = min(seconds, 0.5), min(warm_up, 0.2), min(rounds, 3)
    asking = benching.Loop(in_flight, connections, rate, seconds, warm_up, seed)
    if target:
        security = benching.Security(tls, tls_ca, tls_cert, tls_key, tls_name)
        what = benching.Asked(target, interface or (), server, message, claims, pid, security)
    else:
        what = benching.Choice(interface or (), host or (), rules, entries, payload, conditions, denied, reload, python)
    raise typer.Exit(benching.measure(what, asking, rounds, benching.Files(json_file, html_file)))


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="A run, as `--json` wrote it.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The run that is held against it.")],
    figure: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="cpu, p50, p90 or p99; may be repeated. cpu and p50, without."),
    ] = None,
    limit: Annotated[
        float, typer.Option(metavar="PERCENT", help="How much slower is too slow.", min=0.0, max=1000)
    ] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Compare two runs, case by case. Ends with 1 if a case is slower beyond the limit, or an answer was wrong."""
    found = _with_extra().compared(before, after, figure or ["cpu", "p50"], limit / 100)
    if as_json:
        print_record(found.record())
    else:
        print_lines("\n".join(found.lines()))
    raise typer.Exit(Exit.DENIED if found.is_worse else Exit.FINE)


@app.command()
def report(
    file: Annotated[Path, typer.Argument(metavar="A", help="A run, as `--json` wrote it.")],
    output: _Output = None,
) -> None:
    """Show a run that was written: as a table, or as a page."""
    raise typer.Exit(_with_extra().shown(file, output))


def _with_extra() -> ModuleType:
    """What measures, loaded when it is wanted. Raises InputError if it is not installed."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise InputError(f"measuring needs what is not installed ({', '.join(missing)}); install mcp-acl[bench]")
    return import_module("mcp_acl.cli.benching")


# ---- what does not go together --------------------------------------------------------------------------------------


def _given(ctx: typer.Context) -> Sequence[str]:
    """What was typed, by the names of parameters."""
    return [name for name in ctx.params if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"]


def _flag(name: str) -> str:
    return _FLAGS.get(name, f"--{name.replace('_', '-').removesuffix('-file')}")


def _refuse(given: Sequence[str], names: Sequence[str], why: str) -> None:
    for name in given:
        if name in names:
            raise InputError(f"{_flag(name)}: {why}; leave it out")


def _check_loop(given: Sequence[str], loop: str, rate: float, in_flight: int, connections: int) -> None:
    if loop not in {"", "closed", "open"}:
        raise InputError(f"--loop: there is no `{loop}`; there are closed and open")
    if loop == "open" and not rate:
        raise InputError("--loop: an open loop asks so many questions a second; say how many with `--rate`")
    if loop == "closed" and rate:
        raise InputError("--rate: a closed loop asks when it is answered; say `--loop open`, or leave it out")
    if rate:
        _refuse(given, ("in_flight",), "an open loop does not wait for answers")
    elif connections > in_flight:
        raise InputError(f"--connections: of {connections} only {in_flight} would ask; say more with `--in-flight`")
