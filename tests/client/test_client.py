"""Both clients on the real service: every method, every fact that a question carries."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.client import Client, CutOffError, MisuseError, Question, UnavailableError
from mcp_acl.domain import Direction, Http, ResponseNeeds, TokenState
from tests.client.conftest import ROOT, Asker, Opener
from tests.runtime.weather import body, call, listed
from tests.serving import serving

JSON = "application/json"
SSE = "text/event-stream"
VIEWER = {"sub": "vera", "role": "viewer"}
TOOLS = ["echo", "get-env", "get-sum"]


@pytest.fixture
def asker(client: Opener, service: str) -> Asker:
    return client(service)


def question(message: bytes, **options: Any) -> Question:
    return Question(**{"server": "everything", "message": message, "claims": VIEWER, **options})


def names(response: bytes) -> list[str]:
    return [tool["name"] for tool in json.loads(response)["result"]["tools"]]


def event(message: bytes) -> bytes:
    return b"data: " + message + b"\n\n"


def test_message_is_allowed_and_says_why(asker: Asker) -> None:
    verdict = asker.check(question(call("echo")))
    assert verdict
    assert (True, "granted", None, None) == (verdict.allowed, verdict.reason, verdict.denial, verdict.cause)
    assert ["everything/everyone-echoes everything.yaml"] == [f"{rule} {rule.file}" for rule in verdict.rules]
    assert "" not in (verdict.revision, verdict.decision_id)


def test_message_is_denied_with_what_to_send(asker: Asker) -> None:
    verdict = asker.check(question(call("get-env")))
    assert not verdict
    assert (False, "denied_by_rule", b"") == (verdict.allowed, verdict.reason, verdict.context)
    assert "The environment of this server holds its secrets." == verdict.message
    assert verdict.denial is not None
    assert (200, (("content-type", "application/json"),)) == verdict.denial[:2]
    assert (1, verdict.message) == (
        json.loads(verdict.denial.body)["id"],
        json.loads(verdict.denial.body)["error"]["message"],
    )


def test_condition_that_breaks_is_told(asker: Asker) -> None:
    verdict = asker.check(question(call("get-sum")))
    assert ["everything/sums"] == [str(error.rule) for error in verdict.errors]


def test_bad_token_is_challenged(asker: Asker) -> None:
    verdict = asker.check(question(call("echo"), claims=None, token=TokenState.INVALID))
    assert verdict.denial is not None
    assert (401, "token_invalid", "www-authenticate") == (
        verdict.denial.status,
        verdict.reason,
        verdict.denial.headers[1][0],
    )


@pytest.mark.parametrize("claims", [VIEWER, json.dumps(VIEWER).encode()])
def test_list_is_filtered(asker: Asker, claims: Any) -> None:
    verdict = asker.check(question(body("tools/list"), claims=claims, filters_responses=True))
    assert verdict.response_needs is ResponseNeeds.LIST
    filtered = asker.filter(verdict, JSON, listed(*TOOLS), report_hidden=True)
    assert (200, JSON, True, None) == (filtered.status, filtered.content_type, filtered.changed, filtered.cause)
    assert ["echo", "get-sum"] == names(filtered.body)
    report = filtered.report
    assert (2, 1, ("get-env",), "") == (report.shown, report.hidden_count, report.hidden, report.refused)


def test_response_is_filtered_by_the_context_alone(asker: Asker) -> None:
    verdict = asker.check(question(body("tools/list"), filters_responses=True))
    assert ["echo", "get-sum"] == names(asker.filter(verdict.context, JSON, listed(*TOOLS)).body)
    assert b"withheld" in asker.filter(b"", JSON, listed(*TOOLS)).body


def test_list_is_denied_to_who_does_not_filter(asker: Asker) -> None:
    assert "list_not_filtered" == asker.check(question(body("tools/list"))).reason


def test_response_that_needs_nothing_is_not_handed_over(asker: Asker, client: Opener) -> None:
    verdict = asker.check(question(body("notifications/initialized", None)))
    assert verdict.response_needs is ResponseNeeds.NONE
    filtered = client("unix:/nowhere/acl.sock").filter(verdict, "text/plain", b"as it is", 202)
    assert (202, "text/plain", b"as it is", False) == (
        filtered.status,
        filtered.content_type,
        filtered.body,
        filtered.changed,
    )


def test_response_to_a_denied_message_is_misuse(asker: Asker) -> None:
    verdict = asker.check(question(call("get-env")))
    with pytest.raises(MisuseError, match="denied"):
        asker.filter(verdict, JSON, listed(*TOOLS))


def test_misuse_is_told(asker: Asker) -> None:
    with pytest.raises(MisuseError, match="claims"):
        asker.check(question(call("echo"), token=TokenState.NONE))


@pytest.mark.parametrize(
    "wrong",
    [
        {"claims": {"sub": object}},
        {"claims": {"sub": "\ud800"}},
        {"attributes": {"x": object}},
        {"message": "text"},
        {"server": "\ud800"},
        {"time": datetime(2026, 3, 2)},  # noqa: DTZ001 - that it has no zone is the point
    ],
    ids=str,
)
def test_question_that_cannot_be_written_is_misuse(asker: Asker, wrong: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        asker.check(question(**{"message": call("echo"), **wrong}))


FACTS = """
version: 1
policy: facts
servers: [weather]
rules:
  - id: everything-is-as-it-was-asked
    methods: [tools/call]
    name: x
    cel: >-
      request.method == "POST" && request.path == "/mcp?a" && request.headers["x-a"] == "1, 2" &&
      request.headers["x-b"] == "?" && request.remote_address == "10.0.0.1" &&
      request.time == timestamp("2026-03-02T12:00:00Z") && attributes.tenant.ids == [1, 2]
"""


def test_question_carries_every_fact(client: Opener, tmp_path: Path) -> None:
    (tmp_path / "facts.yaml").write_text(FACTS)
    http = Http("POST", "/mcp?a", {"X-A": ["1", "2"], "x-b": ["\udcff"]}, "10.0.0.1")
    asked = Question(
        "weather",
        call("x"),
        http=http,
        attributes={"tenant": {"ids": (1, 2)}},
        session_id="s",
        time=datetime(2026, 3, 2, 12, tzinfo=UTC),
    )
    with serving(tmp_path) as address:
        asker = client(address)
        verdict = asker.check(asked)
        assert ("granted", ()) == (verdict.reason, verdict.errors)
        put = replace(asked, http=http._replace(method="PUT"))
        assert "message_refused" == asker.check(put).reason


@pytest.fixture(scope="module")
def rollout() -> Iterator[str]:
    """The service on policies with a rule in shadow."""
    with serving(ROOT / "policies" / "rollout") as address:
        yield address


def test_what_is_in_shadow_is_told_beside_the_answer(client: Opener, rollout: str) -> None:
    asker = client(rollout)
    bob: dict[str, Any] = {"server": "files", "claims": {"sub": "bob", "groups": ["staff"]}}
    verdict = asker.check(question(call("delete_file"), **bob))
    assert verdict
    assert verdict.shadow is not None
    assert (False, "denied_by_rule", ["files/owners-alone-delete"]) == (
        verdict.shadow.allowed,
        verdict.shadow.reason,
        [str(rule) for rule in verdict.shadow.rules],
    )
    assert asker.check(question(call("write_file"), **bob)).shadow is None
    asked = asker.check(question(body("tools/list"), filters_responses=True, **bob))
    tools = listed("write_file", "delete_file")
    filtered = asker.filter(asked, JSON, tools)
    sent = asker.filter_stream(asked, JSON, [tools[:20], tools[20:]])
    assert tools == filtered.body == sent.body
    for report in (filtered.report, sent.report):
        assert (1, 0) == (report.shadow_hidden_count, report.shadow_shown_count)


def test_direction_is_carried(asker: Asker) -> None:
    asked = question(body("sampling/createMessage"), direction=Direction.SERVER_TO_CLIENT)
    assert "no_matching_rule" == asker.check(asked).reason
    assert "wrong_direction" == asker.check(question(asked.message)).reason


def test_questions_are_answered_in_their_places(asker: Asker) -> None:
    tools = ["echo", "get-env", "echo", "nothing"] * 5
    verdicts = asker.check_stream([question(call(tool)) for tool in tools])
    assert [tool == "echo" for tool in tools] == [verdict.allowed for verdict in verdicts]
    assert [call(tool) for tool in tools] == [verdict.question.message for verdict in verdicts]


def test_misuse_ends_a_stream_of_questions(asker: Asker) -> None:
    with pytest.raises(MisuseError, match="claims"):
        asker.check_stream([question(call("echo")), question(call("echo"), token=TokenState.NONE)])


# ---- bodies in pieces ------------------------------------------------------------------------------------------------


def test_event_stream_is_filtered_as_it_comes(asker: Asker) -> None:
    verdict = asker.check(question(body("tools/list"), filters_responses=True))
    pieces = [b": hello\n\n", event(listed(*TOOLS)), event(listed("get-env"))]
    sent = asker.filter_stream(verdict, SSE, pieces, report_hidden=True)
    assert (200, SSE, None, None) == (sent.status, sent.content_type, sent.cause, sent.error)
    assert (2, ("get-env", "get-env"), 2) == (sent.report.shown, sent.report.hidden, sent.report.hidden_count)
    assert b": hello\n\n" == sent.body[:9]
    assert b"get-env" not in sent.body


def test_piece_is_taken_when_the_one_before_was_sent(service: str) -> None:
    steps: list[str] = []

    def pieces() -> Iterator[bytes]:
        for tool in ("echo", "get-sum"):
            steps.append("taken")
            yield event(listed(tool))

    with Client(service) as asker:
        verdict = asker.check(question(body("tools/list"), filters_responses=True))
        for piece in asker.filter_stream(verdict, SSE, pieces()):
            steps.append("sent")
            assert piece
    assert ["taken", "sent", "taken", "sent"] == steps


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_json_is_kept_until_it_is_whole(asker: Asker, size: int) -> None:
    verdict = asker.check(question(body("tools/list"), filters_responses=True))
    whole = listed(*TOOLS)
    sent = asker.filter_stream(verdict, JSON, [whole[at : at + size] for at in range(0, len(whole), size)])
    assert (["echo", "get-sum"], None) == (names(sent.body), sent.error)


def test_piece_of_any_size_is_carried(asker: Asker) -> None:
    verdict = asker.check(question(body("tools/list"), filters_responses=True))
    comment = b": " + b"x" * 3_000_000 + b"\n\n"
    assert comment == asker.filter_stream(verdict, SSE, [comment, b""]).body


def test_body_that_is_refused_ends_with_its_error(asker: Asker) -> None:
    verdict = asker.check(question(body("tools/list"), filters_responses=True))

    def pieces() -> Iterator[bytes]:
        yield event(listed("echo"))
        yield b"data: \xff\n\n"
        pytest.fail("nothing more is asked for")

    sent = asker.filter_stream(verdict, SSE, pieces())
    assert (None, True) == (sent.error, b"withheld" in sent.body)
    assert sent.report.refused
    refused = asker.filter_stream(b"", JSON, iter(lambda: pytest.fail("nothing is asked for"), None))
    assert (None, True) == (refused.error, b"withheld" in refused.body)


def test_body_that_needs_nothing_passes_as_it_is(asker: Asker) -> None:
    verdict = asker.check(question(body("notifications/initialized", None)))
    sent = asker.filter_stream(verdict, "text/plain", [b"as ", b"it is"], status=202)
    assert (202, "text/plain", b"as it is") == sent[:3]


def test_error_of_the_server_reaches_who_iterates(asker: Asker) -> None:
    verdict = asker.check(question(body("tools/list"), filters_responses=True))

    def pieces() -> Iterator[bytes]:
        yield event(listed("echo"))
        raise ConnectionError("the server has left")

    sent = asker.filter_stream(verdict, SSE, pieces())
    assert isinstance(sent.error, ConnectionError)
    assert not isinstance(sent.error, CutOffError)
    assert b"echo" in sent.body


# ---- for people ------------------------------------------------------------------------------------------------------


def test_decision_is_explained(asker: Asker) -> None:
    explained = asker.run(asker.client.explain(question(call("get-env"))))
    assert "denied_by_rule" == explained.decision.reason
    assert "nobody-reads-the-environment" in [trial.rule.rule for trial in explained.trials if trial.applies]


def test_policy_set_is_told(asker: Asker) -> None:
    told = asker.run(asker.client.policy_set())
    assert ["everything"] == [policy.id for policy in told.policies]


def test_health_is_told(asker: Asker) -> None:
    assert asker.run(asker.client.healthy())
    assert asker.run(asker.client.healthy("mcp_acl.v1.AccessControl"))
    with pytest.raises(MisuseError, match="`nothing`"):
        asker.run(asker.client.healthy("nothing"))


def test_only_a_decision_is_made_up(client: Opener) -> None:
    asker = client("unix:/nowhere/acl.sock")
    for ask in (asker.client.policy_set, asker.client.healthy, lambda: asker.client.explain(question(b""))):
        with pytest.raises(UnavailableError):
            asker.run(ask())
