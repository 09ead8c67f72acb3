"""The command line `mcp-acl`: one file per subcommand, each loaded when it is asked for."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from mcp_acl.cli.exits import Exit, InputError, RefusedError
from mcp_acl.cli.printing import give_up_output
from mcp_acl.cli.refusals import print_refusal

COMMANDS: Final = (
    "gateway",
    "serve",
    "config",
    "health",
    "memory",
    "log",
    "check",
    "sync",
    "decide",
    "filter",
    "explain",
    "test",
    "attack",
    "eval",
    "schema",
    "bench",
    "demo",
)
"""Each is a module here with a function `command`, or with an `app` of its own commands."""


class _Commands(TyperGroup):
    """Loads a subcommand when it is named; ends with its exit code what cannot be used."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the framework's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the framework's signature
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__name__}.{cmd_name}")
        if hasattr(module, "app"):
            return typer.main.get_group(module.app)
        one = typer.Typer(add_completion=False, rich_markup_mode=None)
        one.command(cmd_name)(module.command)
        return typer.main.get_command(one)

    def invoke(self, ctx: Any) -> Any:
        as_json = "--json" in ctx.args
        try:
            return self._run(ctx, as_json=as_json)
        except OSError as error:
            give_up_output(error)
        raise typer.Exit(Exit.UNUSABLE)

    def _run(self, ctx: Any, *, as_json: bool) -> Any:
        try:
            return super().invoke(ctx)
        except (RefusedError, InputError) as error:
            print_refusal(error, as_json=as_json)
        except typer.TyperException as error:
            if not as_json:
                raise
            print_refusal(error, as_json=True)
        raise typer.Exit(Exit.UNUSABLE)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(version("mcp-acl"))
        except PackageNotFoundError:
            typer.echo("not installed")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Decides which MCP messages a principal may send, and which list entries it may see.

    Exit codes: 0 allow or fine; 1 deny (a refused message or a withheld response too), scenarios that differ, attacks that got through, findings under
    --strict, or a service that is not serving; 2 unreadable or refused policies, claims or flags, a service that does not answer, or
    output that cannot be written.
    """


def main() -> None:
    """Run the command line and end the process. What a terminal cannot show is written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="mcp-acl")
    except OSError as error:
        give_up_output(error)
        sys.exit(Exit.UNUSABLE)
