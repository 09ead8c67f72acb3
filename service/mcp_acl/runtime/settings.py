"""Every setting of the service: one frozen model that says what each means, and what does not go together.

The one place where a setting is described: flags, variables, file keys and the documentation are read off the model. Knows
nothing of where values come from (`loading`), opens nothing and looks at no file.
"""

import re
from collections.abc import Iterator, Mapping
from os.path import normpath
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mcp_acl.runtime.address import AddressError, is_socket_file, parse_address, worker_addresses
from mcp_acl.runtime.settings_fields import Conflict, File, Listen, Metavar, Names, Seconds
from mcp_acl.runtime.settings_remote import RemoteSettings, remote_conflicts_of
from mcp_acl.runtime.settings_watched import WatchedSettings, watched_conflicts_of
from mcp_acl.runtime.settings_workers import WorkerSettings

KIB: Final = 1024
MIB: Final = 1024 * KIB
MAX_WORKERS: Final = 256
MAX_CALLS: Final = 1_000_000
DAY: Final = 86_400.0
MAX_DAYS: Final = 3660
MAX_ROWS: Final = 10_000_000
_SHORTEST_WAIT: Final = 0.1
_SHORTEST_RELOAD: Final = 0.05
_MODE: Final = re.compile("0?[0-7]{3}")
_BY_OTHERS: Final = 0o002
_URL: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%{}-]+")


def _mode(text: str) -> str:
    if not _MODE.fullmatch(text):
        raise ValueError("it must be three octal digits, for instance `0600`")
    return text


def _interval(seconds: float) -> float:
    if 0 < seconds < _SHORTEST_RELOAD:
        raise ValueError(f"it must be 0 (never) or at least {_SHORTEST_RELOAD}")
    return seconds


def _places(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        namespace, _, key = text.partition("/")
        if not (namespace and key):
            raise ValueError(
                f"`{text}` must be `namespace/key`, for instance `envoy.filters.http.jwt_authn/jwt_payload`"
            )
    return texts


def _metadata_url(text: str) -> str:
    if text and not _URL.fullmatch(text):
        raise ValueError("it must be an http or https URL without spaces and quotes")
    return text


Directory: TypeAlias = Annotated[Path, Metavar("DIR")]
Lifetime: TypeAlias = Annotated[float, Metavar("SECONDS"), Field(ge=1, le=MAX_DAYS * DAY, allow_inf_nan=False)]
Rows: TypeAlias = Annotated[int, Metavar("N"), Field(ge=1, le=MAX_ROWS)]


class Settings(WorkerSettings, RemoteSettings, WatchedSettings):
    """How the service runs. A relative path is taken from where the service is started."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    policies: Directory = Field(
        description="The directory of the policy files; with `policies_from` that where they are kept, and which the service alone writes to. It "
        "has no default: what is in force must be said.",
        examples=["/etc/mcp-acl/policies"],
    )
    host: Annotated[Literal["grpcio", "envoy"], Metavar("HOST")] = Field(
        default="grpcio",
        description="What carries the bytes: `grpcio`, which runs wherever Python does, or `envoy`, inside an Envoy process, "
        "which takes less CPU and needs the extra `envoy`.",
    )
    listen: Listen = Field(
        default="127.0.0.1:9191",
        description="Where gateways ask: `host:port`, `[v6]:port` or `unix:path`; port 0 is any free one. With several "
        "workers it is the first one's: see `workers`. Loopback, so that nobody else can ask until someone says so.",
    )
    admin_listen: Listen = Field(
        default="",
        description="A second address, for people: what shows claims and policies (Explain, GetPolicySet, reflection) is "
        "served there. None, so that it is not there unless someone wants it.",
        examples=["unix:/run/mcp-acl/admin.sock"],
    )
    workers: Annotated[int, Metavar("N"), Field(ge=1, le=MAX_WORKERS)] = Field(
        default=1,
        description="Processes that decide, each with an address of its own: worker i listens on the port plus i, or on "
        "`path.i`. One, because each loads all policies for itself.",
    )
    insecure: bool = Field(
        default=False,
        description="Allows an address that others can reach without TLS, an `admin_listen` that others can reach without "
        "names, and a socket that everybody on this machine may write to. Off, because whoever can ask learns what passes.",
    )
    tls_cert: File = Field(
        default=None,
        description="The certificate chain that listeners show, a PEM file; with it every `host:port` speaks TLS alone. "
        "Read again when it changes. None, because only its owner has one.",
        examples=["/etc/mcp-acl/tls/tls.crt"],
    )
    tls_key: File = Field(
        default=None,
        description="The private key of `tls_cert`, a PEM file. None, as `tls_cert`.",
        examples=["/etc/mcp-acl/tls/tls.key"],
    )
    tls_client_ca: File = Field(
        default=None,
        description="The authorities that must have signed the certificate each client shows, a PEM file. None: clients "
        "show none.",
        examples=["/etc/mcp-acl/tls/ca.crt"],
    )
    client_names: Names = Field(
        default=(),
        description="Who may ask on `listen`: DNS and URI names of clients' certificates, byte for byte, any one of them. "
        "None: whoever has a certificate that `tls_client_ca` signed.",
        examples=[["gateway.example.org"]],
    )
    admin_names: Names = Field(
        default=(),
        description="Who may ask for what shows claims and policies, by the names of their certificates; on `listen` too. "
        "None: nobody on `listen`.",
        examples=[["spiffe://example.org/operator"]],
    )
    socket_mode: Annotated[str, Metavar("MODE"), AfterValidator(_mode)] = Field(
        default="0600",
        description="Permissions of socket files, octal. The owner alone, because on a socket they are all that keeps "
        "others out.",
    )
    drain: Seconds = Field(
        default=0.0,
        description="Seconds to go on answering after SIGTERM while health says NOT_SERVING, so that callers can leave. 0, "
        "because it must fit how often they look at health.",
    )
    reload: Annotated[Seconds, AfterValidator(_interval)] = Field(
        default=0.5,
        description=f"Seconds between looks at the policy directory, and how long its files must have stayed the same to be taken; 0: "
        f"never, else {_SHORTEST_RELOAD} or more. Half a second is soon enough for people, and a look costs next to nothing.",
    )
    max_request: Annotated[int, Metavar("BYTES"), Field(ge=64 * KIB, le=256 * MIB)] = Field(
        default=16 * MIB,
        description="Bytes of one request, after inflation; more is refused with RESOURCE_EXHAUSTED. 64 KiB to 256 MiB; "
        "16 MiB leaves room for long lists and large results, which are requests here.",
    )
    max_calls: Annotated[int, Metavar("N"), Field(ge=1, le=MAX_CALLS)] = Field(
        default=1000,
        description="Calls at once in one worker, streams included; more are refused with RESOURCE_EXHAUSTED. 1000 "
        "bounds the memory that callers can take.",
    )
    message_timeout: Annotated[Seconds, Field(ge=_SHORTEST_WAIT)] = Field(
        default=30.0,
        description=f"Seconds that a unary call may take to bring its message, {_SHORTEST_WAIT} or more. 30 is generous for any network and "
        "still ends what only holds a place.",
    )
    keepalive: Annotated[Seconds, Field(ge=1)] = Field(
        default=60.0,
        description="Seconds without a sign of life after which a client is asked for one, and as long again it has to "
        "give it; 1 or more. 60 finds dead connections before they add up.",
    )
    server: Annotated[str, Metavar("ID")] = Field(
        default="",
        description="The id of the MCP server where Envoy or agentgateway name none. None, so that what was not named is denied.",
        examples=["weather"],
    )
    server_attribute: Annotated[str, Metavar("NAME")] = Field(
        default="",
        description="An attribute that is the id of the MCP server, where nothing else names one: for gateways that can say by route neither "
        "metadata nor the id. None, because attributes can be what a client sends: name one that it cannot write.",
        examples=["xds.route_name"],
    )
    jwt_metadata: Annotated[Names, AfterValidator(_places)] = Field(
        default=("envoy.filters.http.jwt_authn/jwt_payload",),
        description="Where Envoy puts the claims of a token that it has verified, each as `namespace/key` of the dynamic metadata; the first "
        "that is there counts. Beside it `jwt_failure` says why there are none. As Envoy's own filter does it with "
        "`payload_in_metadata: jwt_payload`.",
    )
    mtls_principals: bool = Field(
        default=False,
        description="Takes the name in a verified client certificate for `sub` where there is no token. Off, because a certificate "
        "often stands for a machine that many people use.",
    )
    claims_header: Annotated[str, Metavar("NAME")] = Field(
        default="",
        description="A header of the request that holds verified claims, as JSON or in base64url, where neither token nor certificate do. None, "
        "because clients can send headers: name one only if the gateway removes it from what comes in.",
        examples=["x-jwt-payload"],
    )
    anonymous: bool = Field(
        default=True,
        description="Takes requests of Envoy and agentgateway without a token for an anonymous principal's. Without it they are answered "
        "401. On, because rules say what an anonymous principal may do, and that is nothing unless one does.",
    )
    attribute_metadata: Names = Field(
        default=(),
        description="Namespaces of Envoy's dynamic metadata that conditions may read, each as one of `attributes`.",
        examples=[["com.example.tenant"]],
    )
    filtered_behind: bool = Field(
        default=False,
        description="Says that lists which pass by Envoy's ext_authz are filtered by an ext_proc behind it. Off: a list that would have "
        "to be filtered is denied there.",
    )
    early_close: bool = Field(
        default=True,
        description="Ends a stream of ext_proc as soon as nothing more is to be judged, so that a long response does not hold one. Turn it "
        "off for gateways that take a stream that ended for an error, as agentgateway does.",
    )
    resource_metadata: Annotated[str, Metavar("URL"), AfterValidator(_metadata_url)] = Field(
        default="",
        description="The URL at which a client learns where to get a token, told with every 401; `{server}` stands for the server's id. None: it "
        "is not told.",
        examples=["https://mcp.example.org/.well-known/oauth-protected-resource/{server}"],
    )

    store: File = Field(
        default=None,
        description="A file for what outlives a message: who made which task, and what tools say of themselves. Its directory must be there, on "
        "a local file system. None: memory that all workers share and that is gone when the service ends.",
        examples=["/var/lib/mcp-acl/memory.db"],
    )
    task_memory: Lifetime = Field(
        default=7 * DAY,
        description="Seconds for which the owner of a task is remembered, if the server does not say how long it keeps it; 1 or more. A "
        "week: who comes back later finds the task closed to all.",
    )
    tool_memory: Lifetime = Field(
        default=30 * DAY,
        description="Seconds for which a tool is remembered after it was last in a list; 1 or more. A month, because a tool that has "
        "changed is taken as new when it has been forgotten.",
    )
    max_tasks: Rows = Field(
        default=100_000,
        description="Tasks that are remembered; beyond that the oldest are forgotten, of the server that has the most. 100,000 take "
        "about 30 MB.",
    )
    max_tools: Rows = Field(
        default=20_000,
        description="Tools that are remembered, a quarter of them of one server at the most; beyond that new ones are not. 20,000 is more than "
        "anybody lists.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        conflicts = [*conflicts_of(self)]
        if conflicts:
            raise ValueError("; ".join(f"{conflict.fields[0]}: {conflict.text}" for conflict in conflicts))
        return self


def conflicts_of(settings: Settings) -> Iterator[Conflict]:
    """What does not go together in settings of which each is right by itself."""
    for field, needed, why in _NEEDS:
        if getattr(settings, field) and not getattr(settings, needed):
            yield Conflict((field, needed), f"it needs `{needed}` beside it: {why}")
    yield from remote_conflicts_of(settings)
    yield from watched_conflicts_of(settings)
    yield from _on_sockets(settings)
    yield from _within_reach(settings)
    yield from _taken_twice(settings)
    if int(settings.socket_mode, 8) & _BY_OTHERS and not settings.insecure:
        why = f"`{settings.socket_mode}` lets everybody on this machine ask; use `0600` or `0660`, or insist with `--insecure`"
        yield Conflict(("socket_mode", "insecure"), why)


_NEEDS: Final = (
    ("tls_cert", "tls_key", "a certificate cannot be shown without its key"),
    ("tls_key", "tls_cert", "it is the key of a certificate"),
    ("tls_client_ca", "tls_cert", "clients show certificates over TLS alone"),
    ("client_names", "tls_client_ca", "without it no client shows a name"),
    ("admin_names", "tls_client_ca", "without it no client shows a name"),
)
"""A setting, the one it needs, why."""


def _on_sockets(settings: Settings) -> Iterator[Conflict]:
    """TLS is not used on a socket file: its permissions say who may write to it."""
    listeners = [text for text in (settings.listen, settings.admin_listen) if text]
    if settings.tls_cert and all(map(is_socket_file, listeners)):
        why = "there is no TLS on a socket file, and no other listener; leave it out, or listen on `host:port`"
        yield Conflict(("tls_cert", "listen", "admin_listen"), why)
    if settings.client_names and is_socket_file(settings.listen):
        why = "nobody shows a name on a socket file; leave it out, or listen on `host:port`"
        yield Conflict(("client_names", "listen"), why)


def _within_reach(settings: Settings) -> Iterator[Conflict]:
    encrypted = settings.tls_cert is not None
    for field, text in _listeners(settings).items():
        try:
            address = parse_address(text, insecure=settings.insecure, encrypted=encrypted)
        except AddressError as error:
            yield Conflict((field, "insecure", "tls_cert"), str(error))
            continue
        named = settings.tls_client_ca and settings.admin_names
        if field == "admin_listen" and not (address.is_local or named or settings.insecure):
            why = (
                f"`{text}` can be reached from elsewhere and shows claims and policies; say who may ask there with "
                "`tls_client_ca` and `admin_names`, listen on loopback, or insist with `--insecure`"
            )
            yield Conflict((field, "tls_client_ca", "admin_names", "insecure"), why)


def _taken_twice(settings: Settings) -> Iterator[Conflict]:
    """Every worker needs an address of its own. A port counts for every host: one of them may stand for the other."""
    taken: set[str | int] = set()
    metrics = {"metrics_listen": settings.metrics_listen} if settings.metrics_listen else {}
    for field, text in {**_listeners(settings), **metrics}.items():
        try:
            addresses = [parse_address(one, insecure=True) for one in worker_addresses(text, settings.workers)]
        except AddressError as error:
            yield Conflict((field, "workers"), str(error))
            continue
        places = {normpath(address.file) if address.file else address.port for address in addresses} - {0}
        if taken & places:
            shared = ", ".join(f"`{place}`" for place in sorted(taken & places, key=str)[:3])
            why = f"{shared} is also an address of `listen`; each worker takes one of each, so choose another"
            yield Conflict((field, "listen", "workers"), why)
        taken |= places


def _listeners(settings: Settings) -> Mapping[str, str]:
    """The listeners of gRPC there are, by field."""
    both = {"listen": settings.listen, "admin_listen": settings.admin_listen}
    return {field: text for field, text in both.items() if text}
