"""Scenario files: YAML → scenarios, or every problem at once.

Knows no file system and asks nobody. What a file may say is in `scenario_spec`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import yaml
from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from mcp_acl.domain import Http, Reason, TaskFact, TokenState
from mcp_acl.engine.scenario_spec import (
    OF_RESPONSES,
    ONE_OF,
    ExpectSpec,
    FactsSpec,
    FileSpec,
    HttpSpec,
    JsonObject,
    Part,
    RawSpec,
    ResponseSpec,
    ScenarioSpec,
    ShadowSpec,
    text_of,
)
from mcp_acl.engine.scenarios import IN_SHADOW, Question, Response, Scenario, ScenarioFile
from mcp_acl.mcp.methods import METHODS, Method, MethodClass
from mcp_acl.policy.source import Document, SourceFile, read_document
from mcp_acl.policy.tree import Path, Plain
from mcp_acl.problems import Problem, SourceError, nearest


def parse_scenarios(file: SourceFile) -> ScenarioFile:
    """The scenarios of one file. Raises SourceError with every problem if there is one."""
    document, problems = read_document(file)
    if document is None or problems:
        raise SourceError(problems)
    try:
        written = FileSpec.model_validate_json(json.dumps(document.plain()))
    except ValidationError as error:
        raise SourceError(_problems(document, error)) from None
    builder = _Builder(document, written, [])
    scenarios = tuple(builder.scenarios())
    if builder.problems:
        raise SourceError(builder.problems)
    return ScenarioFile(file.name, _policies(written.policies), scenarios)


def _policies(written: Mapping[str, str | JsonObject] | None) -> tuple[SourceFile, ...] | None:
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
    written: FileSpec
    problems: list[Problem]

    def scenarios(self) -> Iterator[Scenario]:
        """Every scenario; meaningless if there are problems afterwards."""
        self._check_one_of(("defaults",), self.written.defaults)
        names: set[str] = set()
        for index, own in enumerate(self.written.scenarios):
            if own.name in names:
                self._report(index, "name", f"the name `{own.name}` stands twice", "say in which way the two differ")
            names.add(own.name)
            yield self._scenario(index, own)

    def _scenario(self, index: int, own: ScenarioSpec) -> Scenario:
        facts = self._with_defaults(index, own)
        body = self._body(index, facts)
        row = _row_of(body)
        response = self._response(index, facts, row, _id_of(body))
        if response is None and (extra := OF_RESPONSES & own.expect.fields().keys()):
            self._report(
                index,
                "expect",
                f"`{min(extra)}` is expected of a response, and there is none",
                "add `list` or `response`",
            )
        self._check_shadow(index, own)
        question = Question(
            server=facts.server,
            body=body,
            token=_token(facts),
            claims=text_of(self._claims(index, facts)),
            direction=facts.direction,
            http=_http(facts),
            attributes=text_of(facts.attributes),
            filters_responses=facts.filters_responses,
            time=facts.time,
            tasks={name: TaskFact(*task.model_dump().values()) for name, task in facts.tasks.items()},
        )
        place = self.document.place(("scenarios", index, "name"))
        return Scenario(own.name, facts.row, place, question, response, own.expect.fields(), _cannot_filter(own, row))

    def _with_defaults(self, index: int, own: ScenarioSpec) -> FactsSpec:
        self._check_one_of(("scenarios", index, "name"), own)
        said = own.model_fields_set.union(*(group for group in ONE_OF if group & own.model_fields_set))
        defaults = self.written.defaults
        return own.model_copy(update={name: getattr(defaults, name) for name in defaults.model_fields_set - said})

    def _check_one_of(self, path: Path, given: FactsSpec) -> None:
        for group in ONE_OF:
            if len(found := group & given.model_fields_set) > 1:
                both = " and ".join(f"`{_FIELDS.get(name, name)}`" for name in sorted(found))
                place = self.document.place(path)
                self.problems.append(Problem("scenario", f"both {both} are given", place, "keep one of them"))

    def _check_shadow(self, index: int, own: ScenarioSpec) -> None:
        for key, expected in (("expect", own.expect), ("cannot_filter", own.cannot_filter)):
            if expected is not None and expected.wants_more_of_shadow_than_is_told():
                message = "what is in shadow is told with its reason and rules only where it would decide otherwise"
                self._report(
                    index, key, message, "give `shadow` the other `decision`, or leave out `reason` and `rules`"
                )

    def _body(self, index: int, facts: FactsSpec) -> bytes:
        if isinstance(facts.raw, str):
            return facts.raw.encode()
        if facts.raw is not None:
            return facts.raw.as_bytes()
        if facts.message is None:
            self._report(index, "name", "there is nothing to ask", "add `message` or `raw`")
            return b""
        return text_of(_message(facts.message, facts.arguments))

    def _claims(self, index: int, facts: FactsSpec) -> JsonObject:
        if facts.principal is None:
            return facts.claims or {}
        if facts.principal not in self.written.principals:
            hint = nearest(facts.principal, self.written.principals) or "name it under `principals`"
            self._report(index, "principal", f"the principal `{facts.principal}` is not known", hint)
        return self.written.principals.get(facts.principal, {})

    def _response(self, index: int, facts: FactsSpec, row: Method | None, message_id: JsonValue) -> Response | None:
        """The response as bytes. A `list` of the defaults is for the requests that ask for one."""
        if facts.response is not None:
            return Response(facts.response.content_type, facts.response.as_bytes())
        if facts.entries is None:
            return None
        if row is None or not row.list_key:
            if "entries" in self.written.scenarios[index].model_fields_set:
                self._report(
                    index, "list", "the message does not ask for a list", "leave out `list`, or use `response`"
                )
            return None
        entries: list[JsonValue] = [
            {row.list_member: entry} if isinstance(entry, str) else entry for entry in facts.entries
        ]
        result: JsonObject = {row.list_key: entries}
        return Response("application/json", text_of({"jsonrpc": "2.0", "id": message_id, "result": result}))

    def _report(self, index: int, key: str, message: str, hint: str) -> None:
        self.problems.append(Problem("scenario", message, self.document.place(("scenarios", index, key)), hint))


_FIELDS: Final = {"entries": "list"}


def _cannot_filter(own: ScenarioSpec, row: Method | None) -> Mapping[str, object]:
    """What an entrance that cannot filter responses is expected to answer.

    Of what is in shadow for a list nothing: it may be denied there for not being filtered.
    """
    if own.cannot_filter is not None:
        return own.cannot_filter.fields()
    expect = {name: value for name, value in own.expect.fields().items() if name not in OF_RESPONSES}
    if row is None or row.method_class is not MethodClass.LIST:
        return expect
    if expect["decision"] == "allow" and expect.get("reason") is not Reason.NOTHING_HIDDEN:
        return {"decision": "deny", "reason": Reason.LIST_NOT_FILTERED}
    return {name: value for name, value in expect.items() if not name.startswith(IN_SHADOW)}


def _message(message: str | JsonObject, arguments: JsonObject | None) -> JsonObject:
    """The message in full. What names its target is in the method table, and `name` for a method that is not."""
    if isinstance(message, str):
        method, _, target = message.partition(" ")
        row = METHODS.get(method)
        member = row.target[-1] if row and row.target else "name"
        params: JsonObject = {member: target} if target else {}
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


def _read(body: bytes) -> JsonObject:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _token(facts: FactsSpec) -> TokenState:
    if facts.token is not None:
        return TokenState(facts.token)
    return TokenState.NONE if facts.claims is None and facts.principal is None else TokenState.VALID


def _http(facts: FactsSpec) -> Http:
    headers: dict[str, Sequence[str]] = {}
    for name, values in facts.headers.items():
        headers[name.lower()] = (values,) if isinstance(values, str) else tuple(values)
    return Http(facts.http.method, facts.http.path, headers, facts.http.remote_address)


# ---- what is wrong with the file ---------------------------------------------------------------------------------------


def _problems(document: Document, error: ValidationError) -> Iterable[Problem]:
    """One problem for each place. Where a text or something else may stand, what stands there is taken for what it looks like."""
    found: dict[Path, Problem] = {}
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        path, value = _written(document.plain(), detail["loc"])
        if detail["type"] == "string_type" and isinstance(value, dict | list):
            continue
        missing = detail["type"] == "missing"
        found.setdefault((*path, detail["loc"][-1]) if missing else path, _problem(document, path, detail))
    return found.values()


def _written(data: Plain, loc: Path) -> tuple[Path, Plain]:
    """The parts of a location that stand in the file, and what is there. Pydantic's also name the form a value was taken for."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, dict) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            continue
        path.append(part)
    return tuple(path), data


def _problem(document: Document, path: Path, detail: ErrorDetails) -> Problem:
    key = str(path[-1]) if path else "the file"
    match detail["type"]:
        case "extra_forbidden":
            return Problem("scenario-key", f"the key `{key}` is not known", document.place(path, key=True), _hint(path))
        case "missing":
            return Problem("scenario-key", f"the key `{detail['loc'][-1]}` is missing", document.place(path))
        case "too_short" | "string_too_short":
            return Problem("scenario-value", f"`{key}` must not be empty", document.place(path))
    return Problem("scenario-value", f"`{key}` must be {_wanted(detail['msg'])}", document.place(path))


def _wanted(message: str) -> str:
    """What pydantic asks for, as the end of a sentence."""
    return message.removeprefix("Input should be ").replace("valid dictionary", "mapping")


def _hint(path: Path) -> str:
    """The nearest key there is at a place."""
    known = _KEYS.get(str(path[-2]) if len(path) > 1 else "", _keys_of(ScenarioSpec))
    return nearest(str(path[-1]), known)


def _keys_of(model: type[Part]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


_KEYS: Final[Mapping[str, Sequence[str]]] = {
    "": _keys_of(FileSpec),
    "defaults": _keys_of(FactsSpec),
    "expect": _keys_of(ExpectSpec),
    "cannot_filter": _keys_of(ExpectSpec),
    "shadow": _keys_of(ShadowSpec),
    "http": _keys_of(HttpSpec),
    "raw": _keys_of(RawSpec),
    "response": _keys_of(ResponseSpec),
}
