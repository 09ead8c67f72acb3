"""`mcp-acl attack`: that the attacks are real, and that a gateway which asks the service lets none of them through."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mcp_acl.attack.canary import Canary
from mcp_acl.attack.cases import DIRECTORY
from mcp_acl.attack.report import Report
from mcp_acl.attack.running import Attacker, Outcome, Tokens
from mcp_acl.attack.sending import Request, Target, send
from mcp_acl.cli import app
from tests.attack.entrances import corpus
from tests.attack.proxy import gateway
from tests.serving import serving

TOKENS = ("--token", "member", "--other-token", "other", "--timeout", "60")
PENDING = {str(case) for case in corpus().cases() if case.pending}


@pytest.fixture
def canary() -> str:
    """An address that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def attack(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["attack", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def found(result: Result) -> dict[str, dict[str, Any]]:
    """The cases by their names."""
    return {f"{one['class']}/{one['case']}": one for one in json.loads(result.stdout)["cases"]}


def test_without_a_gateway_every_attack_gets_through_and_every_twin(canary: str) -> None:
    result = attack("--target", f"http://{canary}/mcp", "--canary", canary, *TOKENS, "--json")
    assert 1 == result.exit_code
    cases = {name: one for name, one in found(result).items() if one["outcome"] != "untried"}
    assert len(cases) > 300
    assert {case.group for case in corpus().cases()} - {"unknown-servers"} == {one["class"] for one in cases.values()}
    ambiguous = {str(case) for case in corpus().cases() if case.ambiguous}
    assert {} == {name: one for name, one in cases.items() if one["outcome"] != "through" and name not in ambiguous}
    assert {"ambiguous"} == {cases[name]["outcome"] for name in ambiguous & cases.keys()}
    assert [] == [name for name, one in cases.items() if not one["twin_passed"]]


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The service as it is run, on the corpus's policy."""
    with serving(DIRECTORY / "policy") as address:
        yield address


def upstream(canary: str) -> tuple[str, int]:
    host, _, port = canary.partition(":")
    return host, int(port)


def test_gateway_that_asks_the_service_lets_no_attack_through_and_every_twin(service: str, canary: str) -> None:
    with gateway(service, upstream(canary), corpus().claims) as target:
        result = attack("--target", target, "--canary", canary, *TOKENS, "--json")
    cases = {name: one for name, one in found(result).items() if one["outcome"] != "untried"}
    assert len(cases) > 300
    wrong = {name for name, one in cases.items() if one["outcome"] != "blocked" or not one["twin_passed"]}
    assert PENDING == wrong


def test_gateway_that_is_clean_ends_with_0(service: str, canary: str) -> None:
    classes = ("--class", "batches", "--class", "event-streams")
    with gateway(service, upstream(canary), corpus().claims) as target:
        result = attack("--target", target, "--canary", canary, *TOKENS, *classes, "--strict")
    assert 0 == result.exit_code, result.stdout
    assert "batches        10 blocked, 0 got through\n" in result.stdout
    assert result.stdout.endswith("all: 31 blocked, 0 got through\n")


def test_what_gets_through_is_told_for_people(canary: str) -> None:
    result = attack("--target", f"http://{canary}/mcp", "--canary", canary, "--class", "caching")
    assert 1 == result.exit_code
    assert 'GOT THROUGH  public-list: `"public"` is in the response. A list that was filtered' in result.stdout


def test_without_a_token_who_sends_none_is_a_member(canary: str) -> None:
    result = attack("--target", f"http://{canary}/mcp", "--canary", canary, "--class", "identity", "--json")
    assert {"untried"} == {one["outcome"] for one in found(result).values()}
    assert 0 == result.exit_code


def test_gateway_that_blocks_everything_says_nothing(canary: str) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        target = f"http://127.0.0.1:{deaf.getsockname()[1]}/mcp"
        result = attack("--target", target, "--canary", canary, "--timeout", "0.5")
    assert 2 == result.exit_code
    assert "did not reach the canary" in result.stderr


def test_gateway_that_gives_no_answer_has_blocked_nothing() -> None:
    served = Canary()
    with served.serving("127.0.0.1", 0) as port, socket.create_server(("127.0.0.1", 0)) as silent:
        reached = Attacker(corpus(), Target("127.0.0.1", port, "/mcp"), served, Tokens("member"), 0.3)
        assert reached.reaches_canary()
        lost = replace(reached, target=Target("127.0.0.1", silent.getsockname()[1], "/mcp"))
        results = [*lost.results(["cursors", "unknown-methods"])]
    assert {Outcome.UNTRIED} == {one.outcome for one in results}
    assert "no answer within 0.3 seconds" in "\n".join(Report(results).lines())


@pytest.mark.parametrize(
    ("head", "came"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: secret\n\n", True),
        (b"HTTP/1.1 200 OK\r\n", False),
    ],
)
def test_gateway_that_never_ends_its_answer_is_not_waited_for(head: bytes, came: bool) -> None:
    def keep_alive(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(head)
            for number in range(200):
                connection.sendall(b": %d\r\n" % number)
                sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=keep_alive, args=(server,), daemon=True)
        thread.start()
        began = monotonic()
        response = send(Target("127.0.0.1", server.getsockname()[1], "/"), Request("GET", (), b"", chunked=False), 0.5)
        assert monotonic() - began < 5
        thread.join()
    assert (came, not came) == (b"secret" in response.body, response.late)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--target", "http://192.0.2.1/mcp"], "`192.0.2.1` is not this machine alone"),
        (["--target", "http://example.test/mcp"], "`example.test` is not this machine alone"),
        (["--target", "https://127.0.0.1/mcp"], "--target: write `http://HOST:PORT/PATH`"),
        ([], "--target: write `http://HOST:PORT/PATH`"),
        (["--target", "http://127.0.0.1:x/mcp"], "--target: "),
        (["--target", "http://127.0.0.1:1/", "--canary", "0.0.0.0:0"], "--canary: `0.0.0.0` is not this machine alone"),
        (["--target", "http://127.0.0.1:1/", "--canary", "unix:/x"], "--canary: a socket file cannot be used here"),
        (["--target", "http://127.0.0.1:1/", "--canary", "x"], "--canary: `x` is not `host:port`"),
        (
            ["--target", "http://127.0.0.1:1/", "--class", "nothing"],
            "--class: there is no `nothing`; there are batches,",
        ),
        (["--target", "http://127.0.0.1:1/", "--token", "a\r\nb: c"], "a token must be text that HTTP carries"),
    ],
)
def test_what_cannot_be_attacked_is_refused(arguments: list[str], error: str) -> None:
    result = attack(*arguments)
    assert 2 == result.exit_code
    assert error in result.stderr


def test_canary_that_cannot_listen_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = attack("--target", "http://127.0.0.1:1/", "--canary", address)
    assert 2 == result.exit_code
    assert "--canary: it cannot listen there" in result.stderr


def test_policy_is_printed_in_words_and_as_a_file() -> None:
    result = attack("--print-policy")
    assert 0 == result.exit_code
    assert "nobody may use anything else" in result.stdout
    assert (corpus().policies[0].content.decode()) in result.stdout


def test_corpus_lies_among_the_tests_in_the_source_tree() -> None:
    assert DIRECTORY == Path(__file__).parents[1] / "corpus"
