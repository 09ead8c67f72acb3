"""Which request goes where, and what Envoy answers itself. Pure.

A request that goes to a server says which one to the service, by metadata of the gRPC call, where no client writes. What goes to none is
answered here, and the service is not asked.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from mcp_acl.adapters.facts import SERVER_METADATA
from mcp_acl.gateway.clusters import cluster_name
from mcp_acl.gateway.tokens import Tokens, metadata_document, metadata_path
from mcp_acl.gateway.upstreams import Upstream
from mcp_acl.hosts.envoy.config import Config, typed

EXT_PROC: Final = "envoy.filters.http.ext_proc"
_PER_ROUTE: Final = "extensions.filters.http.ext_proc.v3.ExtProcPerRoute"
_NOT_FORWARDED: Final = (
    # An encoded list could not be filtered.
    "accept-encoding",
    # Frameworks that read another method or path in these than the one that was decided.
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    # And another host than the server's own.
    "x-forwarded-host",
    "x-forwarded-prefix",
    "forwarded",
    # What only gateways say.
    "x-mcp-acl-server",
    "x-jwt-payload",
)
_ANYWHERE: Final = ("*",)
_THIS_MACHINE: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"
_PORTS: Final = {"http": 80, "https": 443}


def virtual_hosts(
    upstreams: Sequence[Upstream],
    public_url: str,
    names: Sequence[str],
    tokens: Tokens | None,
    origins: Sequence[str] = (),
) -> list[Config]:
    """All routes.

    With `names`, what is asked as some other host is refused: a page that had its name point here would be answered else; and so is what a
    page of another origin than those of this machine, of `public_url` and of `origins` asks (MCP transports, `Origin`).
    """
    documents = list(_documents(upstreams, public_url, tokens))
    servers = [_route(one, tokens) for one in sorted(upstreams, key=lambda one: not one.is_named)]
    pages = [_page_refusal((public_url, *origins))] if names else []
    known = {
        "name": "servers",
        "domains": list(names or _ANYWHERE),
        "request_headers_to_remove": list(_NOT_FORWARDED),
        # They would lead a client past the gateway, to the server's own address.
        "response_headers_to_remove": ["alt-svc", "location"],
        "routes": [*documents, *pages, *servers, _answer({"prefix": "/"}, 404, "no MCP server is here\n")],
    }
    if not names:
        return [known]
    text = "this gateway is not known as that host; start it with --public-url\n"
    return [
        known,
        {"name": "others", "domains": list(_ANYWHERE), "routes": [_answer({"prefix": "/"}, 421, text)]},
    ]


def _page_refusal(origins: Sequence[str]) -> Config:
    """What a browser sends for a page from elsewhere. What is no browser says no origin."""
    known = "|".join([_THIS_MACHINE, *(re.escape(_origin(one)) for one in origins)])
    matcher = {"name": "origin", "string_match": {"safe_regex": {"regex": known}}, "invert_match": True}
    text = "pages of this origin may not ask here; start the gateway with --allow-origin\n"
    return _answer({"prefix": "/", "headers": [matcher]}, 403, text)


def _origin(url: str) -> str:
    """As browsers write it (RFC 6454 §6.2)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _route(upstream: Upstream, tokens: Tokens | None) -> Config:
    action: Config = {
        "cluster": cluster_name(upstream),
        # Servers look at it, against DNS rebinding.
        "host_rewrite_literal": upstream.origin.authority,
        # A stream of events has no end.
        "timeout": "0s",
        # Only what has not reached the server is sent again.
        "retry_policy": {"retry_on": "connect-failure,refused-stream", "num_retries": 1},
    }
    said = {"overrides": {"grpc_initial_metadata": [{"key": SERVER_METADATA, "value": upstream.id}]}}
    route: Config = {
        "name": upstream.id,
        "match": {"prefix": "/"},
        "route": action,
        "typed_per_filter_config": {EXT_PROC: typed(_PER_ROUTE, said)},
    }
    if upstream.is_named:
        route["match"] = {"path": upstream.public_path}
        action["prefix_rewrite"] = upstream.path
    if tokens is not None:
        # Not even one that was not verified: a token is for the one it was issued to (MCP authorization, token passthrough).
        route["request_headers_to_remove"] = ["authorization"]
    return route


def _documents(upstreams: Sequence[Upstream], public_url: str, tokens: Tokens | None) -> Iterator[Config]:
    """The metadata of each resource, where its clients look for it: at its path, at its id, and at the root if it has no name."""
    if tokens is None or not tokens.issuer:
        return
    for one in upstreams:
        document = metadata_document(f"{public_url}{one.public_path}", tokens.issuer)
        places = [metadata_path(one.public_path), metadata_path(f"/{one.id}/mcp")]
        places += [] if one.is_named else [metadata_path("/")]
        for place in dict.fromkeys(places):
            yield _answer({"path": place}, 200, document, "application/json")


def _answer(match: Config, status: int, text: str, content_type: str = "text/plain") -> Config:
    """An answer of Envoy's own. A page of a browser may read it: it is for everyone."""
    headers = {"content-type": content_type, **({"access-control-allow-origin": "*"} if status == 200 else {})}
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": text}},
        "response_headers_to_add": [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in headers.items()
        ],
        "typed_per_filter_config": {EXT_PROC: typed(_PER_ROUTE, {"disabled": True})},
    }
