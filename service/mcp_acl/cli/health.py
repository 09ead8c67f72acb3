"""`mcp-acl health`: whether a service is serving, for the health check of a container. Needs no shell.

What the check of a container says is answered in `mcp_acl.__main__` already, and in the same words.
"""

from pathlib import Path
from typing import Annotated

import typer

from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import AsJson, text_of
from mcp_acl.cli.printing import print_lines, print_record
from mcp_acl.client.health import ask_health
from mcp_acl.client.targets import Tls
from mcp_acl.client.values import MisuseError, UnavailableError


def command(  # noqa: PLR0913, PLR0917 - each is a flag
    address: Annotated[
        str, typer.Option(metavar="ADDR", help="Where it listens: host:port, [v6]:port or unix:path.")
    ] = "127.0.0.1:9191",
    service: Annotated[
        str, typer.Option(metavar="NAME", help="Of a part of it: mcp_acl.v1.AccessControl, mcp_acl.policies.")
    ] = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.")] = 2.0,
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS. Any of the flags below says so too.")] = False,
    tls_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Who signs the service's certificate (PEM).")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate to show (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key (PEM).")] = None,
    tls_name: Annotated[
        str, typer.Option(metavar="NAME", help="The name in the service's certificate, where it is not the address.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask a service whether it is serving. Ends with 0 if it is, 1 if it says that it is not, 2 if there is no answer."""
    wanted = tls or tls_name != "" or any(file is not None for file in (tls_ca, tls_cert, tls_key))
    security = Tls(tls_ca, tls_cert, tls_key, text_of("--tls-name", tls_name)) if wanted else None
    address, service = text_of("--address", address), text_of("--service", service)
    try:
        serving = ask_health(address, service, tls=security, timeout=timeout)
    except (MisuseError, UnavailableError) as error:
        raise InputError(str(error)) from None
    if as_json:
        print_record({"serving": serving, "address": address, "service": service})
    else:
        print_lines(f"{address}: {'serving' if serving else 'not serving'}")
    raise typer.Exit(Exit.FINE if serving else Exit.DENIED)
