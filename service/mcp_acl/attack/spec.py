"""A file of the corpus as it is written: the models of its keys.

Knows no more of a value than its shape. A file is one class of attack, and looks like this:

    version: 1
    class: duplicate-keys       # the file's own name
    why: …                      # why it works, in a sentence or two
    seen: [CVE-…]               # where it was seen, as text
    cases:
      - id: last-name-counts    # unique in the file
        why: …
        send: '{"jsonrpc": …'   # the bytes; or {method: …, params: …}, to which `jsonrpc` and `id` are added; or {base64: …};
                                # or {text: …, repeat: {"@": ["[", 200]}, as: gzip}
        principal: member       # or other, anonymous, invalid: the index says who they are
        server: demo
        http: {method: POST, headers: {Mcp-Name: echo}, chunked: true}  # a header is a text or a list; null: it is left out
        tasks: {t1: {owner: member, tool: echo}}                        # what was created before
        before: [{send: …, answer: …}]                                  # what was exchanged before

        answer: {status: 200, content_type: application/json, headers: {}, body: …}     # what the server answers; body as `send`
        shows: [echo]           # what must still be in what comes out of it
        forbids: ['"public"']   # what must not, beside what is secret

        like: …                 # a message whose denial must be the same, so that nothing is learnt from it
        ambiguous: true         # nothing denied is in it; it is refused because parsers read it differently
        pending: …              # what is not there yet: the case fails until it is
        twin: {send: …}         # the honest case: what of the above differs; `passes` is what must come out, else `answer` as it is

Without `answer` the message of a case must be denied. With one the message passes, and nothing secret of the answer comes out.
"""

import gzip
import zlib
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from mcp_acl.engine.scenario_spec import JsonObject, Part, RawSpec

VERSION: Final = 1
"""Of the format."""

Who: TypeAlias = Literal["member", "other", "anonymous", "invalid"]


class BytesSpec(RawSpec):
    """Bytes that YAML cannot hold, that are too many to write out, or that are encoded."""

    encoding: Literal["utf-8", "utf-16", "utf-16-le", "utf-32", "gzip", "deflate"] = Field(default="utf-8", alias="as")

    def as_bytes(self) -> bytes:
        """What is sent."""
        raw = super().as_bytes()
        match self.encoding:
            case "gzip":
                return gzip.compress(raw, mtime=0)
            case "deflate":
                return zlib.compress(raw)
            case "utf-8":
                return raw
        return raw.decode().encode(self.encoding)


class MessageSpec(Part):
    """A message, written out as it is usual. A notification has no `id`."""

    method: str
    params: JsonObject | None = None
    id: JsonValue = 1

    def as_bytes(self) -> bytes:
        """What is sent."""
        message: JsonObject = {"jsonrpc": "2.0"}
        if not self.method.startswith("notifications/"):
            message["id"] = self.id
        message["method"] = self.method
        if self.params is not None:
            message["params"] = self.params
        return msgspec.json.encode(message)


Bytes: TypeAlias = str | MessageSpec | BytesSpec


def bytes_of(one: Bytes) -> bytes:
    """The bytes that are meant."""
    return one.encode() if isinstance(one, str) else one.as_bytes()


class HttpSpec(Part):
    """The HTTP request of a case, where it is not the usual one."""

    method: str = "POST"
    headers: dict[str, str | list[str] | None] = Field(default={})
    chunked: bool = False


class AnswerSpec(Part):
    """What the server answers."""

    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = Field(default={})
    body: Bytes = ""


class TaskSpec(Part):
    """A task that was created before."""

    owner: Literal["member", "other"]
    tool: str


class StepSpec(Part):
    """What was exchanged before."""

    principal: Who = "member"
    send: Bytes
    answer: AnswerSpec | None = None


class FactsSpec(Part):
    """What a case and its twin may say."""

    send: Bytes = ""
    principal: Who = "member"
    server: str = "demo"
    http: HttpSpec = HttpSpec()
    tasks: dict[str, TaskSpec] = Field(default={})
    before: tuple[StepSpec, ...] = ()
    answer: AnswerSpec | None = None
    shows: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()


class TwinSpec(FactsSpec):
    """The honest case: what is not said is as in the attack."""

    passes: Bytes | None = None


class CaseSpec(FactsSpec):
    """One attack."""

    id: Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
    why: Annotated[str, Field(min_length=1)]
    like: Bytes | None = None
    ambiguous: bool = False
    pending: str = ""
    twin: TwinSpec


class ClassSpec(Part):
    """One file."""

    version: Literal[1]
    name: str = Field(alias="class")
    why: Annotated[str, Field(min_length=1)]
    seen: Annotated[tuple[str, ...], Field(min_length=1)]
    cases: Annotated[tuple[CaseSpec, ...], Field(min_length=1)]


class KnownSpec(Part):
    """A class of attack that is known: the files that show it, and whose job is what no authorizer sees of it."""

    of: Literal["threats", "bugs", "parsers"]
    name: str
    what: str
    files: tuple[str, ...] = ()
    whose: str = ""
    job: str = ""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "KnownSpec":
        if (not self.files and not self.whose) or bool(self.whose) != bool(self.job):
            raise PydanticCustomError("known", "files, or whose job it is, or both")
        return self


class IndexSpec(Part):
    """The index: who asks, and every class that is known."""

    version: Literal[1]
    principals: dict[str, JsonObject]
    known: Annotated[tuple[KnownSpec, ...], Field(min_length=1)]
