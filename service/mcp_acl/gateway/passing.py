"""Decisions on their way from the process that makes them to the one that shows them: by a pipe, each a line of JSON."""

import json
import logging
import os
import threading
from datetime import datetime
from typing import Final

from mcp_acl.domain import RuleRef
from mcp_acl.gateway.telling import Teller
from mcp_acl.gateway.watching import Seen, Tell

_LOG: Final = logging.getLogger("mcp_acl")
_END_SECONDS: Final = 2.0


def sender(descriptor: int) -> Teller:
    """What tells whoever reads the other end. One that does not read holds nobody up."""
    return Teller(
        lambda seen: _write(descriptor, line_of(seen)),
        lambda missed: _LOG.warning("%d decisions are not shown", missed),
    )


class Receiver:
    """Tells what comes, in a thread of its own, until nobody has the other end any more."""

    def __init__(self, descriptor: int, tell: Tell) -> None:
        self._thread = threading.Thread(target=self._run, args=(descriptor, tell), name="decisions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait until all that was sent is told. For when the other end has been closed."""
        self._thread.join(_END_SECONDS)

    @staticmethod
    def _run(descriptor: int, tell: Tell) -> None:
        with os.fdopen(descriptor, "rb") as stream:
            for line in stream:
                # A process that is killed may leave half of one.
                if line.endswith(b"\n"):
                    tell(seen_of(line))


def line_of(seen: Seen) -> bytes:
    """A decision as a line, in ASCII, whatever peers have written."""
    time, *rest = seen
    return json.dumps([time.isoformat(), *rest]).encode() + b"\n"


def seen_of(line: bytes) -> Seen:
    """The decision of a line."""
    time, *rest = json.loads(line)
    seen = Seen(datetime.fromisoformat(time), *rest)
    return seen._replace(rules=tuple(RuleRef(*one) for one in seen.rules))


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]
