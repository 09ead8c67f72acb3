"""What `mcp-acl gateway` prints: decisions as lines, the configuration as YAML. Text of peers is shown so that a terminal obeys nothing of it."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import typer
import yaml

from mcp_acl.cli.printing import Record, printable
from mcp_acl.gateway import Plan, Ready, Seen, bootstrap, joined, public_url_of, settings_of, site_of
from mcp_acl.hosts.envoy import Installation
from mcp_acl.hosts.envoy.config import Config, tcp
from mcp_acl.server import flags_of

_SERVICE: Final = ("127.0.0.1", 9191)
_DIRECTORY: Final = "/run/mcp-acl"
_LONGEST: Final = 200
_COLOURS: Final = {"allow": "green", "deny": "red", "withheld": "red"}
_CUT: Final = "…"
_SPACES: Final = re.compile("  +")


def line_of(seen: Seen) -> str:
    """A decision on one line: when, which server, who, what, the decision, why, and the rules that decided."""
    what = " ".join(filter(None, (_shown(seen.method), _shown(seen.target))))
    word = typer.style(f"{seen.decision.upper():<8}", fg=_COLOURS.get(seen.decision), bold=True)
    fields = [f"{seen.time.astimezone():%H:%M:%S}", _shown(seen.server), _shown(seen.principal), what, word]
    return "  ".join([*fields, *_because(seen)])


def _because(seen: Seen) -> Iterator[str]:
    if seen.decision == "filtered":
        yield f"{seen.shown} shown, {seen.hidden} hidden"
    else:
        yield _shown(seen.reason)
    for rule in seen.rules:
        yield _shown(f"{rule} {rule.file}:{rule.line}")


def _shown(text: str) -> str:
    """On one line, not too long. Two spaces stand between fields, so none has them."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}{_CUT}"
    return printable(_SPACES.sub(" ", cut))


def record_line(seen: Seen) -> str:
    """The same as a line of JSON, in ASCII."""
    record: dict[str, object] = {
        "time": seen.time.isoformat(timespec="milliseconds"),
        "server": seen.server,
        "principal": seen.principal,
        "method": seen.method,
        "target": seen.target,
        "decision": seen.decision,
        "reason": seen.reason,
        "rules": [{"policy": r.policy, "rule": r.rule, "file": r.file, "line": r.line} for r in seen.rules],
        "decision_id": seen.decision_id,
    }
    if seen.decision in ("filtered", "withheld"):
        record |= {"shown": seen.shown, "hidden": seen.hidden}
    return json.dumps(record, ensure_ascii=True)


def ready_lines(ready: Ready) -> Iterator[str]:
    """Where the gateway is, and what to tell a client for each server."""
    yield f"listening on {ready.address}"
    width = max(map(len, ready.urls))
    for server, url in ready.urls.items():
        yield f"  {server:<{width}}  {url}"
    count = len(ready.policies.policies)
    yield f"policies: {count}, revision {ready.policies.revision}. Ctrl-C ends it."


def ready_record(ready: Ready) -> Record:
    """The same for programs."""
    return {"listening": ready.address, "servers": ready.urls, "revision": ready.policies.revision}


def configuration(plan: Plan) -> str:
    """Envoy's configuration for a service that runs by itself, and how to start that."""
    host, port = _SERVICE
    listen = f"{host}:{port}"
    settings = settings_of(plan, public_url_of(plan, plan.listen.port), listen)
    site = site_of(plan, plan.listen.host, plan.listen.port, tcp(host, port))
    flags = ["serve", "--policies", str(settings.policies), "--listen", listen, "--max-calls", str(settings.max_calls)]
    flags += [] if settings.anonymous else ["--no-anonymous"]
    flags += ["--resource-metadata", settings.resource_metadata] if settings.resource_metadata else []
    flags += flags_of(plan.watched)
    head = [
        "# Envoy's configuration: `envoy --config-path FILE`. The service that it asks is started with",
        f"#   mcp-acl {printable(shlex.join(flags))}",
    ]
    return _page(head, bootstrap(site))


def joined_configuration(plan: Plan, inside: Installation) -> str:
    """Envoy's configuration where the service is inside it."""
    directory = Path(_DIRECTORY)
    settings = settings_of(plan, public_url_of(plan, plan.listen.port), f"unix:{directory}/service.sock")
    site = site_of(plan, plan.listen.host, plan.listen.port, joined.SERVICE)
    head = [
        "# Envoy's configuration where the service is inside it. For reading: the Python inside ends unless the command that started it",
        f"# lives, which is `mcp-acl gateway --one-process`; `{directory}` stands for a directory that it makes.",
    ]
    return _page(head, joined.bootstrap(site, settings, directory, inside.module))


def _page(head: Sequence[str], config: Config) -> str:
    text: str = yaml.safe_dump(config, sort_keys=False, width=120)
    return "\n".join([*head, text])
