"""`mcp-acl`, but that what decides goes wrong at the names of some tools: a program, and what Envoy loads where it is one process.

Knows no pytest: it is loaded inside Envoy.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import mcp_acl.gateway.config
from mcp_acl import server
from mcp_acl.cli import app
from mcp_acl.gateway import inside, single
from mcp_acl.hosts.envoy import Served, process
from mcp_acl.runtime.gate import Answer, Question
from mcp_acl.runtime.observed import ObservedGate

PATIENCE: Final = 1.0
"""Seconds that Envoy waits for a decision here."""
GO_ON: Final = "FAULTY_GO_ON"
"""The variable that names the file for which a busy handler waits."""
CHANGE: Final = "FAULTY_CHANGE"
"""The variable that names the change of CHANGES which Envoy is started with."""
_LONGEST: Final = 60.0


def _raises() -> None:
    raise RuntimeError


def _exits() -> None:
    sys.exit()


def _dies() -> None:
    os._exit(3)


def _is_busy() -> None:
    """Until the file is there; nothing else is done meanwhile."""
    sys.stderr.write("is busy\n")
    sys.stderr.flush()
    until = time.monotonic() + _LONGEST
    while not Path(os.environ[GO_ON]).exists() and time.monotonic() < until:
        time.sleep(0.01)


FAULTS: Final[Mapping[str, Callable[[], None]]] = {
    "raises": _raises,
    "exits": _exits,
    "dies": _dies,
    "is busy": _is_busy,
}
"""What happens at each name of a tool."""


def _managers(config: Any) -> Any:
    for listener in config["static_resources"]["listeners"]:
        yield listener["filter_chains"][0]["filters"][0]["typed_config"]


def _without(config: Any, name: str) -> None:
    for manager in _managers(config):
        for holder in (manager, manager["http2_protocol_options"]):
            holder.pop(name, None)


def _opened(config: Any) -> None:
    for manager in _managers(config):
        for one in manager["http_filters"]:
            if one["name"] == "envoy.filters.http.ext_proc":
                one["typed_config"]["failure_mode_allow"] = True


CHANGES: Final[Mapping[str, tuple[Callable[[Any], None], str]]] = {
    "status 0": (lambda config: _without(config, "local_reply_config"), "ended with `0` as its status"),
    "resets": (lambda config: _without(config, "stream_reset_burst"), "stream_reset_burst"),
    "idle": (lambda config: _without(config, "stream_idle_timeout"), "stream_idle_timeout"),
    "open": (_opened, "failure_mode_allow` is `True` and must be `False`"),
}
"""What must keep it from starting, and what is said of it."""


class FaultyGate(ObservedGate):
    """A gate that goes wrong before it decides."""

    def check(self, question: Question) -> Answer:
        for name, fault in FAULTS.items():
            if f'"{name}"'.encode() in bytes(question.message):  # type: ignore[arg-type]
                fault()
        return super().check(question)


def _replaced(module: ModuleType, name: str, value: object) -> None:
    assert hasattr(module, name)
    setattr(module, name, value)


def served() -> Served:
    """What Envoy loads."""
    _replaced(server, "ObservedGate", FaultyGate)
    return inside.served()


def _write_config(file: Path, config: Any) -> None:
    other = json.loads(json.dumps(config))
    CHANGES[os.environ[CHANGE]][0](other)
    file.write_text(json.dumps(other))


if __name__ == "__main__":
    _replaced(mcp_acl.gateway.config, "_MESSAGE_SECONDS", PATIENCE)
    _replaced(single, "FACTORY", "tests.gateways.faulty:served")
    _replaced(server, "ObservedGate", FaultyGate)
    if CHANGE in os.environ:
        _replaced(process, "write_config", _write_config)
    app()
