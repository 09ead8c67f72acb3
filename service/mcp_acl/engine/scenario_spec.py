"""A scenario file as it is written: the models of its keys.

Knows no more of a value than its shape. A file looks like this:

    policies:                   # file name → policy, as text or as a mapping; left out: the policy files beside this file
    principals:                 # names for claims: {ann: {sub: ann, role: admin}}
    defaults:                   # any key of a scenario but `name` and `expect`, for those that do not say otherwise
    scenarios:
      - name: An admin sees every tool          # the fact it states
        row: "3.4 …"                            # the sentence of the specification that it shows

        server: weather
        principal: ann                          # or `claims: {…}`, or `anonymous: true`, or `token: invalid`, `token: missing`
        direction: client_to_server             # or server_to_client
        headers: {Mcp-Name: x}                  # a text, or a list of texts, for each
        http: {method: POST, path: /mcp, remote_address: 10.0.0.7}
        attributes: {plan: gold}                # the gateway's own facts
        time: "2026-03-02T09:30:00Z"            # with its zone
        tasks: {t1: {issuer: …, subject: …, tool: …}}
        filters_responses: true                 # whether the caller hands list responses back

        message: tools/call get_weather         # a method and, after one space, its target
        arguments: {city: Oslo}                 # of such a message
        message: {method: …, params: {…}}       # or in full; `jsonrpc` and `id` are filled in
        raw: '{"jsonrpc": …'                    # or byte for byte; also {base64: …}, {text: …, repeat: {"@": ["[", 200]}}

        list: [get_weather, {name: x, …}]       # the server's answer, as entries, in short or in full
        response: {body: …}                     # or as text; also {json: …}; `content_type` is application/json

        expect:                                 # what is left out is not compared, but for `errors`, `dropped`, `refused`
          decision: allow                       # or deny
          reason: granted
          rules: [policy/rule]                  # those that decided, in order
          errors: [policy/rule]                 # those whose condition broke, in any order; left out: none
          response_needs: none                  # or list, result, stream
          message: …                            # what a rule tells the client
          status: 200                           # the denial's HTTP status, JSON-RPC error code, and the id it echoes
          code: 403
          id: 1
          entries: [get_weather]                # the names left in every list of the body, in order
          hidden: [x]                           # the names taken out, in any order
          dropped: 1                            # how many things were taken out for being in doubt; left out: none
          refused: true                         # whether the whole body was replaced; left out: it was not
          content_type: application/json
          body: …                               # the body, byte for byte
          json: {…}                             # or by its value
          shadow:                               # if all that is in shadow were enforced; left out: nothing is expected of it
            decision: deny                      # what would be decided; as above if that would be the same
            reason: denied_by_rule              # why, and by which rules: told only of another decision
            rules: [policy/rule]
            hidden: [x]                         # the names that would be taken out besides, and left in besides, in any order
            shown: [y]
            refused: true                       # whether the whole body would be replaced
        cannot_filter: {…}                      # the same, for an entrance that cannot filter responses; left out: the same
                                                # decision, but a list that is allowed is denied as `list_not_filtered`,
                                                # unless its reason is `nothing_hidden`
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from mcp_acl.domain import Direction, Reason, ResponseNeeds
from mcp_acl.engine.scenarios import IN_SHADOW

JsonObject: TypeAlias = dict[str, JsonValue]


_UNORDERED: Final = frozenset({"errors", "hidden", "shadow.hidden", "shadow.shown"})

MAX_SIZE: Final = 64 * 1024 * 1024
"""Bytes of one message made by `repeat`."""


class Part(BaseModel):
    """A mapping in the file. It is frozen and has no keys but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _is_base64(text: str) -> str:
    try:
        b64decode(text, validate=True)
    except ValueError:
        raise PydanticCustomError("base64", "base64") from None
    return text


def _has_a_zone(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise PydanticCustomError("zone", "a time with its zone: `2026-03-02T09:30:00Z`")
    return time


def _differ(headers: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    if len({name.lower() for name in headers}) < len(headers):
        raise PydanticCustomError("headers", "names that differ in more than their case")
    return headers


class RawSpec(Part):
    """Bytes that YAML cannot hold, or that are too many to write out: in `text` each key of `repeat` is replaced."""

    text: str = ""
    base64: Annotated[str, AfterValidator(_is_base64)] = ""
    repeat: dict[str, tuple[str, Annotated[int, Field(ge=0)]]] = {}

    @model_validator(mode="after")
    def _is_one(self) -> "RawSpec":
        if "base64" in self.model_fields_set and len(self.model_fields_set) > 1:
            raise PydanticCustomError("one_of", "`base64` alone, or `text` and `repeat`")
        return self

    @model_validator(mode="after")
    def _is_small(self) -> "RawSpec":
        text = self.text
        for mark, (part, times) in self.repeat.items():
            if text.count(mark) * len(part) * times > MAX_SIZE:
                raise PydanticCustomError("size", "smaller")
            text = text.replace(mark, part * times)
        return self

    def as_bytes(self) -> bytes:
        """What is sent."""
        text = self.text
        for mark, (part, times) in self.repeat.items():
            text = text.replace(mark, part * times)
        return b64decode(self.base64) or text.encode()


class ResponseSpec(Part):
    """What the server answers, by its text or by its value."""

    content_type: str = "application/json"
    body: str | None = None
    value: JsonValue = Field(default=None, alias="json")

    @model_validator(mode="after")
    def _is_one(self) -> "ResponseSpec":
        if len({"body", "value"} & self.model_fields_set) != 1:
            raise PydanticCustomError("one_of", "given by one of `body` and `json`")
        return self

    def as_bytes(self) -> bytes:
        """What is sent."""
        return self.body.encode() if self.body is not None else text_of(self.value)


class HttpSpec(Part):
    """The HTTP request, its headers aside."""

    method: str = "POST"
    path: str = ""
    remote_address: str = ""


class TaskSpec(Part):
    """What is remembered of a task."""

    issuer: str
    subject: str
    tool: str


class ShadowSpec(Part):
    """What is expected to be told of what is in shadow. Only what is given is compared."""

    decision: Literal["allow", "deny"] = "allow"
    reason: Reason = Reason.GRANTED
    rules: list[str] = []
    hidden: list[str] = []
    shown: list[str] = []
    refused: bool = False


def _expects_something(shadow: ShadowSpec) -> ShadowSpec:
    if not shadow.model_fields_set:
        raise PydanticCustomError("too_short", "not empty")
    return shadow


class ExpectSpec(Part):
    """What is expected. Only what is given is compared, so the values of the others mean nothing."""

    decision: Literal["allow", "deny"]
    reason: Reason = Reason.GRANTED
    rules: list[str] = []
    errors: list[str] = []
    response_needs: ResponseNeeds = ResponseNeeds.NONE
    message: str = ""
    status: int = 200
    code: int = 0
    id: JsonValue = None
    entries: list[str] = []
    hidden: list[str] = []
    dropped: int = 0
    refused: bool = False
    content_type: str = ""
    body: str = ""
    value: JsonValue = Field(default=None, alias="json")
    shadow: Annotated[ShadowSpec, AfterValidator(_expects_something)] = ShadowSpec()

    def fields(self) -> Mapping[str, object]:
        """What is given, by the names it is written with; those under `shadow` as `shadow.decision` and so on."""
        given = self.model_dump(exclude_unset=True, by_alias=True)
        told = {f"{IN_SHADOW}{name}": value for name, value in given.pop("shadow", {}).items()}
        return {name: sorted(value) if name in _UNORDERED else value for name, value in (given | told).items()}

    def wants_more_of_shadow_than_is_told(self) -> bool:
        """Whether a reason or rules are expected of a decision that would be the same."""
        more = {"reason", "rules"} & self.shadow.model_fields_set
        is_other = "decision" in self.shadow.model_fields_set and self.shadow.decision != self.decision
        return bool(more) and not is_other


class FactsSpec(Part):
    """What a scenario may say, and the defaults of a file as well."""

    row: str = ""
    server: str = ""
    principal: str | None = None
    claims: JsonObject | None = None
    anonymous: Literal[True] | None = None
    token: Literal["invalid", "missing"] | None = None
    direction: Direction = Direction.CLIENT_TO_SERVER
    headers: Annotated[dict[str, str | list[str]], AfterValidator(_differ)] = {}
    http: HttpSpec = HttpSpec()
    attributes: JsonObject = {}
    time: Annotated[datetime, AfterValidator(_has_a_zone)] = datetime(1970, 1, 1, tzinfo=UTC)
    tasks: dict[str, TaskSpec] = {}
    filters_responses: bool = True
    message: str | JsonObject | None = None
    arguments: JsonObject | None = None
    raw: str | RawSpec | None = None
    entries: list[str | JsonObject] | None = Field(default=None, alias="list")
    response: ResponseSpec | None = None


class ScenarioSpec(FactsSpec):
    """One scenario."""

    name: str = Field(min_length=1)
    expect: ExpectSpec
    cannot_filter: ExpectSpec | None = None


class FileSpec(Part):
    """One file."""

    policies: dict[str, str | JsonObject] | None = None
    principals: dict[str, JsonObject] = {}
    defaults: FactsSpec = FactsSpec()
    scenarios: list[ScenarioSpec] = Field(min_length=1)


_PRINCIPAL: Final = frozenset({"principal", "claims", "anonymous", "token"})
_MESSAGE: Final = frozenset({"message", "raw"})
_PARAMETERS: Final = frozenset({"raw", "arguments"})
_RESPONSE: Final = frozenset({"entries", "response"})
ONE_OF: Final = (_PRINCIPAL, _MESSAGE, _PARAMETERS, _RESPONSE)
"""Of each of these a scenario says one; whichever it says, it takes none of the others from the defaults."""

OF_RESPONSES: Final = frozenset(
    {
        *("entries", "hidden", "dropped", "refused", "content_type", "body", "json"),
        *("shadow.hidden", "shadow.shown", "shadow.refused"),
    }
)
"""What can be expected only where there is a response."""


def text_of(value: JsonValue) -> bytes:
    """A value as JSON text."""
    return json.dumps(value, ensure_ascii=False).encode()
