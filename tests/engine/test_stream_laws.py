"""Streams of every kind of message: whatever the cuts, the same leaves; nothing that is hidden does, and nothing else is lost.

`MCP_ACL_EXAMPLES` (300 unless told) is how many streams are made, `MCP_ACL_SEED` which. What must not leave is marked, what must is numbered; both
are looked for by a reader of event streams that is written here a second time, and by the standard library's JSON.
"""

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcp_acl.domain import Json, Message, MessageKind, Request, TaskFact, TokenState
from mcp_acl.engine.response import Filtered, ResponseStream, filter_response
from tests.engine.weather import policies

EXAMPLES = int(os.environ.get("MCP_ACL_EXAMPLES", "300"))
SEED = int(os.environ.get("MCP_ACL_SEED", "0"))
STREAM = "text/event-stream"
POLICIES = policies(
    """
version: 1
policy: p
rules:
  - {id: by-name, methods: [tools/list, tools/call, prompts/list, prompts/get], name: {glob: "open_*"}}
  - {id: by-uri, methods: [resources/list, resources/templates/list, resources/read, skills/list], name: {glob: "doc:open-*"}}
  - {id: log, methods: [notifications/message]}
"""
)
HIDDEN = "hidden"
"""Stands in every name and URI that must not leave, and in nothing else."""

ASKED: tuple[tuple[str, dict[str, Json]], ...] = (
    ("ping", {}),
    ("tools/call", {"name": "open_a"}),
    ("resources/read", {"uri": "doc:open-a"}),
    ("prompts/get", {"name": "open_a"}),
    ("tasks/get", {"taskId": "t-open"}),
    ("", {}),
)


class Object(list[tuple[str, Any]]):
    """A JSON object by its members: some may stand twice."""


def has_doubles(value: object) -> bool:
    """Whether a key stands twice in some object."""
    if isinstance(value, Object):
        return len({key for key, _ in value}) < len(value) or any(has_doubles(inner) for _, inner in value)
    return isinstance(value, list) and any(map(has_doubles, value))


class Maker:
    """Makes one stream: its bytes, and the numbers that must leave with it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - draws examples
        self.must_leave: set[str] = set()
        self._count = 0

    def request(self) -> Request:
        method, params = self.rng.choice(ASKED)
        tasks = {
            "t-open": TaskFact("https://idp", "ann", "open_a"),
            "t-hidden": TaskFact("https://idp", "bob", "open_a"),
        }
        claims = {"iss": "https://idp", "sub": "ann"}
        kind = MessageKind.REQUEST if method else MessageKind.EXCHANGE
        return Request("s", Message(kind, method, 1, params), claims, TokenState.VALID, tasks=tasks)

    def stream(self) -> bytes:
        blocks = [self.block() for _ in range(self.rng.randint(0, 5))]
        text = "".join(self.ended([*block, ""]) for block in blocks)
        cut_off = self.rng.choice(["", "", f"data: {HIDDEN}", "data: {"])
        return (self.rng.choice(["", "", "\ufeff"]) + text + cut_off).encode()

    def ended(self, lines: list[str]) -> str:
        """Lines with their ends, alike in one event: CR and LF of two lines would be one end."""
        end = self.rng.choice(["\n", "\n", "\r\n", "\r"])
        return "".join(line + end for line in lines)

    def block(self) -> list[str]:
        """The lines of one event."""
        kind = self.rng.randrange(12)
        if kind == 0:
            return [self.rng.choice([":", ": keep-alive", "retry: 500", "id: 7", "id: 7\0"])]
        if kind == 1:
            return ["id: 1", self.rng.choice(["data:", "data", "data: "])]
        lines = [f"data:{self.rng.choice(['', ' '])}{line}" for line in self.message().split("\n")]
        around = [
            "id: 3",
            ": comment",
            "retry: 7",
            "event: message",
            "x: y",
            f":\u2028data: {HIDDEN}",
            f":\vdata:{HIDDEN}",
        ]
        for line in self.rng.sample(around, self.rng.choice([0, 0, 1, 2])):
            lines.insert(self.rng.randint(0, len(lines)), line)
        return lines

    def message(self) -> str:
        """The text of one event's data, mostly one JSON-RPC message."""
        before, number = set(self.must_leave), self.rng.randrange(20)
        if number == 0:
            return self.rng.choice(["{", f'"{HIDDEN}"', f'[{{"result":{{"tools":[{{"name":"{HIDDEN}"}}]}}}}]', "5"])
        if number == 1:
            return self.text(Object([("jsonrpc", "2.0"), ("method", "notifications/message"), ("params", self.open())]))
        if number == 2:
            return self.text(
                Object([("jsonrpc", "2.0"), ("id", 4), ("method", "roots/list"), ("params", self.closed())])
            )
        if number == 3:
            params = Object([("taskId", "t-open"), ("status", "completed"), ("result", self.result(flat=True))])
            text = self.text(Object([("jsonrpc", "2.0"), ("method", "notifications/tasks"), ("params", params)]))
            if has_doubles(params):  # in a message of the server's no key may stand twice
                self.must_leave = before
        else:
            members = [("jsonrpc", "2.0"), ("id", self.rng.choice([1, 2, "1"])), ("result", self.result())]
            self.rng.shuffle(members)
            text = self.text(Object(members))
        if number == 4:  # two messages in one event
            self.must_leave = before
            return f"{text}\n{text}"
        if number == 5:  # a member of the envelope in doubt
            self.must_leave = before
            return '{"result":{},' + text.lstrip()[1:]
        return text

    # ---- results: numbers in what must leave, the mark in what must not ----

    def result(self, *, flat: bool = False) -> Object:
        before = set(self.must_leave)
        found = Object(kind(self) for kind in self.rng.sample(self.KINDS, self.rng.choice([1, 1, 1, 2])))
        if self.rng.randrange(15) == 0:  # a member in doubt
            key, value = self.rng.choice(found)
            found.insert(self.rng.randint(0, len(found)), (self.rng.choice([key, key.title(), f"{key}\0"]), value))
            self.must_leave = before
        if not flat and self.rng.randrange(10) == 0:
            return Object([("taskId", "t-open"), ("status", "completed"), ("result", found)])
        return found

    def number(self, prefix: str) -> str:
        self._count += 1
        self.must_leave.add(f"#{self._count}#")
        return f"{prefix}{self._count}"

    def marked(self, prefix: str) -> str:
        return self.rng.choice([f"{prefix}{HIDDEN}", HIDDEN])

    def entries(self, member: str, prefix: str, hidden: str) -> list[Object]:
        return [self.entry(member, prefix, hidden) for _ in range(self.rng.randint(0, 4))]

    def entry(self, member: str, prefix: str, hidden: str) -> Object:
        """An entry of a list. What must leave has its number in a member of its own."""
        kind = self.rng.randrange(8)
        if kind < 3:
            self._count += 1
            serial = f"#{self._count}#"
            self.must_leave.add(serial)
            found = Object([(member, f"{prefix}{self._count}"), ("title", serial), ("x", Object([(member, 1)]))])
        elif kind < 6:
            found = Object(
                [
                    (
                        member,
                        self.rng.choice(
                            [f"{hidden}{HIDDEN}", f"{prefix}/../{HIDDEN}"] if ":" in prefix else [f"{hidden}{HIDDEN}"]
                        ),
                    )
                ]
            )
        else:
            other = self.rng.choice(
                [member, member.upper(), member + "\0", f" {member}", member.replace("s", "\u017f")]
            )
            pair = [(member, f"{prefix}1"), (other if other != member else member, f"{hidden}{HIDDEN}")]
            found = Object(pair if kind == 6 or other != member else pair[::-1])
        self.rng.shuffle(found)
        return found

    def tools(self) -> tuple[str, Any]:
        return "tools", self.entries("name", "open_", "")

    def prompts(self) -> tuple[str, Any]:
        return "prompts", self.entries("name", "open_", "")

    def resources(self) -> tuple[str, Any]:
        return "resources", self.entries("uri", "doc:open-", "doc:")

    def templates(self) -> tuple[str, Any]:
        return "resourceTemplates", self.entries("uriTemplate", "doc:open-{x}", "doc:")

    def skills(self) -> tuple[str, Any]:
        return "skills", self.entries("uri", "doc:open-", "doc:")

    def tasks(self) -> tuple[str, Any]:
        return "tasks", [Object([("taskId", f"t-{HIDDEN}")]) for _ in range(self.rng.randint(0, 2))]

    def contents(self) -> tuple[str, Any]:
        return "contents", self.entries("uri", "doc:open-", "doc:")

    def blocks(self) -> list[Object]:
        return [self.embedded(one) for one in self.entries("uri", "doc:open-", "doc:")]

    def embedded(self, resource: Object) -> Object:
        kind = self.rng.randrange(5)
        if kind == 0:
            return Object([("type", "resource_link"), *resource])
        if kind == 1 and not any(HIDDEN in str(value) for _, value in resource):
            return Object([*resource, ("type", "image")])
        return Object(self.rng.sample([("type", "resource"), ("resource", resource)], 2))

    def content(self) -> tuple[str, Any]:
        return "content", self.blocks()

    def messages(self) -> tuple[str, Any]:
        blocks = [self.rng.choice([block, [block]]) for block in self.blocks()]
        return "messages", [Object([("role", "user"), ("content", block)]) for block in blocks]

    def open(self) -> Object:
        self._count += 1
        self.must_leave.add(f"#{self._count}#")
        return Object([("level", "info"), ("data", f"#{self._count}#")])

    def closed(self) -> Object:
        return Object([("data", HIDDEN)])

    KINDS = (tools, prompts, resources, templates, skills, tasks, contents, content, messages)

    # ---- text: spaces, line ends, escapes ----

    def text(self, value: Any) -> str:
        plain = self.rng.random() < 0.4
        space = (lambda: "") if plain else (lambda: self.rng.choice(["", "", " ", "\n", "\t"]))
        escapes = 0.0 if self.rng.random() < 0.6 else 0.1
        return "".join(self.tokens(value, space, escapes))

    def tokens(self, value: Any, space: Callable[[], str], escapes: float) -> Iterator[str]:
        match value:
            case Object():
                yield "{" + space()
                for index, (key, inner) in enumerate(value):
                    yield ("," + space() if index else "") + self.string(key, escapes) + space() + ":" + space()
                    yield from self.tokens(inner, space, escapes)
                yield space() + "}"
            case list():
                yield "[" + space()
                for index, inner in enumerate(value):
                    yield "," + space() if index else ""
                    yield from self.tokens(inner, space, escapes)
                yield space() + "]"
            case str():
                yield self.string(value, escapes)
            case _:
                yield json.dumps(value)

    def string(self, text: str, escapes: float) -> str:
        written = (f"\\u{ord(char):04x}" if self.rng.random() < escapes else json.dumps(char)[1:-1] for char in text)
        return f'"{"".join(written)}"'


# ---- what leaves, read a second time ---------------------------------------------------------------------------------


def data_of(body: bytes) -> Iterator[str]:
    """The data of every event, by a plain reading of the standard; an event that is cut off counts too."""
    data: list[str] = []
    for line in [*re.split("\r\n|\r|\n", body.decode().removeprefix("\ufeff")), ""]:
        if line == "" and data:
            yield "\n".join(data)
            data = []
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))


def strings_in(value: object) -> Iterator[str]:
    """Every string in a value that was read with all members of its objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings_in(inner)


def leaving(body: bytes) -> set[str]:
    """Every string in every message that leaves."""
    found: set[str] = set()
    for data in data_of(body):
        if data:
            found |= set(strings_in(json.loads(data, object_pairs_hook=list)))
    return found


def cut(body: bytes, rng: random.Random) -> list[bytes]:
    edges = sorted(rng.randint(0, len(body)) for _ in range(rng.randint(0, 6)))
    return [body[start:end] for start, end in zip([0, *edges], [*edges, len(body)], strict=True)]


def in_pieces(request: Request, pieces: list[bytes]) -> tuple[bytes, list[str], list[str]]:
    stream = ResponseStream(request, STREAM)
    answers: list[Filtered] = [*(stream.feed(POLICIES, piece) for piece in pieces), stream.close(POLICIES)]
    return (
        b"".join(one.body for one in answers),
        [name for one in answers for name in one.hidden],
        [why for one in answers for why in one.dropped],
    )


@pytest.mark.untraced
def test_whatever_the_cuts_the_same_leaves_and_nothing_that_is_hidden() -> None:
    for index in range(EXAMPLES):
        maker = Maker(SEED * 1_000_000_007 + index)
        request, body = maker.request(), maker.stream()
        whole = filter_response(POLICIES, request, STREAM, body)
        expected = (whole.body, list(whole.hidden), list(whole.dropped))
        assert expected == in_pieces(request, [body[at : at + 1] for at in range(len(body))]), index
        assert expected == in_pieces(request, cut(body, maker.rng)), index
        found = leaving(whole.body)
        assert [] == [one for one in found if HIDDEN in one], index
        assert HIDDEN.encode() not in whole.body, index
        assert set() == maker.must_leave - found, index
