"""The decision log: every denial has a record, whatever goes wrong; nobody waits for it; and it says no more than it is told to."""

import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mcp_acl.cli import app
from mcp_acl.domain import Http, Json, TokenState
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.decision_log import DecisionLog, Kept, LogFile, Masking, Output, found_in
from mcp_acl.runtime.decision_log import log as module
from mcp_acl.runtime.decision_log.ring import Ring
from mcp_acl.runtime.gate import Answer, Question
from mcp_acl.runtime.observed import ObservedGate

SOURCE = SourceFile(
    "w.yaml",
    b"version: 1\npolicy: w\nservers: [s]\nrules:\n"
    b"  - {id: echo, methods: [tools/list, tools/call], name: echo}\n"
    b"  - {id: odd, methods: [tools/call], name: odd, cel: \"claims.role == 'x'\"}\n",
)
POLICIES = compile_policies([SOURCE])
TOOLS = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"},{"name":"secret"}]}}'
CLAIMS: dict[str, Json] = {
    "iss": "i",
    "sub": "ann",
    "email": "ann@example.org",
    "more": {"email": "x", "team": ["a", "b"]},
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def call(name: str = "echo", **arguments: Any) -> Question:
    params = {"name": name, "arguments": arguments}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    http = Http(headers={"traceparent": [f"00-{TRACE}-00f067aa0ba902b7-01"]})
    return Question("s", body, CLAIMS, TokenState.VALID, http=http)


LIST = Question("s", b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', filters_responses=True)


class Logged:
    """A gate with a log, and what was written."""

    def __init__(self, file: Path, masking: Masking | None = None, kept: Kept | None = None, **sink: Any) -> None:
        self.file = file
        self.log = DecisionLog(
            sink.get("sink") or LogFile(file, 1 << 20, 3), str(file), masking or Masking(), kept or Kept()
        )
        self.gate = ObservedGate([self.log], POLICIES)

    def asked(self, *questions: Question) -> list[Answer]:
        return [self.gate.check(question) for question in questions]

    def records(self) -> list[dict[str, Any]]:
        """What is in the log, which is closed."""
        self.log.close()
        return records(self.file)


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def eventually(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


def test_record_says_who_asked_for_what_and_why_it_was_decided_so(file: Path) -> None:
    logged = Logged(file)
    granted, denied, failed = logged.asked(call(), call("secret", password="12345"), call("odd"))
    first, second, third = logged.records()
    assert ("decision", granted.decision_id, "s", "allow", "granted") == tuple(
        first[name] for name in ("kind", "id", "server", "effect", "reason")
    )
    assert [{"policy": "w", "rule": "echo", "file": "w.yaml", "line": 5}] == first["rules"]
    assert ({"iss": "i", "sub": "ann"}, "valid", "tools/call", "echo") == tuple(
        first[name] for name in ("principal", "token", "method", "target")
    )
    assert POLICIES.revision == first["revision"]
    assert TRACE == first["trace_id"]
    assert 0 < first["seconds"] < 60
    assert (denied.decision_id, "deny", "no_matching_rule") == (second["id"], second["effect"], second["reason"])
    assert failed.decision_id == third["id"]
    assert [("w", "odd")] == [(one["policy"], one["rule"]) for one in third["errors"]]


def test_neither_arguments_nor_other_claims_are_recorded_unless_that_is_said(file: Path) -> None:
    logged = Logged(file)
    logged.asked(call(password="12345"))
    logged.records()
    assert not any(text in file.read_text() for text in ("12345", "password", "example.org", "team"))


def test_what_is_recorded_is_masked_at_any_depth(file: Path) -> None:
    masking = Masking(("sub", "email", "more"), arguments=True, masked=frozenset({"email", "password"}))
    logged = Logged(file, masking)
    logged.asked(call(password="12345", deep=[{"password": ["6"], "n": 2**60, "x": "ok"}]))
    (record,) = logged.records()
    assert {"sub": "ann", "email": "***", "more": {"email": "***", "team": ["a", "b"]}} == record["principal"]
    assert {"password": "***", "deep": [{"password": "***", "n": str(2**60), "x": "ok"}]} == record["arguments"]


def quoting(rules: str) -> PolicySet:
    return compile_policies([SourceFile("q.yaml", f"version: 1\npolicy: q\nservers: [s]\nrules:\n{rules}".encode())])


QUOTING = quoting(
    "  - {id: when, methods: [tools/call], cel: 'timestamp(mcp.arguments.when) < request.time'}\n"
    "  - {id: born, methods: [tools/call], cel: 'timestamp(claims.born) < request.time'}\n"
    "  - {id: zone, methods: [tools/call], cel: 'request.time.getHours(request.headers.zone) > 0'}\n"
)


@pytest.mark.parametrize(
    ("masking", "told"),
    [
        (Masking(), (False, False)),
        (Masking(("sub", "born"), arguments=True), (True, True)),
        (Masking(("sub", "born"), arguments=True, masked=frozenset({"when"})), (False, True)),
        (Masking(("sub", "born"), arguments=True, masked=frozenset({"born"})), (True, False)),
        (Masking(("born",), arguments=True, names=False), (False, False)),
    ],
)
@pytest.mark.parametrize("text", ["my pass\nword", "my `pass", "my `pass` word", "`pass`word", "pass"])
def test_words_quote_nothing_that_is_not_recorded(
    file: Path, masking: Masking, told: tuple[bool, bool], text: str
) -> None:
    logged = Logged(file, masking)
    asked = call(when=f"a{text}")
    claims = {**CLAIMS, "born": f"b{text}"}
    headers = {"zone": [f"c{text}"]}
    ObservedGate([logged.log], QUOTING).check(asked._replace(claims=claims, http=Http(headers=headers)))
    (record,) = logged.records()
    born, when, zone = (one["message"] for one in record["errors"])
    for is_told, message in zip(told, (when, born), strict=True):
        assert is_told or "pass" not in message
        assert not is_told or "`" in text or "pass" in message
    assert "pass" not in zone


@pytest.mark.parametrize("more", [["x"] * 10_000, "x" * 100_000])
def test_where_there_is_too_much_to_look_through_nothing_is_quoted(file: Path, more: Any) -> None:
    logged = Logged(file, Masking(("sub", "born"), arguments=True, masked=frozenset({"more"})))
    ObservedGate([logged.log], QUOTING).check(call(when="public", more=more))
    (record,) = logged.records()
    assert record["errors"]
    assert "public" not in str(record["errors"])


CLAIM = "#context.attributes['jwt.claims']['{}']"
N, DAY, HOUR, WORD, WORDS = (CLAIM.format(name) for name in ("n", "day", "hour", "word", "words"))


@pytest.mark.parametrize(
    "condition",
    [
        f"T(java.time.LocalDate).parse({DAY}) == null",
        f"T(java.time.LocalDateTime).parse({HOUR}) == null",
        f"{WORDS}[{N}] == 1",
        f"{WORDS}.get({N}) == 1",
        f"{WORD}.charAt({N}) == 'a'",
        f"{WORD}.substring({N}) == 'a'",
        f"{WORD}.codePointAt({N}) == 1",
    ],
)
def test_words_of_conditions_quote_no_number_or_date_that_is_not_recorded(file: Path, condition: str) -> None:
    logged = Logged(file)
    policies = quoting(f"  - {{id: x, methods: [tools/call], condition: {json.dumps('{' + condition + '}')}}}\n")
    claims = {**CLAIMS, "n": 7391, "day": "1980-02-30", "hour": "2020-01-01T25:61", "word": "abc", "words": ["a"]}
    ObservedGate([logged.log], policies).check(call()._replace(claims=claims))
    (record,) = logged.records()
    assert record["errors"]
    assert not re.search("7391|1980|30|25|61", str(record["errors"])), record["errors"]


@pytest.mark.parametrize("text", ['{"hunter2":1,"hunter2":2}', '{"hunter\\u0032":1,"hunter2":2}', '{"Hunter2":{},"a":'])
def test_of_a_message_that_cannot_be_read_nothing_is_quoted(file: Path, text: str) -> None:
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{text}}}}}'
    logged = Logged(file)
    logged.asked(Question("s", body.encode(), CLAIMS, TokenState.VALID))
    (record,) = logged.records()
    assert "message_refused" == record["reason"]
    assert record["message"]
    assert "hunter2" not in str(record).lower()


SECRET = "S3CRETVALUE"


@pytest.mark.parametrize(
    ("condition", "language"),
    [
        ("int(request.headers['x-a']) == 1", "cel"),
        ("timestamp(claims.x + 'T00:00:00Z') < request.time", "cel"),
        ("claims[claims.x + ':role'] == 'a'", "cel"),
        ("'x'.matches('[' + claims.x)", "cel"),
        ("int(mcp.arguments.x + '1') == 1", "cel"),
        ("int(request.path) == 1", "cel"),
        ("int(string(claims.n)) == 1", "cel"),
        ("{#request.params['k'][0] - 1 == 1}", "condition"),
        ("{#request.content.substring(50) - 1 == 1}", "condition"),
        (f"{{{CLAIM.format('words')}[{N} - 1] == 'a'}}", "condition"),
    ],
)
def test_words_quote_nothing_that_has_something_in_it_that_is_not_recorded(
    file: Path, condition: str, language: str
) -> None:
    logged = Logged(file)
    policies = quoting(f"  - {{id: x, methods: [tools/call], {language}: {json.dumps(condition)}}}\n")
    claims = {**CLAIMS, "x": SECRET, "n": 77777.5 if language == "cel" else 77777, "words": ["a"]}
    http = Http(path=f"/mcp?k={SECRET[:2]}%33{SECRET[3:]}&k={SECRET}", headers={"x-a": [f"aa{SECRET}", "bb"]})
    ObservedGate([logged.log], policies).check(call(x=SECRET, k=SECRET)._replace(claims=claims, http=http))
    (record,) = logged.records()
    assert record["errors"]
    assert not re.search(f"{SECRET}|7777", str(record["errors"]))


def test_words_quote_no_key_that_is_not_recorded(file: Path) -> None:
    logged = Logged(file)
    policies = quoting("  - {id: x, methods: [tools/call], cel: 'mcp.arguments.all(key, int(key) > 0)'}\n")
    ObservedGate([logged.log], policies).check(call(hunter2=1))
    (record,) = logged.records()
    assert record["errors"]
    assert "hunter2" not in str(record)


def test_words_quote_no_name_where_names_are_not_recorded(file: Path) -> None:
    logged = Logged(file, Masking(names=False))
    named = quoting("  - {id: n, methods: [tools/call], cel: 'timestamp(mcp.name) < request.time'}\n")
    gate = ObservedGate([logged.log], named)
    gate.check(call("secret"))
    gate.check(call("secret")._replace(http=Http(headers={"mcp-name": ["other-secret"]})))
    unreadable, mismatch = logged.records()
    assert unreadable["errors"]
    assert "header_mismatch" == mismatch["reason"]
    assert "secret" not in file.read_text()


def test_errors_of_one_record_are_bounded(file: Path) -> None:
    rules = "".join(f"  - {{id: r{one}, methods: [tools/call], cel: 'claims.no == {one}'}}\n" for one in range(150))
    logged = Logged(file)
    ObservedGate([logged.log], quoting(rules)).check(call())
    assert 100 == len(logged.records()[0]["errors"])


def test_rules_of_one_record_are_bounded_and_what_has_many_is_not_remembered(file: Path) -> None:
    names = [f"a://{one}" for one in range(150)]
    rules = "".join(f"  - {{id: r{n}, methods: [resources/subscribe], name: '{one}'}}\n" for n, one in enumerate(names))
    logged = Logged(file)
    gate = ObservedGate([logged.log], quoting("  - {id: l, methods: [subscriptions/listen]}\n" + rules))
    params = {"notifications": {"resourceSubscriptions": names}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params})
    answer = gate.check(Question("s", body.encode(), CLAIMS, TokenState.VALID))
    assert answer.decision.allowed
    assert 150 == len(answer.decision.rules)
    assert not gate._likenesses
    assert 100 == len(logged.records()[0]["rules"])


def test_principal_is_as_long_as_a_text_at_the_most_and_has_no_control_character(file: Path) -> None:
    logged = Logged(file)
    groups: list[Json] = [["x" * 300] * 3000, {"x" * 5000: 1}, "a\x7fb"]
    logged.asked(*[call()._replace(claims={"iss": "i", "sub": one}) for one in groups])
    many, long, odd = (record["principal"]["sub"] for record in logged.records())
    assert ("(of 909001 bytes)", "(of 5006 bytes)", "a\x7fb") == (many, long, odd)
    assert b"\x7f" not in file.read_bytes()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x" * 4096, "x" * 4096),
        ("x" * 4097, "x" * 4096 + "…"),
        ("\U0001f600" * 1000, "\U0001f600" * 341 + "…"),
        ("é" * 683, "é" * 682 + "…"),
        ("é" * 682, "é" * 682),
        ("\0" * 4096, "\0" * 682 + "…"),
        ("\ud800" * 5000, "?" * 4096 + "…"),
        ('"' * 2048, '"' * 2048),
        ('"' * 2049, '"' * 2048 + "…"),
    ],
)
def test_texts_are_as_long_as_they_are_written(file: Path, text: str, written: str) -> None:
    logged = Logged(file)
    logged.asked(call()._replace(server=text))
    (record,) = logged.records()
    assert written == record["server"]
    assert file.stat().st_size < 5_000


def test_names_may_be_digests_by_which_the_same_is_found_again(file: Path) -> None:
    logged = Logged(file, Masking(names=False))
    answer, *_ = logged.asked(LIST, call("echo"), call("echo"), call("other"))
    logged.gate.filter(answer.context, "application/json", TOOLS)
    _, first, second, other, _ = logged.records()
    assert first["target"] == second["target"] != other["target"]
    assert not any(text in file.read_text() for text in ("other", "secret"))


def test_very_long_texts_are_cut_and_whatever_peers_write_is_a_line_of_json(file: Path) -> None:
    logged = Logged(file, Masking(arguments=True))
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\u001b[2J\\n\\u2028","arguments":{"a":"%b"}}}'
    logged.asked(
        Question("s" * 10_000, b"{"), Question("s", body % (b"x" * 100_000)), Question("s", b"{", {"sub": "\ud800"})
    )
    found = logged.records()
    assert 3 == len(found)
    assert file.stat().st_size < 20_000
    assert "\x1b[2J\n\u2028" == found[1]["target"]


@pytest.mark.parametrize(
    ("length", "masked", "told"),
    [
        (6, [], "xxxxxx"),
        (6, ["arguments"], "***"),
        (9000, [], "(of 9002 bytes)"),
        (9000, ["arguments"], "(of 9002 bytes)"),
    ],
)
def test_arguments_that_are_one_text_are_masked_and_bounded_too(
    file: Path, length: int, masked: list[str], told: str
) -> None:
    logged = Logged(file, Masking(arguments=True, masked=frozenset(masked)))
    params = {"name": "secret", "arguments": "x" * length}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    logged.asked(Question("s", body.encode(), CLAIMS, TokenState.VALID))
    assert [told] == [record["arguments"] for record in logged.records()]


def test_response_is_recorded_under_the_id_of_its_decision(file: Path) -> None:
    logged = Logged(file)
    (answer,) = logged.asked(LIST)
    logged.gate.filter(answer.context, "application/json", TOOLS)
    logged.gate.filter(answer.context, "application/json", b"{")
    decision, response, withheld = logged.records()
    assert decision["id"] == response["id"] == withheld["id"] == answer.decision_id
    assert ("filtered", 1, 1, ["secret"]) == tuple(
        response[name] for name in ("outcome", "shown", "hidden", "hidden_names")
    )
    assert "withheld" == withheld["outcome"]
    assert withheld["reason"]


def test_both_are_of_the_trace_that_the_gateway_says(file: Path) -> None:
    logged = Logged(file)
    client = Http(headers={"traceparent": [f"00-{'1' * 32}-00f067aa0ba902b7-01"]})
    gateway = f"00-{TRACE}-{'2' * 16}-01"
    for trace in ("", gateway):
        (answer,) = logged.asked(LIST._replace(http=client, trace=trace))
        logged.gate.filter(answer.context, "application/json", TOOLS, trace=trace)
    found = [(one["kind"], one["trace_id"], one["span_id"], one["sampled"]) for one in logged.records()]
    clients, gateways = ("1" * 32, "00f067aa0ba902b7", False), (TRACE, "2" * 16, True)
    assert [("decision", *clients), ("response", *clients), ("decision", *gateways), ("response", *gateways)] == found


INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
    b'"clientInfo":{"name":"c","version":"1"}}}'
)
INITIALIZED = (
    b'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{},'
    b'"serverInfo":{"name":"s","version":"1"},"instructions":"Call secret."}}'
)


def test_response_of_which_something_was_taken_out_is_recorded_and_one_that_is_as_it_was_is_not(file: Path) -> None:
    logged = Logged(file)
    settings = SOURCE.content.replace(b"rules:", b"settings: {drop_instructions: true}\nrules:")
    gate = ObservedGate([logged.log], compile_policies([SourceFile("w.yaml", settings)]))
    answer = gate.check(Question("s", INITIALIZE, CLAIMS, TokenState.VALID, filters_responses=True))
    changed = gate.filter(answer.context, "application/json", INITIALIZED)
    assert changed.changed
    assert not gate.filter(answer.context, "application/json", changed.filtered.body).changed
    assert [("decision", answer.decision_id), ("response", answer.decision_id)] == [
        (record["kind"], record["id"]) for record in logged.records()
    ]


def test_response_whose_context_cannot_be_read_is_recorded_as_withheld(file: Path) -> None:
    logged = Logged(file)
    logged.gate.filter(b"?", "application/json", TOOLS)
    (record,) = logged.records()
    assert ("", "withheld") == (record["id"], record["outcome"])


def test_of_what_is_allowed_a_share_is_kept_and_of_denials_all(file: Path) -> None:
    logged = Logged(file, kept=Kept(allowed=0.5))
    chances = iter([0.4, 0.6] * 10)
    logged.log._chance = lambda: next(chances)
    logged.asked(*[call() for _ in range(10)], *[call("secret") for _ in range(10)])
    effects = [record["effect"] for record in logged.records()]
    assert (5, 10) == (effects.count("allow"), effects.count("deny"))


def test_of_responses_a_share_is_kept_and_of_those_that_hide_something_all(file: Path) -> None:
    logged = Logged(file, kept=Kept(allowed=0.0))
    (answer,) = logged.asked(LIST)
    for tools in (b'{"name":"echo"}', b'{"name":"echo"},{"name":"secret"}', b'{"name":"echo"},7'):
        logged.gate.filter(
            answer.context, "application/json", b'{"jsonrpc":"2.0","id":1,"result":{"tools":[%b]}}' % tools
        )
    logged.gate.filter(answer.context, "application/json", b"{")
    found = [(one["kind"], one["hidden"], one["dropped"], one["outcome"]) for one in logged.records()]
    kept = [("response", 1, 0, "filtered"), ("response", 0, 1, "filtered"), ("response", 0, 0, "withheld")]
    assert kept == found


def test_what_would_be_denied_in_shadow_is_kept_whatever_the_share(file: Path) -> None:
    never = "version: 1\npolicy: n\nmode: shadow\nrules: [{id: no, effect: deny, methods: [tools/call], name: echo}]\n"
    logged = Logged(file, kept=Kept(allowed=0.0))
    logged.gate = ObservedGate([logged.log], compile_policies([SOURCE, SourceFile("n.yaml", never.encode())]))
    logged.asked(LIST, call())
    (record,) = logged.records()
    assert ("allow", "echo", "deny") == (record["effect"], record["target"], record["shadow"]["effect"])


class Held:
    """A sink that writes when it is let."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.go = threading.Event()

    def append(self, lines: bytes) -> None:
        assert self.go.wait(30)
        with self._file.open("ab") as out:
            out.write(lines)

    def close(self) -> None:
        pass


def test_sink_that_takes_nothing_holds_nobody_up_and_what_was_allowed_goes_first(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Held(file)
    logged = Logged(file, kept=Kept(waiting=20_000), sink=sink)
    logged.asked(*[call() for _ in range(200)])
    before = dict(logged.log.dropped)
    assert before["allow"] > 100
    logged.asked(*[call("secret") for _ in range(5)])
    assert (0, before["allow"]) == (logged.log.dropped["deny"], logged.log.dropped["allow"])
    logged.asked(*[call("secret") for _ in range(200)])
    dropped = dict(logged.log.dropped)
    assert dropped["deny"] > 100
    sink.go.set()
    effects = [record["effect"] for record in logged.records()]
    assert (200 - dropped["allow"], 205 - dropped["deny"]) == (effects.count("allow"), effects.count("deny"))
    assert f"{sum(dropped.values())} records of decisions were dropped" in caplog.text


def test_no_client_crowds_records_out_while_they_can_be_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 1000.0)
    logged = Logged(file, kept=Kept(waiting=200_000), sink=LogFile(file, 1 << 30, 0))
    asked = 0
    while asked < 400:
        logged.asked(*[call("\U0001f600" * 4096) for _ in range(5)])
        asked += 5
        eventually(lambda: logged.log._rings.own.share <= 0.125)
    assert {"allow": 0, "deny": 0} == logged.log.dropped
    assert asked == len(logged.records())


def test_of_what_comes_together_and_has_no_room_denials_are_kept(file: Path) -> None:
    sink = Held(file)
    logged = Logged(file, kept=Kept(waiting=20_000), sink=sink)
    logged.asked(*[call() for _ in range(100)])
    before = logged.log.dropped["allow"]
    with logged.gate.batch:
        answers = logged.asked(*[call("echo" if number % 2 else "secret") for number in range(10)])
    assert {"allow": before + 5, "deny": 0} == logged.log.dropped
    sink.go.set()
    denied = [record["id"] for record in logged.records() if record["effect"] == "deny"]
    assert [one.decision_id for one in answers if not one.decision.allowed] == denied


def test_full_disk_loses_nothing_and_leaves_no_half_of_a_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.05)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    logged = Logged(file)
    try:
        logged.asked(call("secret"))
        eventually(lambda: file.exists() and file.stat().st_size > 0)
        size = file.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
        logged.asked(call("secret"), call("secret"))
        eventually(lambda: "cannot be written" in caplog.text)
        assert size == file.stat().st_size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    eventually(lambda: len(records(file)) == 3)
    assert 3 == len(logged.records())


class Full:
    """A sink on a disk that is full until it is not."""

    def __init__(self) -> None:
        self.is_full = True
        self.tries = 0

    def append(self, _: bytes) -> None:
        self.tries += 1
        if self.is_full:
            raise OSError(28, "No space left on device")

    def close(self) -> None:
        pass


def test_while_nothing_can_be_written_that_is_said_once_and_it_is_not_tried_at_every_decision(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mcp_acl")
    monkeypatch.setattr(module, "_AGAIN", 0.05)
    monkeypatch.setattr(module, "_LOOKS", 1)
    sink = Full()
    logged = Logged(file, kept=Kept(waiting=200_000), sink=sink)
    logged.asked(call("secret"))
    eventually(lambda: sink.tries > 0)
    before, started = sink.tries, time.monotonic()
    while sink.tries < before + 10:
        logged.asked(*[call("secret") for _ in range(50)])
    assert time.monotonic() - started >= 9 * 0.05
    said = [record.getMessage() for record in caplog.records if "written" in record.getMessage()]
    assert 1 == len([one for one in said if "cannot be written" in one])
    assert "the decision log is written again" not in said
    sink.is_full = False
    eventually(lambda: "the decision log is written again" in caplog.text)
    logged.log.close()


def test_what_is_dropped_is_said_while_more_is_dropped(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2_000)
    logged = Logged(file, kept=Kept(waiting=20_000), sink=Slow())
    until = time.monotonic() + 30
    while "were dropped" not in caplog.text:
        assert time.monotonic() < until
        logged.asked(*[call("secret") for _ in range(20)])
    logged.log._sink = Full()
    logged.log.close()


class Slow:
    """A sink that takes its time."""

    def append(self, _: bytes) -> None:
        time.sleep(0.02)

    def close(self) -> None:
        pass


def test_nothing_that_a_sink_raises_ends_the_log(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.02)
    written: list[bytes] = []

    class Breaking:
        broken = 2

        def append(self, lines: bytes) -> None:
            if self.broken:
                self.broken -= 1
                raise RuntimeError
            written.append(lines)

        def close(self) -> None:
            pass

    logged = Logged(file, sink=Breaking())
    logged.asked(call("secret"))
    eventually(lambda: len(written) == 1)
    logged.log.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.runtime.decision_log.test_log import Held, Logged, call
logged = Logged(Path(sys.argv[1]), sink=Held(Path(sys.argv[1])))
print(*[answer.decision_id for answer in logged.asked(call("secret"), call(), call("secret"))], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_had_not_written_is_written_by_the_next(file: Path) -> None:
    root = Path(__file__).parents[3]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, file], cwd=root, check=False, capture_output=True, text=True
    )
    assert -signal.SIGKILL == process.returncode, process.stderr
    assert not file.exists()
    found = Logged(file).records()
    assert process.stdout.split() == [record["id"] for record in found]
    Logged(file).records()
    assert 3 == len(records(file))


def test_what_is_no_queue_is_said_once_and_holds_nothing_up(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Logged(file)
    first.log._rings.own.file.with_name(f"{first.log._rings.own.file.name}9").write_bytes(b"x")
    try:
        first.asked(call("secret"))
        assert 1 == len(first.records())
        assert 1 == len(Logged(file).records())
        assert 2 == caplog.text.count("is not a queue of records"), "once by each"
    finally:
        first.log._rings.own.file.with_name(f"{first.log._rings.own.file.name}9").unlink()


def left_by_others(file: Path, number: int) -> list[Path]:
    """Names of queues that processes with the same log may have left."""
    logged = Logged(file)
    own = logged.log._rings.own.file
    logged.log.close()
    return [own.with_name(f"{own.name}{one}") for one in range(1, 1 + number)]


def test_what_cannot_be_read_keeps_nothing_else_from_being_written(file: Path) -> None:
    broken, whole = (Ring(left, 100) for left in left_by_others(file, 2))
    broken.put(b"?")
    whole.put(b'{"id": "x"}\n')
    Logged(file).log.close()
    broken.file.unlink()
    assert ([{"id": "x"}], False) == (records(file), whole.file.exists())


def test_queue_that_was_never_begun_is_removed(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = left_by_others(file, 3)
    for one, size in zip(left, (0, 10, 100), strict=True):
        one.write_bytes(bytes(size))
    Logged(file).log.close()
    assert (False, False, False) == tuple(one.exists() for one in left)
    assert "lost" not in caplog.text


def test_queue_that_another_has_removed_meanwhile_is_not_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name may be a living process's by then, whose queue it would be taken for."""
    logged = Logged(file)
    rings, flock = logged.log._rings, fcntl.flock
    other = rings.own.file.with_name(f"{rings.own.file.name}9")

    def another_comes_first(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            other.unlink()
            other.write_bytes(b"of a living process")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", another_comes_first)
    assert not rings._take(other)
    monkeypatch.undo()
    other.unlink()
    logged.log.close()


def test_line_that_a_killed_process_left_unfinished_spoils_no_other(file: Path) -> None:
    file.write_bytes(b'{"id": "one"}\n{"id": "tw')
    with closing(LogFile(file, 1 << 20, 3)) as log:
        log.append(b'{"id": "two"}\n')
        log.append(b'{"id": "three"}\n')
    assert [["one"], ["two"], ["three"]] == [
        [record["id"] for record in found_in(file, name)] for name in ("one", "two", "three")
    ]
    assert file.read_bytes().endswith(b'tw\n{"id": "two"}\n{"id": "three"}\n')


def test_two_processes_write_whole_lines_and_turn_the_file_once(file: Path) -> None:
    files = [LogFile(file, 2000, 3) for _ in range(2)]
    for number in range(60):
        files[number % 2].append(b'{"id": "%d", "x": "%b"}\n' % (number, b"x" * 100))
    for one in files:
        one.close()
    assert {"decisions.jsonl", "decisions.jsonl.1", "decisions.jsonl.2", "decisions.jsonl.3"} == {
        one.name for one in file.parent.iterdir()
    }
    kept = [record["id"] for one in sorted(file.parent.iterdir(), reverse=True) for record in records(one)]
    assert kept[-1] == "59"
    newest = [str(number) for number in range(60 - len(kept), 60)]
    assert sorted(newest) == sorted(kept)


def test_file_that_somebody_renames_is_begun_anew(file: Path) -> None:
    with closing(LogFile(file, 1 << 20, 3)) as log:
        log.append(b"one\n")
        file.rename(file.with_suffix(".old"))
        log.append(b"two\n")
    assert "two\n" == file.read_text()


@pytest.mark.parametrize("kept", [0, 3])
def test_file_that_somebody_renames_while_it_is_turned_is_begun_anew(
    kept: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = LogFile._turn

    def too_late(log: LogFile) -> None:
        file.rename(file.with_suffix(".old"))
        turn(log)

    monkeypatch.setattr(LogFile, "_turn", too_late)
    with closing(LogFile(file, 4, kept)) as log:
        log.append(b"one\n")
        log.append(b"two\n")
    assert ["one\n", "two\n"] == [one.read_text() for one in (file.with_suffix(".old"), file)]


def test_without_older_files_it_begins_at_nothing(file: Path) -> None:
    with closing(LogFile(file, 4, 0)) as log:
        log.append(b"one\n")
        log.append(b"two\n")
    assert (["decisions.jsonl"], "two\n") == ([one.name for one in file.parent.iterdir()], file.read_text())


def test_descriptor_is_written_to(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY)
    output = Output(descriptor)
    output.append(b"a\nb\n")
    output.close()
    os.close(descriptor)
    assert b"a\nb\n" == (tmp_path / "out").read_bytes()


def test_what_went_out_by_a_descriptor_in_part_spoils_no_other_line() -> None:
    receiving, sending = os.pipe()
    os.set_blocking(sending, False)
    output = Output(sending)
    line = b"x" * (1 << 17) + b"\n"
    with pytest.raises(BlockingIOError):
        output.append(line)
    taken = os.read(receiving, 1 << 20)
    output.append(b"last\n")
    taken += os.read(receiving, 1 << 20)
    os.close(receiving)
    os.close(sending)
    assert taken.endswith(b"x\nlast\n")


def shown(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["log", "show", *map(str, arguments)])
    return result.exit_code, result.output


def test_decision_is_found_by_its_id_in_older_files_too(file: Path) -> None:
    logged = Logged(file)
    answer, other = logged.asked(call("secret"), call())
    logged.records()
    file.rename(LogFile.named(file, 1))
    code, text = shown(answer.decision_id, "--log", file)
    assert 0 == code
    assert "no_matching_rule" in text
    assert "sub=ann" in text
    assert other.decision_id not in text
    code, text = shown(other.decision_id, "--log", file, "--json")
    assert ["w/echo"] == [
        f"{rule['policy']}/{rule['rule']}" for record in json.loads(text)["records"] for rule in record["rules"]
    ]


def test_what_is_not_found_is_said(file: Path) -> None:
    assert (2, True) == ((found := shown("x", "--log", file))[0], "cannot be read" in found[1])
    file.write_bytes(b'not json with x\n[1, "x"]\n{"id": "xx"}\n')
    assert (1, "there is no record of `x`\n") == shown("x", "--log", file)
    assert [] == [*found_in(file, "x")]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert [] == [one for one in threading.enumerate() if one.name == "decision log"]
