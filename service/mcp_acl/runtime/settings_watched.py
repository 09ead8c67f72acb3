"""Settings of what is watched and recorded: a part of `Settings`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, Field

from mcp_acl.runtime.address import is_socket_file, parse_address
from mcp_acl.runtime.settings_fields import Conflict, File, Listen, Metavar, Names, Seconds, Share

_MIB: Final = 1024 * 1024
_MAX_FILES: Final = 1000
_MAX_SPANS: Final = 1_000_000
STANDARD_OUTPUT: Final = Path("-")
COLLECTOR: Final = Path("otlp")
"""What `decision_log` may be that is no file."""
_URL: Final = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~/-]*)?")


def _endpoint(text: str) -> str:
    if text and not _URL.fullmatch(text):
        raise ValueError("it must be an http or https URL without a query, for instance `http://127.0.0.1:4318`")
    return text


class WatchedSettings(BaseModel):
    """What is told of decisions."""

    metrics_listen: Listen = Field(
        default="",
        description="Where Prometheus finds metrics, by HTTP at `/metrics`: `host:port`, with several workers the first one's, as `listen`. None, "
        "so that nothing listens unless someone wants it.",
        examples=["127.0.0.1:9464"],
    )
    metrics_insecure: bool = Field(
        default=False,
        description="Allows a `metrics_listen` that others can reach. Off, because metrics name servers, tools and rules, and are told in clear.",
    )
    otlp_endpoint: Annotated[str, Metavar("URL"), AfterValidator(_endpoint)] = Field(
        default="",
        description="The base URL of a collector of OpenTelemetry, by OTLP over HTTP: metrics go there, and spans of traces that are sampled. What "
        "else there is to say to it (headers, certificates), say by `OTEL_EXPORTER_OTLP_…`. None: nothing is sent.",
        examples=["http://127.0.0.1:4318"],
    )
    otlp_interval: Annotated[Seconds, Field(ge=1)] = Field(
        default=15.0,
        description="Seconds between sendings of metrics to `otlp_endpoint`, 1 or more. 15, as often as Prometheus usually asks.",
    )
    trace_share: Share = Field(
        default=0.0,
        description="The share of messages that are traced where nobody who is believed has said whether they are, 0 to 1; those without a trace begin "
        "one. None: that is for who begins a trace.",
    )
    trace_clients: bool = Field(
        default=False,
        description="Lets clients say whether what they send is traced, by the flag in `traceparent` of the HTTP request or of `_meta`, where the "
        "gateway's call says nothing. Off, because whoever can ask could have all of it traced: their traces are joined, and `trace_share` says "
        "which of them are sampled.",
    )
    trace_most: Annotated[int, Metavar("N"), Field(ge=0, le=_MAX_SPANS)] = Field(
        default=200,
        description="Spans that one worker makes in a second at the most, whoever asks for them; what comes beyond is decided and recorded, and counted "
        "by `mcp_acl.spans.dropped`. 0: none. 200 take about 3 % of a processor, sending included, and are 1 % of "
        "20,000 decisions.",
    )
    decision_log: File = Field(
        default=None,
        description="A file for a record of every decision, a line of JSON each, which all workers share; `-` is standard output, with the host "
        "`envoy` standard error; `otlp` is `otlp_endpoint`. Its directory must be there. None, because records say who did what: someone must want that.",
        examples=["/var/log/mcp-acl/decisions.jsonl"],
    )
    log_allowed: Share = Field(
        default=1.0,
        description="The share of records that are kept of what was allowed, 0 to 1, drawn by chance; of what was denied, or would be answered "
        "otherwise in shadow, all are. All, because a log that leaves out proves little.",
    )
    log_claims: Names = Field(
        default=("iss", "sub"),
        description="Claims that name the principal in a record. These two are who it is, and no more.",
    )
    log_arguments: bool = Field(
        default=False,
        description="Records the arguments of calls too, up to 4 KiB. Off, because they hold what people write.",
    )
    log_masked: Names = Field(
        default=(),
        description="Names of claims and arguments, at any depth, of which a record says only that they are there, and which its words do not "
        "quote. None, because neither is recorded but what is named.",
        examples=[["email", "password"]],
    )
    log_names: bool = Field(
        default=True,
        description="Records names of tools and prompts and URIs of resources as they are; without it a digest, by which the same is found "
        "again. On, because a record that does not say what was denied helps nobody.",
    )
    log_size: Annotated[int, Metavar("BYTES"), Field(ge=64 * 1024, le=1024 * 1024 * _MIB)] = Field(
        default=100 * _MIB,
        description="Bytes of the log beyond which another file is begun. 100 MiB are about 200,000 records.",
    )
    log_files: Annotated[int, Metavar("N"), Field(ge=0, le=_MAX_FILES)] = Field(
        default=10,
        description="Older files of the log that are kept, as `.1`, `.2`, …. 10, so that a log takes about a gigabyte.",
    )


def watched_conflicts_of(settings: WatchedSettings) -> Iterator[Conflict]:
    """What does not go together here, each right by itself."""
    if settings.decision_log == STANDARD_OUTPUT and getattr(settings, "workers", 1) > 1:
        why = "records of several workers would get mixed on standard output; name a file"
        yield Conflict(("decision_log", "workers"), why)
    if settings.decision_log == COLLECTOR and not settings.otlp_endpoint:
        yield Conflict(
            ("decision_log", "otlp_endpoint"), "`otlp` needs `otlp_endpoint` beside it, where records are sent"
        )
    if settings.trace_share and not settings.otlp_endpoint:
        yield Conflict(("trace_share", "otlp_endpoint"), "it needs `otlp_endpoint` beside it, where spans are sent")
    if settings.metrics_listen:
        yield from _metrics(settings)


def _metrics(settings: WatchedSettings) -> Iterator[Conflict]:
    text = settings.metrics_listen
    if is_socket_file(text):
        yield Conflict(
            ("metrics_listen",), f"`{text}` is a socket file, by which Prometheus does not ask; listen on `host:port`"
        )
    elif not (parse_address(text, insecure=True).is_local or settings.metrics_insecure):
        why = f"`{text}` can be reached from elsewhere, and metrics are told in clear; listen on loopback, or insist with `--metrics-insecure`"
        yield Conflict(("metrics_listen", "metrics_insecure"), why)
