"""`mcp-acl attack`: what gets through a gateway."""

from typing import Annotated

import typer

from mcp_acl.attack.canary import Canary
from mcp_acl.attack.cases import Corpus, read_corpus
from mcp_acl.attack.report import Report, policy_text
from mcp_acl.attack.running import Attacker, Tokens
from mcp_acl.attack.sending import Target, target_of
from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import AsJson, text_of
from mcp_acl.cli.printing import print_lines, print_record
from mcp_acl.runtime.address import Address, AddressError, parse_address


def command(  # noqa: PLR0913, PLR0917 - each is a flag
    target: Annotated[
        str,
        typer.Option(metavar="URL", help="Where the gateway serves MCP: http://HOST:PORT/PATH.", show_default=False),
    ] = "",
    canary: Annotated[
        str, typer.Option(metavar="ADDR", help="Where the canary listens: the gateway's only upstream.")
    ] = "127.0.0.1:9800",
    of_class: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="This class of attack alone; may be repeated.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Bearer token of a member. Left out: none is sent.")
    ] = None,
    other_token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Bearer token of somebody who may do nothing.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1, max=600)] = 5.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Broken twins, and what is ambiguous and let by, end with 1.")
    ] = False,
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Allow addresses beyond this machine. Attack what is yours.")
    ] = False,
    print_policy: Annotated[
        bool, typer.Option("--print-policy", help="Print what the gateway must enforce, and do nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send the corpus of attacks through a gateway to a canary, and say what got through.

    Each attack has an honest twin, which must pass. Ends with 0 if nothing got through, with 1 if something did, with 2 if nothing could
    be said, because no honest message reached the canary.
    """
    corpus = read_corpus()
    if print_policy:
        print_lines(policy_text(corpus))
        raise typer.Exit(Exit.FINE)
    wanted = _classes(corpus, of_class or [])
    goal = _target(target, anywhere=anywhere)
    tokens = Tokens(*(None if one is None else _header_text(one) for one in (token, other_token)))
    listen = _address("--canary", canary, anywhere=anywhere)
    report = _report(Attacker(corpus, goal, Canary(), tokens, timeout), listen, wanted)
    if as_json:
        print_record(report.record())
    else:
        print_lines("\n".join(report.lines()))
    raise typer.Exit(Exit.FINE if report.is_clean(strict=strict) else Exit.DENIED)


def _report(attacker: Attacker, listen: Address, wanted: list[str]) -> Report:
    try:
        with attacker.canary.serving(listen.host, listen.port):
            if not attacker.reaches_canary():
                raise InputError(
                    "--target: an honest call of `echo` did not reach the canary; is it the gateway's upstream, and is the token good?"
                )
            return Report(tuple(attacker.results(wanted)))
    except OSError as error:
        raise InputError(f"--canary: it cannot listen there: {error.strerror or error}") from None


def _classes(corpus: Corpus, given: list[str]) -> list[str]:
    names = [group.name for group in corpus.groups]
    for one in given:
        if one not in names:
            raise InputError(f"--class: there is no `{text_of('--class', one)}`; there are {', '.join(names)}")
    return given


def _target(given: str, *, anywhere: bool) -> Target:
    try:
        found = target_of(text_of("--target", given))
    except ValueError as error:
        raise InputError(f"--target: {error}") from None
    _address("--target", found.address, anywhere=anywhere)
    return found


def _address(option: str, given: str, *, anywhere: bool) -> Address:
    """An address of this machine, unless somebody insists."""
    try:
        found = parse_address(text_of(option, given), insecure=True)
    except AddressError as error:
        raise InputError(f"{option}: {error}") from None
    if not found.host:
        raise InputError(f"{option}: a socket file cannot be used here")
    if not (found.is_local or anywhere):
        raise InputError(f"{option}: `{found.host}` is not this machine alone; say --anywhere if it is yours to attack")
    return found


def _header_text(token: str) -> str:
    if not token.isascii() or not token.isprintable():
        raise InputError("a token must be text that HTTP carries")
    return token
