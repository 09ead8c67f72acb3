"""From what is given to what is run: checked, and with what a person should know about it. Reads the files that are named, and starts nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from mcp_acl.gateway.config import MAX_STREAMS, Site
from mcp_acl.gateway.finding import trust_file
from mcp_acl.gateway.tokens import WELL_KNOWN, Tokens
from mcp_acl.gateway.upstreams import GivenError, Upstream, origin_of, split_url, upstreams_of
from mcp_acl.hosts.envoy.config import Config
from mcp_acl.mcp.limits import DEFAULT_LIMITS
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.address import Address, AddressError, is_socket_file, parse_address
from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.settings_watched import STANDARD_OUTPUT

_MAX_BODY: Final = DEFAULT_LIMITS.size + 64 * 1024
"""Bytes of a body that is judged. One that is a little too long is refused with a reason."""
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what stands for them is what is asked
"""An address of this machine for each that stands for all of them."""


class Given(NamedTuple):
    """What the command line says, as it says it. `watched` are settings of the service, each right by itself."""

    upstreams: Sequence[str]
    policies: Path
    listen: str
    public_url: str = ""
    jwks: str = ""
    issuer: str = ""
    audiences: Sequence[str] = ()
    allow_anonymous: bool = False
    upstream_ca: Path | None = None
    insecure: bool = False
    origins: Sequence[str] = ()
    watched: Mapping[str, Any] = {}


class Plan(NamedTuple):
    """What to run. `public_url` is empty if clients reach it where it listens. `trusted` is that of a `Site`."""

    policies: Path
    listen: Address
    upstreams: tuple[Upstream, ...]
    tokens: Tokens | None = None
    public_url: str = ""
    trusted: tuple[str, str] = ("", "")
    origins: tuple[str, ...] = ()
    watched: Mapping[str, Any] = {}


def plan_of(given: Given) -> Plan:
    """Raises GivenError."""
    upstreams = upstreams_of(given.upstreams)
    tokens = _tokens(given)
    trusted = ("", "")
    if given.upstream_ca is not None or any(one.origin.is_tls for one in upstreams):
        trusted = (trust_file("--upstream-ca", given.upstream_ca), "")
    if tokens is not None and tokens.jwks.startswith("https:"):
        trusted = (trusted[0], trust_file("--jwks", None))
    listen = _listen(given)
    return Plan(
        given.policies,
        listen,
        upstreams,
        tokens,
        _public_url(given.public_url),
        trusted,
        _origins(given.origins),
        _watched(given.watched, listen),
    )


def _listen(given: Given) -> Address:
    if is_socket_file(given.listen):
        raise GivenError("--listen: MCP clients do not use socket files; write for instance `127.0.0.1:8080`")
    try:
        address = parse_address(given.listen, insecure=True)
    except AddressError as error:
        raise GivenError(f"--listen: {error}") from None
    if not (address.is_local or given.insecure):
        raise GivenError(
            f"--listen: `{given.listen}` can be reached from elsewhere, and tokens would come in the clear; listen on loopback behind "
            "what speaks TLS, or insist with `--insecure`"
        )
    return address


def _watched(settings: Mapping[str, Any], listen: Address) -> Mapping[str, Any]:
    """What the service has to itself elsewhere, and not here."""
    if settings.get("decision_log") == STANDARD_OUTPUT:
        raise GivenError("--decision-log: the gateway shows decisions on standard output; name a file")
    metrics = settings.get("metrics_listen")
    if metrics and listen.port and parse_address(metrics, insecure=True).port == listen.port:
        raise GivenError(f"--metrics-listen: `{listen.port}` is where clients come; choose another port")
    return settings


def _origins(texts: Sequence[str]) -> tuple[str, ...]:
    for text in texts:
        origin_of("--allow-origin", text)
        if split_url("--allow-origin", text).path.strip("/"):
            raise GivenError(f"--allow-origin: {quoted(text)} has a path; an origin is scheme, host and port")
    return tuple(texts)


def _public_url(text: str) -> str:
    if text and (split_url("--public-url", text).query or "#" in text):
        raise GivenError(f"--public-url: {quoted(text)} has a query or a fragment; leave it out")
    if text:
        origin_of("--public-url", text)
    return text.rstrip("/")


def _tokens(given: Given) -> Tokens | None:
    if not given.jwks:
        for flag, value in (
            ("--issuer", given.issuer),
            ("--audience", given.audiences),
            ("--allow-anonymous", given.allow_anonymous),
        ):
            if value:
                raise GivenError(f"{flag}: it says which tokens are believed, and without `--jwks` none is; give both")
        return None
    if "" in given.audiences:
        raise GivenError("--audience: it is empty; leave it out, or name what tokens must be issued for")
    if given.issuer:
        split_url("--issuer", given.issuer)
    if not given.jwks.startswith(("http://", "https://")):
        return Tokens(read_keys(given.jwks), given.issuer, tuple(given.audiences), given.allow_anonymous)
    origin = origin_of("--jwks", given.jwks)
    if not (origin.is_tls or origin.is_loopback or given.insecure):
        raise GivenError(
            f"--jwks: {quoted(given.jwks)} is not https, and whoever stands in between could sign tokens; insist with `--insecure`"
        )
    return Tokens(given.jwks, given.issuer, tuple(given.audiences), given.allow_anonymous)


def read_keys(name: str) -> str:
    """The path of a file that holds keys as Envoy takes them (RFC 7517 §5). Raises GivenError."""
    try:
        content = json.loads(Path(name).read_bytes())
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise GivenError(f"--jwks: {quoted(name)} cannot be read: {why}; name a file, or an https URL") from None
    except ValueError:
        content = None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list) or not keys:
        raise GivenError(f'--jwks: {quoted(name)} holds no keys; it must be a JSON object `{{"keys": [...]}}`')
    if any(isinstance(key, dict) and "d" in key for key in keys):
        raise GivenError(f"--jwks: {quoted(name)} holds a private key; give the public ones alone")
    return str(Path(name).absolute())


def public_url_of(plan: Plan, port: int) -> str:
    """What clients call the gateway, without a slash at the end."""
    host = ANYWHERE.get(plan.listen.host, plan.listen.host)
    return plan.public_url or f"http://{bracketed(host)}:{port}"


def settings_of(plan: Plan, public_url: str, listen: str) -> Settings:
    """The settings of the service that belongs to the gateway."""
    documented = plan.tokens is not None and plan.tokens.issuer
    return Settings(
        policies=plan.policies,
        listen=listen,
        anonymous=plan.tokens is None or plan.tokens.anonymous,
        resource_metadata=f"{public_url}{WELL_KNOWN}/{{server}}/mcp" if documented else "",
        max_calls=MAX_STREAMS,
        **plan.watched,
    )


def site_of(plan: Plan, host: str, port: int, service: Config) -> Site:
    """What Envoy is told, but for its own interface.

    Asked by whatever name only if it can be reached from elsewhere and was not told what it is called.
    """
    public_url = public_url_of(plan, port)
    names: tuple[str, ...] = ()
    if plan.listen.is_local or plan.public_url:
        named = bracketed(split_url("--public-url", public_url).hostname or "")
        names = tuple(dict.fromkeys((*_LOOPBACK, bracketed(plan.listen.host), named)))
    return Site(
        host, port, public_url, plan.upstreams, service, _MAX_BODY, names, plan.origins, plan.tokens, plan.trusted
    )


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def advice_on(plan: Plan, policies: PolicySet | None = None) -> Iterator[str]:
    """What works, and is perhaps not what was meant."""
    if plan.tokens is None:
        yield "without `--jwks` everybody is anonymous, whatever token they show"
    elif not plan.tokens.audiences:
        yield "without `--audience` tokens are taken that were issued for another service; MCP wants them refused"
    if plan.tokens is not None and not plan.tokens.issuer:
        yield "without `--issuer` the `iss` of tokens is not looked at, and clients are not told where to get one"
    for one in plan.upstreams if policies is not None else ():
        if policies is not None and policies.view(one.id) is None:
            yield _ungoverned(one, policies)


def _ungoverned(upstream: Upstream, policies: PolicySet) -> str:
    governed = sorted({server for policy in policies.policies for server in policy.servers})
    those = f"; they govern {', '.join(map(quoted, governed[:5]))}" if governed else ""
    return (
        f"no policy governs `{upstream.id}`, so all of it is denied{those}. Name the server as a policy does, "
        f"`--upstream NAME=URL`, or add `{upstream.id}` to the `servers:` of one"
    )
