"""Scenario files: YAML → scenarios, or every problem at once.

Knows no file system and asks nobody. A file looks like this:

    policies:                   # file name → policy, as text or as a mapping; left out: the policy files beside this file
    principals:                 # names for claims: {ann: {sub: ann, role: admin}}
    defaults:                   # any key of a scenario but `name` and `expect`, for those that do not say otherwise
    scenarios:
      - name: An admin sees every tool          # the fact it states
        row: "3.4 …"                            # the sentence of the specification that it shows

        server: weather
        principal: ann                          # or `claims: {…}`, or `anonymous: true`, or `token: invalid`
        direction: client_to_server             # or server_to_client
        headers: {Mcp-Name: x}                  # a text, or a list of texts, for each
        http: {method: POST, path: /mcp, remote_address: 10.0.0.7}
        attributes: {plan: gold}                # the gateway's own facts
        time: "2026-03-02T09:30:00Z"            # in quotes
        tasks: {t1: {issuer: …, subject: …, tool: …}}
        filters_responses: true                 # whether the caller hands list responses back

        message: tools/call get_weather         # a method and, after one space, its target
        arguments: {city: Oslo}                 # of such a message
        message: {method: …, params: {…}}       # or in full; `jsonrpc` and `id` are filled in
        raw: '{"jsonrpc": …'                    # or byte for byte; also {base64: …}, {text: …, repeat: {"@": ["[", 200]}}

        list: [get_weather, {name: x, …}]       # the server's answer, as entries, in short or in full
        response: {body: …}                     # or as text; also {json: …}; `content_type` is application/json

        expect:                                 # what is left out is not compared, but for `errors`, which means none
          decision: allow                       # or deny
          reason: granted
          rules: [policy/rule]                  # those that decided, in order
          errors: [policy/rule]                 # those whose condition broke, in any order
          response_needs: none                  # or list, result, stream
          message: …                            # what a rule tells the client
          status: 200                           # the denial's HTTP status, JSON-RPC error code, and the id it echoes
          code: 403
          id: 1
          entries: [get_weather]                # the names left in every list of the body, in order
          hidden: [x]                           # the names taken out, in any order
          dropped: 1                            # how many things were taken out for being in doubt
          refused: true                         # whether the whole body was replaced
          content_type: application/json
          body: …                               # the body, byte for byte
          json: {…}                             # or by its value
        cannot_filter: {…}                      # the same, for an entrance that cannot filter responses; left out: the same
                                                # decision, but a list that is allowed is denied as `list_not_filtered`,
                                                # unless its reason is `nothing_hidden`
"""

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from mcp_acl.domain import Direction, Http, Reason, ResponseNeeds, TaskFact, TokenState
from mcp_acl.engine.scenarios import Question, Response, Scenario, ScenarioFile
from mcp_acl.mcp.methods import METHODS, Method, MethodClass
from mcp_acl.policy.source import Document, SourceFile, read_document
from mcp_acl.policy.tree import Path
from mcp_acl.problems import Problem, SourceError, nearest

_Json: TypeAlias = dict[str, JsonValue]

# ---- the file as it is written --------------------------------------------------------------------------------------


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Raw(_Part):
    """Bytes that YAML cannot hold, or that are too many to write out: in `text` each key of `repeat` is replaced."""

    text: str = ""
    base64: str = ""
    repeat: dict[str, tuple[str, int]] = {}

    def bytes(self) -> bytes:
        text = self.text
        for mark, (part, times) in self.repeat.items():
            text = text.replace(mark, part * times)
        return b64decode(self.base64, validate=True) or text.encode()


class _Response(_Part):
    content_type: str = "application/json"
    body: str | None = None
    value: JsonValue = Field(default=None, alias="json")

    def bytes(self) -> bytes:
        return self.body.encode() if self.body is not None else _text(self.value)


class _Http(_Part):
    method: str = "POST"
    path: str = ""
    remote_address: str = ""


class _Task(_Part):
    issuer: str
    subject: str
    tool: str


class _Expect(_Part):
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

    def fields(self) -> Mapping[str, object]:
        """What is given, by the names it is written with."""
        given = self.model_dump(include=set(self.model_fields_set), by_alias=True)
        return {name: sorted(value) if name in ("errors", "hidden") else value for name, value in given.items()}


class _Facts(_Part):
    """What a scenario may say, and the defaults of a file as well."""

    row: str = ""
    server: str = ""
    principal: str | None = None
    claims: _Json | None = None
    anonymous: Literal[True] | None = None
    token: Literal["invalid"] | None = None
    direction: Direction = Direction.CLIENT_TO_SERVER
    headers: dict[str, str | list[str]] = {}
    http: _Http = _Http()
    attributes: _Json = {}
    time: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    tasks: dict[str, _Task] = {}
    filters_responses: bool = True
    message: str | _Json | None = None
    arguments: _Json | None = None
    raw: str | _Raw | None = None
    entries: list[str | _Json] | None = Field(default=None, alias="list")
    response: _Response | None = None


class _Scenario(_Facts):
    name: str = Field(min_length=1)
    expect: _Expect
    cannot_filter: _Expect | None = None


class _File(_Part):
    policies: dict[str, str | _Json] | None = None
    principals: dict[str, _Json] = {}
    defaults: _Facts = _Facts()
    scenarios: list[_Scenario] = Field(min_length=1)


_PRINCIPAL: Final = frozenset({"principal", "claims", "anonymous", "token"})
_MESSAGE: Final = frozenset({"message", "raw"})
_RESPONSE: Final = frozenset({"entries", "response"})
_ONE_OF: Final = (_PRINCIPAL, _MESSAGE, _RESPONSE)
"""Of each of these a scenario says one; whichever it says, it takes none of the others from the defaults."""

_OF_RESPONSES: Final = frozenset({"entries", "hidden", "dropped", "refused", "content_type", "body", "json"})
"""What can be expected only where there is a response."""


# ---- from the file to scenarios ---------------------------------------------------------------------------------------


def parse_scenarios(file: SourceFile) -> ScenarioFile:
    """The scenarios of one file. Raises SourceError with every problem if there is one."""
    document, problems = read_document(file)
    if document is None or problems:
        raise SourceError(problems)
    try:
        written = _File.model_validate_json(json.dumps(document.plain()))
    except ValidationError as error:
        raise SourceError(_problems(document, error)) from None
    builder = _Builder(document, written, [])
    scenarios = tuple(builder.scenarios())
    if builder.problems:
        raise SourceError(builder.problems)
    return ScenarioFile(file.name, _policies(written.policies), scenarios)


def _policies(written: Mapping[str, str | _Json] | None) -> tuple[SourceFile, ...] | None:
    """Policies given as mappings become YAML again, so that every entrance reads the same text."""
    if written is None:
        return None
    texts = {
        name: one if isinstance(one, str) else yaml.safe_dump(one, sort_keys=False) for name, one in written.items()
    }
    return tuple(SourceFile(name, text.encode()) for name, text in texts.items())


@dataclass(slots=True)
class _Builder:
    """Builds the scenarios of one file and gathers what is wrong with them."""

    document: Document
    written: _File
    problems: list[Problem]

    def scenarios(self) -> Iterator[Scenario]:
        """Every scenario; meaningless if there are problems afterwards."""
        names: set[str] = set()
        for index, own in enumerate(self.written.scenarios):
            if own.name in names:
                self._report(index, "name", f"the name `{own.name}` stands twice", "say in which way the two differ")
            names.add(own.name)
            yield self._scenario(index, own)

    def _scenario(self, index: int, own: _Scenario) -> Scenario:
        facts = self._with_defaults(index, own)
        body = self._body(index, facts)
        row = _row_of(body)
        response = self._response(index, facts, row, _id_of(body))
        if response is None and (extra := _OF_RESPONSES & own.expect.fields().keys()):
            self._report(
                index,
                "expect",
                f"`{min(extra)}` is expected of a response, and there is none",
                "add `list` or `response`",
            )
        question = Question(
            server=facts.server,
            body=body,
            token=_token(facts),
            claims=_text(self._claims(index, facts)),
            direction=facts.direction,
            http=_http(facts),
            attributes=_text(facts.attributes),
            filters_responses=facts.filters_responses,
            time=facts.time,
            tasks={name: TaskFact(*task.model_dump().values()) for name, task in facts.tasks.items()},
        )
        place = self.document.place(("scenarios", index, "name"))
        return Scenario(own.name, facts.row, place, question, response, own.expect.fields(), _cannot_filter(own, row))

    def _with_defaults(self, index: int, own: _Scenario) -> _Facts:
        given = set(own.model_fields_set)
        for group in _ONE_OF:
            if len(group & given) > 1:
                both = " and ".join(f"`{_FIELDS.get(name, name)}`" for name in sorted(group & given))
                self._report(index, "name", f"both {both} are given", "keep one of them")
            given |= group if group & given else set()
        defaults = self.written.defaults
        return own.model_copy(update={name: getattr(defaults, name) for name in defaults.model_fields_set - given})

    def _body(self, index: int, facts: _Facts) -> bytes:
        if isinstance(facts.raw, str):
            return facts.raw.encode()
        if facts.raw is not None:
            return facts.raw.bytes()
        if facts.message is None:
            self._report(index, "name", "there is nothing to ask", "add `message` or `raw`")
            return b""
        return _text(_message(facts.message, facts.arguments))

    def _claims(self, index: int, facts: _Facts) -> _Json:
        if facts.principal is None:
            return facts.claims or {}
        if facts.principal not in self.written.principals:
            hint = nearest(facts.principal, self.written.principals) or "name it under `principals`"
            self._report(index, "principal", f"the principal `{facts.principal}` is not known", hint)
        return self.written.principals.get(facts.principal, {})

    def _response(self, index: int, facts: _Facts, row: Method | None, message_id: JsonValue) -> Response | None:
        """The response as bytes. A `list` of the defaults is for the requests that ask for one."""
        if facts.response is not None:
            return Response(facts.response.content_type, facts.response.bytes())
        if facts.entries is None:
            return None
        if row is None or not row.list_key:
            if "entries" in self.written.scenarios[index].model_fields_set:
                self._report(
                    index, "list", "the message does not ask for a list", "leave out `list`, or use `response`"
                )
            return None
        entries = [{row.list_member: entry} if isinstance(entry, str) else entry for entry in facts.entries]
        result: _Json = {row.list_key: list[JsonValue](entries)}
        return Response("application/json", _text({"jsonrpc": "2.0", "id": message_id, "result": result}))

    def _report(self, index: int, key: str, message: str, hint: str) -> None:
        self.problems.append(Problem("scenario", message, self.document.place(("scenarios", index, key)), hint))


_FIELDS: Final = {"entries": "list"}


def _cannot_filter(own: _Scenario, row: Method | None) -> Mapping[str, object]:
    """What an entrance that cannot filter responses is expected to answer."""
    if own.cannot_filter is not None:
        return own.cannot_filter.fields()
    expect = {name: value for name, value in own.expect.fields().items() if name not in _OF_RESPONSES}
    passes = row is None or row.method_class is not MethodClass.LIST or expect["decision"] == "deny"
    if passes or expect.get("reason") is Reason.NOTHING_HIDDEN:
        return expect
    return {"decision": "deny", "reason": Reason.LIST_NOT_FILTERED}


def _message(message: str | _Json, arguments: _Json | None) -> _Json:
    """The message in full. What names its target is in the method table, and `name` for a method that is not."""
    if isinstance(message, str):
        method, _, target = message.partition(" ")
        row = METHODS.get(method)
        member = row.target[-1] if row and row.target else "name"
        params: _Json = {member: target} if target else {}
        message = {"method": method, "params": params} if params or arguments is not None else {"method": method}
    if arguments is not None:
        given = message.get("params")
        message = {**message, "params": {**(given if isinstance(given, dict) else {}), "arguments": arguments}}
    is_notification = str(message.get("method", "")).startswith("notifications/")
    return {"jsonrpc": "2.0", **({} if is_notification else {"id": 1}), **message}


def _row_of(body: bytes) -> Method | None:
    """The row of the message's method, as far as the body can be read."""
    found = _read(body)
    return METHODS.get(str(found.get("method", "")))


def _id_of(body: bytes) -> JsonValue:
    return _read(body).get("id")


def _read(body: bytes) -> _Json:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _token(facts: _Facts) -> TokenState:
    if facts.token is not None:
        return TokenState.INVALID
    return TokenState.NONE if facts.claims is None and facts.principal is None else TokenState.VALID


def _http(facts: _Facts) -> Http:
    headers: dict[str, Sequence[str]] = {}
    for name, values in facts.headers.items():
        headers[name.lower()] = (values,) if isinstance(values, str) else tuple(values)
    return Http(facts.http.method, facts.http.path, headers, facts.http.remote_address)


def _text(value: JsonValue) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


# ---- what is wrong with the file ---------------------------------------------------------------------------------------


def _problems(document: Document, error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        yield _problem(document, detail)


def _problem(document: Document, detail: ErrorDetails) -> Problem:
    path: Path = detail["loc"]
    key = str(path[-1]) if path else ""
    match detail["type"]:
        case "extra_forbidden":
            return Problem("scenario-key", f"the key `{key}` is not known", document.place(path, key=True), _hint(path))
        case "missing":
            return Problem("scenario-key", f"the key `{key}` is missing", document.place(path[:-1]))
    message = detail["msg"].removeprefix("Input should be ")
    return Problem("scenario-value", f"`{key}` must be {message[:1].lower()}{message[1:]}", document.place(path))


def _hint(path: Path) -> str:
    """The nearest key there is at a place."""
    known: Iterable[str] = _KEYS.get(str(path[-2]) if len(path) > 1 else "", _keys_of(_Scenario))
    return nearest(str(path[-1]), known)


def _keys_of(model: type[_Part]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


_KEYS: Final[Mapping[str, Sequence[str]]] = {
    "": _keys_of(_File),
    "defaults": _keys_of(_Facts),
    "expect": _keys_of(_Expect),
    "cannot_filter": _keys_of(_Expect),
    "http": _keys_of(_Http),
    "raw": _keys_of(_Raw),
    "response": _keys_of(_Response),
}
