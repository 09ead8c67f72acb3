"""Measure what the largest and the worst inputs cost: `python benchmarks/bench_bounds.py [--only NAME] [--json FILE]`.

Each case runs in a process of its own, which makes its input, forgets how much memory that took, and then does the one thing that is measured.
README.md beside this file says what is measured. Linux only: the peak of memory is read from /proc.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from mcp_acl.domain import Message, MessageKind, Request, TokenState
from mcp_acl.engine.response import Filtered, ResponseStream, filter_response
from mcp_acl.mcp.message import parse_message
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import MessageError
from mcp_acl.runtime.gate import Gate, Question

MIB: Final = 1024 * 1024
JSON: Final = "application/json"
STREAM: Final = "text/event-stream"
POLICY: Final = """
version: 1
policy: bounds
settings: {trust_annotations: %s}
rules:
  - {id: half, methods: [tools/list, tools/call], name: {glob: "even_*"}}
  - {id: call, methods: [tools/call], name: find}
  - {id: read, methods: [resources/read], name: {glob: "doc:even-*"}}
"""

Run = Callable[[], str]
"""What is measured; it says in a few words what came of it."""


def policies(*, trusted: bool = False) -> PolicySet:
    return compile_policies([SourceFile("bounds.yaml", (POLICY % str(trusted).lower()).encode())])


def request(method: str, name: str = "") -> Request:
    params = {"name": name} if name else {}
    return Request("s", Message(MessageKind.REQUEST, method, 1, params), {"sub": "ann"}, TokenState.VALID)


def told(found: Filtered) -> str:
    left = f"{len(found.body) / MIB:.1f} MiB left, {len(found.hidden):,} hidden, {len(found.dropped):,} dropped"
    return f"withheld: {found.refused}" if found.refused else left


def list_body(*, spaces: bool = False) -> bytes:
    """10 MB of tools, every other one hidden."""
    tool = {"description": "x" * 150, "inputSchema": {"type": "object", "properties": {"a": {"type": "string"}}}}
    tools = [{"name": f"{'even' if index % 2 else 'odd'}_{index}", **tool} for index in range(38_000)]
    separators = (", ", ": ") if spaces else (",", ":")
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}, separators=separators).encode()


def of_list(*, spaces: bool = False, trusted: bool = False) -> Run:
    body, set_, asked = list_body(spaces=spaces), policies(trusted=trusted), request("tools/list")
    return lambda: told(filter_response(set_, asked, JSON, body))


def of_result(result: str) -> Run:
    body, set_ = f'{{"jsonrpc":"2.0","id":1,"result":{result}}}'.encode(), policies()
    asked = request("tools/call", "find")
    return lambda: told(filter_response(set_, asked, JSON, body))


def of_blocks(block: str, count: int) -> Run:
    return of_result(f'{{"content":[{",".join(block % index for index in range(count))}]}}')


LINK: Final = '{"type":"resource_link","uri":"doc:odd-%d","name":"a","description":"a link to what may not be read"}'
TEXT: Final = '{"type":"text","text":"%d: ' + "a text that names nothing, however long it is, " * 20 + '"}'
DEEP: Final = '{"a":' * 100_000 + "1" + "}" * 100_000


def of_message(params: str) -> Run:
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'.encode()

    def run() -> str:
        try:
            parse_message(body)
        except MessageError as error:
            return f"refused: {error.message}"
        return "read"

    return run


def of_events(event: bytes, count: int) -> Run:
    """Events in pieces of 64 KiB, as they come from a socket."""
    set_, number = policies(), count // (64 * 1024 // len(event))
    piece = event * (64 * 1024 // len(event))

    def run() -> str:
        stream, size = ResponseStream(request("tools/call", "find"), STREAM), 0
        for _ in range(number):
            size += len(stream.feed(set_, piece).body)
        size += len(stream.close(set_).body)
        return f"{size / MIB:.1f} MiB left of {number * len(piece) / MIB:.1f}"

    return run


def of_large_body(content_type: str) -> Run:
    """1 GiB in pieces of 1 MiB, through the gate, which stops at what it keeps."""
    gate = Gate(policies())
    message = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    context = gate.check(Question("s", message, filters_responses=True)).context
    piece = b"data: " + b"x" * (MIB - 6)

    def run() -> str:
        filtering, refused = gate.filter_stream(context, content_type), 0
        for index in range(1024):
            if filtering.feed(piece).filtered.refused:
                refused = refused or index + 1
        return f"withheld after {refused} MiB of 1,024"

    return run


CASES: Final[Mapping[str, Callable[[], Run]]] = {
    "a list of 10 MB": of_list,
    "the same with spaces": lambda: of_list(spaces=True),
    "the same, tools learned": lambda: of_list(trusted=True),
    "10 MB of links that may not be read": lambda: of_blocks(LINK, 100_000),
    "10 MB of texts": lambda: of_blocks(TEXT, 10_000),
    "100,000 levels in arguments": lambda: of_message(f'{{"name":"find","arguments":{DEEP}}}'),
    "100,000 levels in a result": lambda: of_result(f'{{"content":[],"structuredContent":{DEEP}}}'),
    "100,000 levels in a block": lambda: of_result(f'{{"content":[{{"type":"resource","resource":{DEEP}}}]}}'),
    "10 million comments": lambda: of_events(b":\n\n", 10_000_000),
    "10 million events without data": lambda: of_events(b"data\n\n", 10_000_000),
    "1 million events that cannot be read": lambda: of_events(b"data:x\n\n", 1_000_000),
    "1 GiB of JSON": lambda: of_large_body(JSON),
    "1 GiB in one event": lambda: of_large_body(STREAM),
}


class Figure(NamedTuple):
    """One measured case: time of the processor, memory beyond the input."""

    name: str
    seconds: float
    mib: float
    what: str


def peak() -> float:
    """The most memory this process has held since it was last forgotten, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measured(name: str) -> Figure:
    """One case, in this process."""
    run = CASES[name]()
    Path("/proc/self/clear_refs").write_text("5")
    before, start = peak(), time.process_time()
    what = run()
    return Figure(name, time.process_time() - start, peak() - before, what)


def figures(names: list[str]) -> Iterator[Figure]:
    """Each case in a process of its own."""
    for name in names:
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        yield Figure(*json.loads(done.stdout))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="the cases whose name holds this")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one)))
        return 0
    found = []
    for one in figures([name for name in CASES if (options.only or "") in name]):
        found.append(one._asdict())
        print(f"{one.name:38} {one.seconds:8.3f} s  {one.mib:8.1f} MiB  {one.what}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
