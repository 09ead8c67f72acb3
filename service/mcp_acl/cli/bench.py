"""`mcp-acl bench`: what decisions cost, as a client sees it and as the operating system counts it."""

import inspect
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final, TypeAlias

import typer

from mcp_acl.cli.bench_flags import Flags
from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import AsJson
from mcp_acl.cli.printing import print_lines, print_record

_NEEDED: Final = ("hdrh", "hpack", "psutil")
_OF_OUR_OWN: Final = ("host", "rules", "entries", "payload", "conditions", "denied", "reload", "python")
_OF_A_TARGET: Final = ("server", "message", "claims", "pid", "tls", "tls_ca", "tls_cert", "tls_key", "tls_name")
_FLAGS: Final = {"entries": "--list"}
"""Where a flag is not called as its parameter."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)

_Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write a page for people to this file.")
]


def run(ctx: typer.Context, **typed: Any) -> None:
    """Measure what decisions cost: latency at the client, CPU and memory of the service. Without options, a minute for each host, and their start.

    Ends with 1 if an answer was wrong, or rounds are missing. `mcp-acl bench compare A B` compares two runs that were written with
    `--json`, `mcp-acl bench report A` shows one.
    """
    flags, given = Flags(**typed), _given(ctx)
    if ctx.invoked_subcommand is not None:
        if given:
            raise InputError(f"{_flag(given[0])}: it is for a run; give it without `{ctx.invoked_subcommand}`")
        return
    _check_loop(given, flags.loop, flags.rate, flags.in_flight, flags.connections)
    _refuse(
        given,
        *(
            (_OF_OUR_OWN, "with `--target` what runs is asked")
            if flags.target
            else (_OF_A_TARGET, "it is for `--target`")
        ),
    )
    raise typer.Exit(_with_extra().measure(flags))


_PARAMETERS: Final = [
    inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
    *(
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in inspect.signature(Flags, eval_str=True).parameters.values()
    ),
]
run.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]
app.callback()(run)


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
