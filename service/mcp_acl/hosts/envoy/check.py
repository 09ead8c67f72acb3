"""The check at the start: that a running Envoy has the configuration it was given, and that what must never happen does not.

Each answer is a list of what is wrong, empty if nothing is. Knows no process: Envoy is asked over its two socket files. Blocks.
"""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from mcp_acl.adapters import health as grpc_health
from mcp_acl.adapters.health import Health
from mcp_acl.hosts.envoy.config import Config, admin_file, probe_file
from mcp_acl.hosts.envoy.http import ask
from mcp_acl.hosts.envoy.told import NOT_A_PATH, RAISES, RAISES_LATER
from mcp_acl.hosts.framing import framed

_CALL: Final = {"content-type": "application/grpc", "te": "trailers"}
_FAULTS: Final = (RAISES, RAISES_LATER, NOT_A_PATH, "/mcp_acl.Probe/Exits", "/mcp_acl.Probe/Nothing")
_UNPRINTED: Final = (0, "ALLOW", "AUTO", "EQ", "SANITIZE")
"""What Envoy does not print, because it is what a field holds that was not set."""
_DURATION: Final = re.compile(r"([0-9.]+)s")


def faults(directory: Path, config: Config) -> list[str]:
    """Everything that is wrong with the Envoy of a runtime directory."""
    return [*_configuration_faults(directory, config), *_probe_faults(directory)]


def _configuration_faults(directory: Path, config: Config) -> Iterator[str]:
    dump = json.loads(ask(admin_file(directory), "GET", "/config_dump").body)
    bootstrap = next(one["bootstrap"] for one in dump["configs"] if "bootstrap" in one)
    yield from differences(config, bootstrap, "configuration")


def differences(written: Any, running: Any, place: str) -> Iterator[str]:
    """What was written and does not hold. What Envoy adds of itself is no difference."""
    if isinstance(written, dict):
        known = running if isinstance(running, dict) else {}
        for name, value in written.items():
            yield from differences(value, known.get(name), f"{place}.{name}")
    elif isinstance(written, list):
        if not isinstance(running, list) or len(running) != len(written):
            yield f"`{place}` has not the {len(written)} entries that it must have"
            return
        for number, (value, other) in enumerate(zip(written, running, strict=True)):
            yield from differences(value, other, f"{place}[{number}]")
    elif _plain(written) != _plain(running) and not (running is None and written in _UNPRINTED):
        yield f"`{place}` is `{running}` and must be `{written}`"


def _plain(value: object) -> object:
    """A value however it is printed: durations and large numbers are texts in one place and numbers in the other."""
    text = str(value)
    duration = _DURATION.fullmatch(text)
    return float(duration[1]) if duration else text


def _probe_faults(directory: Path) -> Iterator[str]:
    for path in _FAULTS:
        status = _status(directory, path)
        if status in ("", "0"):
            yield f"the call `{path}` ended with `{status}` as its status; it must end with an error"
    try:
        reply = ask(probe_file(directory), "POST", grpc_health.CHECK, _CALL, framed(b""))
    except (OSError, HTTPException) as error:
        yield f"health is not answered: {error}"
        return
    if reply.body != framed(Health().check(b"")):
        yield "health is not SERVING after the check"


def answers(directory: Path, seconds: float) -> bool:
    """Whether the Python inside answers for its health, whatever it says."""
    try:
        return (
            ask(probe_file(directory), "POST", grpc_health.CHECK, _CALL, framed(b""), seconds).status == HTTPStatus.OK
        )
    except (OSError, HTTPException):
        return False


def _status(directory: Path, path: str) -> str:
    """The gRPC status that a call ends with; empty if it has none, or does not end."""
    try:
        return ask(probe_file(directory), "POST", path, _CALL, framed(b"")).headers.get("grpc-status", "")
    except (OSError, HTTPException):
        return ""
