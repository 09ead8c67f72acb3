"""The corpus, read: every class of attack with its cases, the policy that all of them are about, and who asks.

Knows the files and nobody who is asked.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from mcp_acl.attack.spec import AnswerSpec, CaseSpec, ClassSpec, FactsSpec, IndexSpec, KnownSpec, TwinSpec, bytes_of
from mcp_acl.domain import Json, TaskFact
from mcp_acl.policy.source import Document, SourceFile, read_document
from mcp_acl.problems import Problem, SourceError
from mcp_acl.runtime.store import read_policies

_Spec = TypeVar("_Spec", bound=BaseModel)

_INDEX: Final = "index.yaml"
_INSTALLED: Final = Path(__file__).parents[1] / "corpus"
_IN_SOURCES: Final = Path(__file__).parents[3] / "tests" / "corpus"
DIRECTORY: Final = _INSTALLED if _INSTALLED.exists() else _IN_SOURCES
"""Where the corpus lies: in the package where that is installed, among the tests in the source tree."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's response."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """What is exchanged before a case."""

    principal: str
    body: bytes
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message with all that is around it, and the response to it if that is what counts.

    `passes` is what must come out of the response, None in an attack. `shows` are texts that must be in it,
    `forbids` texts that must not.
    """

    principal: str
    server: str
    body: bytes
    method: str
    headers: Mapping[str, Sequence[str] | None]
    chunked: bool
    tasks: Mapping[str, TaskFact]
    before: Sequence[Step]
    answer: Answer | None
    shows: Sequence[str]
    forbids: Sequence[str]
    passes: bytes | None


@dataclass(frozen=True, slots=True)
class Case:
    """An attack and its honest twin. `line` is where it stands in its file."""

    group: str
    name: str
    why: str
    line: int
    attack: Exchange
    twin: Exchange
    like: bytes | None
    ambiguous: bool
    pending: str

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


@dataclass(frozen=True, slots=True)
class Group:
    """A class of attack: one file."""

    name: str
    why: str
    seen: Sequence[str]
    cases: Sequence[Case]


@dataclass(frozen=True, slots=True)
class Corpus:
    """All of it. `claims` are those of each principal that has some; `known` every class that is known."""

    groups: Sequence[Group]
    known: Sequence[KnownSpec]
    claims: Mapping[str, Mapping[str, Json]]
    policies: Sequence[SourceFile]

    def cases(self) -> Iterator[Case]:
        """Every case."""
        for group in self.groups:
            yield from group.cases


def read_corpus(directory: Path = DIRECTORY) -> Corpus:
    """Raises SourceError for a file that cannot be used."""
    index, _ = _read(directory / _INDEX, IndexSpec)
    owners = {who: (_text(claims, "iss"), _text(claims, "sub")) for who, claims in index.principals.items()}
    paths = sorted(path for path in directory.glob("*.yaml") if path.name != _INDEX)
    groups = tuple(_group(path, owners) for path in paths)
    claims: Mapping[str, Mapping[str, Json]] = dict(index.principals)
    return Corpus(groups, index.known, claims, read_policies(directory / "policy"))


def _text(claims: Mapping[str, Json], name: str) -> str:
    return str(claims.get(name, ""))


def _read(path: Path, kind: type[_Spec]) -> tuple[_Spec, Document]:
    document, problems = read_document(SourceFile(path.name, path.read_bytes()))
    if document is None or problems:
        raise SourceError(problems)
    try:
        return kind.model_validate_json(json.dumps(document.plain())), document
    except ValidationError as error:
        raise SourceError(
            [Problem("corpus", found["msg"], document.place(found["loc"])) for found in error.errors()]
        ) from None


def _group(path: Path, owners: Mapping[str, tuple[str, str]]) -> Group:
    spec, document = _read(path, ClassSpec)
    if spec.name != path.stem:
        raise SourceError([Problem("corpus", f"the class must be `{path.stem}`", document.place(("class",)))])
    cases = tuple(
        _case(spec.name, one, document.place(("cases", index)).line, owners) for index, one in enumerate(spec.cases)
    )
    return Group(spec.name, spec.why, spec.seen, cases)


def _case(group: str, spec: CaseSpec, line: int, owners: Mapping[str, tuple[str, str]]) -> Case:
    twin = _completed(spec.twin, spec, FactsSpec.model_fields.keys() - {"shows", "forbids"})
    for name in ("http", "answer"):
        own, attack = getattr(spec.twin, name), getattr(spec, name)
        if own is not None and attack is not None:
            twin = twin.model_copy(update={name: _completed(own, attack, type(attack).model_fields)})
    return Case(
        group,
        spec.id,
        spec.why,
        line,
        _exchange(spec, owners),
        _exchange(twin, owners),
        None if spec.like is None else bytes_of(spec.like),
        spec.ambiguous,
        spec.pending,
    )


def _completed(spec: _Spec, other: BaseModel, names: Iterable[str]) -> _Spec:
    """What is said, and what another says of these names where nothing is said."""
    return spec.model_copy(update={name: getattr(other, name) for name in names if name not in spec.model_fields_set})


def _exchange(spec: FactsSpec, owners: Mapping[str, tuple[str, str]]) -> Exchange:
    answer = None if spec.answer is None else _answer(spec.answer)
    passes = None
    if isinstance(spec, TwinSpec) and answer is not None:
        passes = answer.body if spec.passes is None else bytes_of(spec.passes)
    return Exchange(
        spec.principal,
        spec.server,
        bytes_of(spec.send),
        spec.http.method,
        {name: [value] if isinstance(value, str) else value for name, value in spec.http.headers.items()},
        spec.http.chunked,
        {name: TaskFact(*owners[task.owner], task.tool) for name, task in spec.tasks.items()},
        tuple(
            Step(step.principal, bytes_of(step.send), None if step.answer is None else _answer(step.answer))
            for step in spec.before
        ),
        answer,
        tuple(spec.shows),
        tuple(spec.forbids),
        passes,
    )


def _answer(spec: AnswerSpec) -> Answer:
    return Answer(spec.status, spec.content_type, spec.headers, bytes_of(spec.body))
