"""Every attack of the corpus and its honest twin, by the library, the service and the command line."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from mcp_acl.attack.cases import DIRECTORY, Case
from mcp_acl.attack.reading import secrets_in, told_by
from mcp_acl.policy.compiler import compile_policies
from tests.attack.entrances import CommandLine, Entrance, LearningService, Library, Said, Service, corpus
from tests.hosts.running import channel_to
from tests.serving import serving

CASES = [*corpus().cases()]
LEARNT = [case for case in CASES if case.attack.before or case.twin.before]
ALONE = [case for case in CASES if case not in LEARNT]


def marked(cases: list[Case]) -> list[Any]:
    """What is not there yet must fail, so that the mark is taken off when it is."""
    return [
        pytest.param(case, id=str(case), marks=[pytest.mark.xfail(reason=case.pending)] if case.pending else [])
        for case in cases
    ]


def check(entrance: Entrance, case: Case) -> None:
    """The attack comes to nothing, and its twin passes."""
    said = entrance.ask(case.attack)
    if case.attack.answer is None:
        assert not said.allowed
    else:
        assert not secrets_in(said.body), shown(said)
    assert [] == [text for text in case.attack.forbids if text.encode() in said.body]
    assert [] == [text for text in case.attack.shows if text.encode() not in said.body]
    if case.like is not None:
        other = entrance.ask(replace(case.attack, body=case.like))
        assert (said.status, told_by(said.body, case.attack.body)) == (other.status, told_by(other.body, case.like))
    honest = entrance.ask(case.twin)
    assert honest.allowed, shown(honest)
    assert not honest.withheld, shown(honest)
    if case.twin.passes is not None:
        assert case.twin.passes == honest.body


def shown(said: Said) -> str:
    return f"{said.status} {said.body[:2000]!r}"


@pytest.mark.parametrize("case", marked(CASES))
def test_library_lets_no_attack_through_and_every_twin(case: Case) -> None:
    check(Library(), case)


@pytest.fixture(scope="module")
def learning() -> Iterator[LearningService]:
    """The service as it is run, which remembers what responses bring."""
    with serving(DIRECTORY / "policy") as address, grpc.insecure_channel(address) as channel:
        yield LearningService(channel)


@pytest.mark.parametrize("case", marked(LEARNT))
def test_service_that_learns_lets_no_attack_through_and_every_twin(learning: LearningService, case: Case) -> None:
    check(learning, case)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with channel_to("grpcio", "tcp", tmp_path_factory.mktemp("corpus")) as channel:
        service = Service(channel)
        service.load()
        yield service


@pytest.mark.parametrize("case", marked(ALONE))
def test_service_lets_no_attack_through_and_every_twin(service: Service, case: Case) -> None:
    check(service, case)


@pytest.mark.parametrize("case", marked(ALONE))
def test_command_line_lets_no_attack_through_and_every_twin(case: Case) -> None:
    check(CommandLine(), case)


def test_command_line_as_a_process_says_the_same() -> None:
    def run(arguments: list[str]) -> tuple[int, bytes]:
        done = subprocess.run([sys.executable, "-m", "mcp_acl", *arguments], capture_output=True, check=False)
        return done.returncode, done.stdout

    by_name = {str(case): case for case in CASES}
    for name in ("duplicate-keys/last-name", "event-streams/mixed-line-ends", "encodings/utf-16"):
        check(CommandLine(run), by_name[name])


# ---- the data -------------------------------------------------------------------------------------------------------


def test_policy_has_no_findings() -> None:
    assert () == compile_policies(corpus().policies).findings


@pytest.mark.parametrize("case", CASES, ids=str)
def test_twin_differs_from_its_attack(case: Case) -> None:
    assert case.attack != replace(case.twin, passes=None, shows=case.attack.shows, forbids=case.attack.forbids)


def test_names_of_cases_are_unique() -> None:
    assert len(CASES) == len({str(case) for case in CASES})


def test_task_means_the_same_in_every_case() -> None:
    facts = {(name, fact) for case in CASES for one in (case.attack, case.twin) for name, fact in one.tasks.items()}
    assert len(facts) == len({name for name, _ in facts})


def test_every_class_that_is_known_has_a_file_or_is_the_job_of_somebody() -> None:
    names = {group.name for group in corpus().groups}
    assert {"threats": 30, "bugs": 21, "parsers": 19} == {
        of: len({one.name for one in corpus().known if one.of == of}) for of in ("threats", "bugs", "parsers")
    }
    assert set() == {name for one in corpus().known for name in one.files} - names


def test_every_file_shows_a_class_that_is_known() -> None:
    shown_there = {name for one in corpus().known for name in one.files}
    assert {"cursors"} == {group.name for group in corpus().groups} - shown_there


def test_every_file_of_the_directory_is_read() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.yaml")} == {"index"} | {group.name for group in corpus().groups}
