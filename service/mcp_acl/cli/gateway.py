"""`mcp-acl gateway`: Envoy and the service in front of MCP servers, by one command."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from mcp_acl.cli.exits import InputError
from mcp_acl.cli.flags import REMOTE, WATCHED, settings_by, with_some
from mcp_acl.cli.inputs import AsJson, Policies
from mcp_acl.cli.printing import print_lines, print_record
from mcp_acl.cli.refusals import print_problems, reading
from mcp_acl.cli.sights import configuration, joined_configuration, line_of, ready_lines, ready_record, record_line
from mcp_acl.gateway import (
    UNNAMED,
    GatewayError,
    Given,
    GivenError,
    Plan,
    Ready,
    Seen,
    Teller,
    advice_on,
    find_envoy,
    find_installation,
    plan_of,
    run,
)
from mcp_acl.hosts.envoy import Installation
from mcp_acl.hosts.listening import ListenError
from mcp_acl.runtime.address import AddressError
from mcp_acl.runtime.decision_log import LogError
from mcp_acl.runtime.loading import DEFAULT
from mcp_acl.runtime.memory import StoreError
from mcp_acl.runtime.metrics import MetricsError
from mcp_acl.runtime.settings import Settings
from mcp_acl.server import fetched, log_to_stderr

_Upstreams: TypeAlias = Annotated[
    list[str],
    typer.Option(
        metavar="[NAME=]URL",
        help="An MCP server, http or https. NAME is its id, as `servers:` of a policy says it, and it is at /NAME/mcp; without one the id is "
        f"`{UNNAMED}`, and it is everything under its own paths.",
    ),
]
_Listen: TypeAlias = Annotated[
    str, typer.Option(metavar="ADDR", help="Where clients come: `host:port`, port 0 for any.")
]
_PublicUrl: TypeAlias = Annotated[
    str, typer.Option(metavar="URL", help="What clients call it, if that is not where it listens.")
]
_Jwks: TypeAlias = Annotated[
    str,
    typer.Option(metavar="URL|FILE", help="The keys that tokens are signed with. Without it everybody is anonymous."),
]
_Issuer: TypeAlias = Annotated[
    str, typer.Option(metavar="URL", help="Who must have issued tokens; clients are told to get theirs there.")
]
_Audiences: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="AUD", help="What tokens must be issued for, any one of them.")
]
_Anonymous: TypeAlias = Annotated[
    bool, typer.Option("--allow-anonymous", help="Lets in who has no token. An invalid one is refused all the same.")
]
_Origins: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ORIGIN", help="Pages that may ask by a browser, beside those of this machine: `https://host`."
    ),
]
_UpstreamCa: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Who must have signed the certificates of https servers.")
]
_Envoy: TypeAlias = Annotated[Path | None, typer.Option(metavar="PATH", help="The Envoy to run.")]
_OneProcess: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--one-process",
        help="Run the service inside Envoy: experimental, faster, and it needs the extra `envoy`.",
    ),
]
_Insecure: TypeAlias = Annotated[
    bool, typer.Option("--insecure", help="Allows `--listen` beyond loopback, and keys over http.")
]
_PrintConfig: TypeAlias = Annotated[
    bool, typer.Option("--print-config", help="Print the Envoy configuration for a service of its own, and end.")
]

_FLAGS: Final[Mapping[type[Exception], str]] = {LogError: "--decision-log: ", MetricsError: "--metrics-listen: "}
"""Which flag is to blame for what does not say so itself."""
_SERVICE: Final = "unix:service.sock"
"""Where the service listens, as far as settings care: on no port."""


@with_some([*REMOTE, *WATCHED])
def command(  # noqa: PLR0913 - flags
    flags: Mapping[str, object],
    *,
    policies: Policies,
    upstream: _Upstreams,
    listen: _Listen = "127.0.0.1:8080",
    public_url: _PublicUrl = "",
    jwks: _Jwks = "",
    issuer: _Issuer = "",
    audience: _Audiences = None,
    allow_anonymous: _Anonymous = False,
    allow_origin: _Origins = None,
    upstream_ca: _UpstreamCa = None,
    envoy: _Envoy = None,
    one_process: _OneProcess = False,
    insecure: _Insecure = False,
    print_config: _PrintConfig = False,
    as_json: AsJson = False,
) -> None:
    """Run Envoy and the service in front of MCP servers, and show each decision, until SIGTERM or SIGINT.

    No client reaches a server but by the policies. It needs Envoy, which comes with the extra `envoy`.
    """
    loaded = settings_by({**flags, "policies": policies, "listen": _SERVICE})
    given = Given(
        upstream,
        policies,
        listen,
        public_url,
        jwks,
        issuer,
        audience or (),
        allow_anonymous,
        upstream_ca,
        insecure,
        allow_origin or (),
        {name: getattr(loaded.settings, name) for name in WATCHED if loaded.origins[name] != DEFAULT},
    )
    try:
        plan = plan_of(given)
        inside = find_installation(envoy) if one_process else None
        if print_config:
            _print_config(plan, inside)
        else:
            _run(plan, loaded.settings, inside or find_envoy(envoy), as_json=as_json)
    except (GivenError, GatewayError, ListenError, AddressError, StoreError, LogError, MetricsError) as error:
        raise InputError(f"{_FLAGS.get(type(error), '')}{error}") from None


def _run(plan: Plan, settings: Settings, envoy: Path | Installation, *, as_json: bool) -> None:
    log_to_stderr()
    with reading(plan.policies), fetched(settings) as local, closing(_teller(as_json=as_json)) as teller:
        here = plan._replace(policies=local.policies)
        run(here, envoy, lambda ready: _ready(here, ready, as_json=as_json), teller)


def _print_config(plan: Plan, inside: Installation | None) -> None:
    for advice in advice_on(plan):
        print_lines(f"warning: {advice}", err=True)
    typer.echo(configuration(plan) if inside is None else joined_configuration(plan, inside))


def _teller(*, as_json: bool) -> Teller:
    def write(seen: Seen) -> None:
        typer.echo(record_line(seen) if as_json else line_of(seen))

    return Teller(write, lambda missed: print_lines(f"warning: {missed} decisions are not shown", err=True))


def _ready(plan: Plan, ready: Ready, *, as_json: bool) -> None:
    if ready.policies.findings:
        print_problems(plan.policies, ready.policies.findings, err=True)
    silent = (f"`{one.id}` does not answer at `{one.origin}`; is it running?" for one in ready.silent)
    for advice in (*advice_on(plan, ready.policies), *silent):
        print_lines(f"warning: {advice}", err=True)
    if as_json:
        print_record(ready_record(ready))
    else:
        print_lines("\n".join(ready_lines(ready)))
