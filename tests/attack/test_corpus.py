"""Every attack of the corpus and its honest twin, by the library, the service and the command line."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_acl.attack.cases import Case, Exchange
from mcp_acl.attack.reading import is_denied, secrets_in, things_of
from mcp_acl.policy.compiler import compile_policies
from tests.attack.entrances import CommandLine, Entrance, Library, Said, Service, corpus, http_of
from tests.hosts.running import channel_to

CASES = [*corpus().cases()]


def marked(cases: list[Case]) -> list[object]:
    """What is not there yet must fail, so that the mark is taken off when it is."""
    return [
        pytest.param(case, id=str(case), marks=[pytest.mark.xfail(reason=case.pending)] if case.pending else [])
        for case in cases
    ]


def shown(said: Said) -> str:
    return f"{said.status} {said.body[:2000]!r}"


def check(entrance: Entrance, case: Case) -> None:
    """The attack comes to nothing, and its twin passes."""
    said = entrance.ask(case.attack)
    assert case.attack.answer is None or not secrets_in(said.body), shown(said)
    assert case.attack.answer is not None or not said.allowed
    assert [] == [text for text in case.attack.forbids if text.encode() in said.body]
    for name in case.attack.shows:
        assert name.encode() in said.body
    if case.like is not None:
        other = entrance.ask(replaced(case.attack, case.like))
        assert learnt(said) == learnt(other)
    honest = entrance.ask(case.twin)
    assert honest.allowed, shown(honest)
    assert not honest.withheld, shown(honest)
    if case.twin.passes is not None:
        assert case.twin.passes == honest.body


def replaced(exchange: Exchange, body: bytes) -> Exchange:
    from dataclasses import replace

    return replace(exchange, body=body)


def learnt(said: Said) -> object:
    """What a denial tells, its id aside."""
    import msgspec

    error = msgspec.json.decode(said.body)["error"]
    return said.status, error["code"], error["message"], error["data"]["reason"]


@pytest.mark.parametrize("case", marked(CASES))
def test_library_lets_no_attack_through_and_every_twin(case: Case) -> None:
    check(Library(), case)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with channel_to("grpcio", "tcp", tmp_path_factory.mktemp("corpus")) as channel:
        service = Service(channel)
        service.load()
        yield service


@pytest.mark.parametrize("case", marked(CASES))
def test_service_lets_no_attack_through_and_every_twin(service: Service, case: Case) -> None:
    check(service, case)


ALONE = [case for case in CASES if not case.attack.before]


@pytest.mark.parametrize("case", marked(ALONE))
def test_command_line_lets_no_attack_through_and_every_twin(case: Case) -> None:
    check(CommandLine(), case)
