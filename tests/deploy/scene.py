"""What stands around a gateway in these tests: the real service with a policy, and a real MCP server. Knows no Envoy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.peers.running import Peer, running
from tests.serving import serving

POLICY: Final = """
version: 1
policy: examples
servers: [weather, files, gateway]
rules:
  - id: everyone-echoes
    methods: [tools/list, tools/call]
    name: echo
  - id: analysts-add
    methods: [tools/list, tools/call]
    name: add
    cel: '"analysts" in claims.groups'
"""
"""Of the server's tools an anonymous principal has one, and an analyst has two."""

ANALYST: Final = {"sub": "ann", "groups": ["analysts"]}


@contextmanager
def service(directory: Path, *flags: str) -> Iterator[tuple[str, int]]:
    """The service: where it listens."""
    policies = directory / "policies"
    policies.mkdir(exist_ok=True)
    (policies / "examples.yaml").write_text(POLICY)
    with serving(policies, *flags) as address:
        host, _, port = address.rpartition(":")
        yield host, int(port)


@contextmanager
def server(directory: Path, *flags: str) -> Iterator[Peer]:
    """An MCP server that writes down what it runs. Its answers are event streams, or JSON with `--json`."""
    with running("python", directory, *flags) as peer:
        yield peer
