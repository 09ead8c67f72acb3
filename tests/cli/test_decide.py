"""`decide` and `explain`: one message, its verdict, and every rule."""

import json
from pathlib import Path

import pytest

from mcp_acl.cli.printing import printable
from mcp_acl.cli.showing import IN_WORDS
from mcp_acl.domain import Reason
from tests.cli.conftest import Run
from tests.runtime.weather import body, call

ADMIN = '{"sub":"ann","role":"admin"}'
KEYS = {
    "decision", "reason", "rules", "errors", "message", "revision", "decision_id", "response_needs", "denial", "shadow"
}  # fmt: skip


def message(tool: str, **arguments: object) -> list[str]:
    return ["--message", call(tool, **arguments).decode()]


# ---- the verdict ----------------------------------------------------------------------------------------------------


def test_allowed_message_ends_with_0(ask: Run) -> None:
    result = ask("decide", *message("forecast", city="Oslo"))
    assert (0, "") == (result.exit_code, result.stderr)
    assert result.stdout.startswith("ALLOW  a rule allows it  (granted)\n")
    assert "weather/forecasts  weather.yaml:5" in result.stdout


def test_denied_message_ends_with_1_and_shows_why(ask: Run) -> None:
    result = ask("decide", *message("forecast", city="Atlantis"))
    assert 1 == result.exit_code
    assert result.stdout.startswith("DENY  a rule forbids it  (denied_by_rule)\n")
    for part in ("weather/no-atlantis  weather.yaml:12", "Atlantis has no weather.", "HTTP 200 {"):
        assert part in result.stdout


def test_condition_that_broke_is_shown(ask: Run) -> None:
    assert "weather.yaml:12: no such key: `city`" in ask("decide", *message("forecast")).stdout


def test_list_says_that_its_response_must_be_filtered(ask: Run) -> None:
    result = ask("decide", "--message", body("tools/list").decode())
    assert (0, True) == (result.exit_code, "needs filtering: it is a list" in result.stdout)


def test_json_has_exactly_these_keys(ask: Run) -> None:
    denied = json.loads(ask("decide", "--json", *message("forecast")).stdout)
    allowed = json.loads(ask("decide", "--json", *message("forecast", city="Oslo")).stdout)
    assert KEYS == denied.keys() == allowed.keys()
    rule = {"policy": "weather", "rule": "no-atlantis", "file": "weather.yaml", "line": 12}
    assert ([rule], [{**rule, "message": "no such key: `city`"}]) == (denied["rules"], denied["errors"])
    assert ("deny", "denied_by_rule", "Atlantis has no weather.", "none") == tuple(
        denied[key] for key in ("decision", "reason", "message", "response_needs")
    )
    assert {"status", "headers", "body"} == denied["denial"].keys()
    assert (200, {"content-type": "application/json"}) == (denied["denial"]["status"], denied["denial"]["headers"])
    assert denied["decision_id"] == json.loads(denied["denial"]["body"])["error"]["data"]["decision_id"]
    assert ("allow", "granted", "", None) == tuple(allowed[key] for key in ("decision", "reason", "message", "denial"))


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', "{"])
def test_message_that_is_refused_is_a_denial(ask: Run, text: str) -> None:
    result = ask("decide", "--json", "--message", text)
    assert (1, "message_refused") == (result.exit_code, json.loads(result.stdout)["reason"])


def test_bytes_of_a_file_are_the_message(ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "message"
    for content, reason in ((call("forecast", city="Oslo"), "granted"), (b"\xff\xfe", "message_refused")):
        file.write_bytes(content)
        assert reason == json.loads(ask("decide", "--json", "--message", f"@{file}").stdout)["reason"]


def test_message_of_bytes_that_are_no_text_is_a_denial(ask: Run) -> None:
    result = ask("decide", "--json", "--message", "\udcff")
    assert (1, "message_refused") == (result.exit_code, json.loads(result.stdout)["reason"])


# ---- what a question is made of -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--claims", ADMIN], "granted"),
        ([], "no_matching_rule"),
        (["--claims", ADMIN, "--token", "invalid"], "token_invalid"),
        (["--token", "invalid"], "token_invalid"),
        (["--claims", ADMIN, "--direction", "server_to_client"], "wrong_direction"),
        (["--claims", ADMIN, "--http-method", "PUT"], "message_refused"),
        (["--claims", ADMIN, "--header", "Mcp-Method=tools/call", "--header", "mcp-name=history"], "granted"),
        (["--claims", ADMIN, "--header", "Mcp-Method=tools/list"], "header_mismatch"),
        (
            ["--claims", ADMIN, "--header", "Mcp-Method=tools/call", "--header", "mcp-method=tools/call"],
            "header_mismatch",
        ),
    ],
)
def test_options_reach_the_decision(ask: Run, args: list[str], reason: str) -> None:
    assert reason == json.loads(ask("decide", "--json", *message("history"), *args).stdout)["reason"]


def test_claims_may_be_a_file(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(ADMIN)
    assert 0 == ask("decide", *message("history"), "--claims", f"@{tmp_path}/claims.json").exit_code


@pytest.mark.parametrize(("flag", "code"), [("--filters-responses", 0), ("--no-filters-responses", 1), (None, 0)])
def test_list_is_denied_to_who_does_not_filter(ask: Run, flag: str | None, code: int) -> None:
    args = [flag] if flag else []
    assert code == ask("decide", "--message", body("tools/list").decode(), *args).exit_code


SEEN = """\
version: 1
policy: seen
rules:
  - {id: attribute, methods: [tools/call], name: attribute, cel: 'attributes.plan == {"name": "gold"}'}
  - {id: time, methods: [tools/call], name: time, cel: 'request.time.getFullYear() == 2001'}
  - {id: path, methods: [tools/call], name: path, cel: 'request.path == "/a?b=c"'}
  - {id: address, methods: [tools/call], name: address, cel: 'request.remote_address == "10.0.0.7"'}
  - {id: header, methods: [tools/call], name: header, cel: 'request.headers["x-role"] == "a=b"'}
"""


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("attribute", ["--attribute", 'plan={"name":"gold"}', "--attribute", "other=1"]),
        ("time", ["--time", "2001-03-02T10:30:00+01:00"]),
        ("path", ["--path", "/a?b=c"]),
        ("address", ["--remote-address", "10.0.0.7"]),
        ("header", ["--header", "X-Role=a=b"]),
    ],
)
def test_every_fact_can_be_given(ask: Run, policies: Path, tool: str, args: list[str]) -> None:
    (policies / "seen.yaml").write_text(SEEN)
    assert 1 == ask("decide", *message(tool)).exit_code
    assert 0 == ask("decide", *message(tool), *args).exit_code


def test_task_can_be_given(ask: Run) -> None:
    args = ["--message", body("tasks/get", taskId="t").decode(), "--claims", '{"iss":"i","sub":"ann"}']
    task = '{"issuer":"i","subject":"ann","tool":"forecast"}'
    assert 1 == ask("decide", *args).exit_code
    assert 0 == ask("decide", *args, "--task", f"t={task}").exit_code


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "--message: it is missing"),
        (["--message", "@missing"], "--message: `missing` cannot be read: no such file or directory"),
        (["--message", "@."], "--message: `.` cannot be read: is a directory"),
        (["--message", "@a\0b"], "--message: `a\\u0000b` cannot be read"),
        ([*message("x"), "--claims", "@missing"], "--claims: `missing` cannot be read"),
        (
            [*message("x"), "--claims", __file__],
            f"--claims: it is not JSON: expecting value at character 0; write `@{__file__}` to read that file\n",
        ),
        ([*message("x"), "--claims", "claims.json"], "--claims: it is not JSON: expecting value at character 0\n"),
        ([*message("x"), "--claims", "x" * 10_000], "--claims: it is not JSON: expecting value at character 0\n"),
        ([*message("x"), "--claims", ""], "--claims: it is not JSON"),
        ([*message("x"), "--claims", '["a"]'], "--claims: it must be one JSON object"),
        ([*message("x"), "--claims", '{"a":1,"a":2}'], "--claims: the key `a` stands twice in one object\n"),
        ([*message("x"), "--claims", '{"a":"\udcff"}'], "--claims: it is not UTF-8"),
        ([*message("x"), "--claims", "{}", "--token", "none"], "--token: there are claims"),
        ([*message("x"), "--header", "X-A: b"], "--header: `X-A: b` is not `KEY=VALUE`"),
        ([*message("x"), "--header", "=b"], "--header: `=b` is not `KEY=VALUE`"),
        ([*message("x"), "--header", "a=\udcff"], "--header: it is not UTF-8"),
        ([*message("x"), "--attribute", "a=b"], "--attribute: it is not JSON"),
        ([*message("x"), "--attribute", "a=1", "--attribute", "a=2"], "--attribute: `a` is given twice"),
        ([*message("x"), "--task", "a=1"], "--task: write `ID={"),
        ([*message("x"), "--task", 'a={"issuer":"i","subject":1,"tool":"t"}'], "--task: write `ID={"),
        ([*message("x"), "--time", "noon"], "--time: `noon` is not a time"),
        ([*message("x"), "--time", "2026-03-02T10:30:00"], "--time: `2026-03-02T10:30:00` is not a time"),
        ([*message("x"), "--time", "0001-01-01T00:00:00+23:00"], "is not a time"),
        ([*message("x"), "--server", "\udcff"], "--server: it is not UTF-8"),
    ],
)
@pytest.mark.parametrize("command", ["decide", "explain", "filter"])
def test_what_cannot_be_used_is_told_and_ends_with_2(ask: Run, command: str, args: list[str], text: str) -> None:
    own = ["--response", "{}"] if command == "filter" else []
    if not args and command == "filter":
        return
    result = ask(command, *args, *own)
    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("error: ")
    assert text in result.stderr
    assert 1 == result.stderr.count("\n")


def test_session_is_named_as_everywhere(ask: Run) -> None:
    assert 0 == ask("decide", *message("forecast", city="Oslo"), "--session-id", "s").exit_code
    assert 2 == ask("decide", *message("forecast", city="Oslo"), "--session", "s").exit_code


@pytest.mark.parametrize("args", [["--direction", "up"], ["--token", "good"], ["--unknown"], ["--json=1"]])
def test_flag_that_is_none_ends_with_2(ask: Run, args: list[str]) -> None:
    assert 2 == ask("decide", *message("x"), *args).exit_code


def test_policies_that_are_refused_end_with_2(ask: Run, policies: Path) -> None:
    (policies / "broken.yaml").write_text("version: 1\npolicy: broken\nrules: [{id: a, method: [ping]}]\n")
    result = ask("decide", *message("x"))
    assert (2, "") == (result.exit_code, result.stdout)
    assert "broken.yaml:3:" in result.stderr


def test_policies_that_are_not_there_end_with_2(run: Run) -> None:
    result = run("decide", "--policies", "nowhere", "--server", "s", "--message", "{}")
    assert (2, True) == (result.exit_code, "nowhere" in result.stderr)


def test_file_that_is_endless_is_not_read_to_its_end(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_acl.cli.inputs._MOST", 1000)
    result = ask("decide", "--message", "@/dev/zero")
    assert (2, "error: --message: `/dev/zero` is larger than 1000 bytes\n") == (result.exit_code, result.stderr)


# ---- explain --------------------------------------------------------------------------------------------------------


def test_every_rule_is_explained_with_what_its_condition_saw(ask: Run) -> None:
    result = ask("explain", *message("history"), "--claims", '{"role":"user"}')
    assert 1 == result.exit_code
    assert "○ weather/history  (allow, weather.yaml:8)  its condition is false\n" in result.stdout
    assert "claims.role  =  'user'\n" in result.stdout
    for rule in ("forecasts", "no-atlantis", "prompts"):
        assert f"○ weather/{rule}  (" in result.stdout


def test_rule_that_applies_is_marked(ask: Run) -> None:
    result = ask("explain", *message("history"), "--claims", ADMIN)
    assert (0, True) == (result.exit_code, "● weather/history" in result.stdout)


def test_explanation_as_json(ask: Run) -> None:
    found = json.loads(ask("explain", "--json", *message("history"), "--claims", ADMIN).stdout)
    assert {"decision", "rules"} == found.keys()
    assert KEYS == found["decision"].keys()
    (rule,) = [rule for rule in found["rules"] if rule["applies"]]
    assert {
        "policy",
        "rule",
        "file",
        "line",
        "effect",
        "applies",
        "why",
        "saw",
        "missing",
        "remains",
        "in_shadow",
    } == rule.keys()
    assert ("history", "allow") == (rule["rule"], rule["effect"])
    assert {"claims.role"} <= {seen["text"] for seen in rule["saw"]}


# ---- words ----------------------------------------------------------------------------------------------------------


def test_every_reason_has_its_words() -> None:
    assert set(Reason) == set(IN_WORDS)


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    assert "a\\u001b[31m\\u000ab\\u202e" == printable("a\x1b[31m\nb\u202e")


def test_what_a_condition_misses_and_leaves_open_is_shown(run: Run, tmp_path: Path) -> None:
    rules = (
        "  - {id: small, methods: [tools/list, tools/call], name: pay, cel: 'claims.role == \"teller\" && mcp.arguments.amount <= claims.limit'}\n"
        "  - {id: audit, methods: [tools/list], cel: 'claims.auditor == true'}\n"
        "  - {id: own, methods: [tools/list], cel: 'mcp.name.startsWith(claims.role) || mcp.arguments.a == 1'}\n"
    )
    (tmp_path / "p.yaml").write_text(f"version: 1\npolicy: p\nrules:\n{rules}")
    given = ["--policies", str(tmp_path), "--server", "s", "--claims", '{"role":"teller","limit":500}']
    listed = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    shown = run("explain", *given, "--message", listed).stdout
    assert "remains: mcp.arguments.amount <= 500\n" in shown
    assert "missing: claims.auditor\n" in shown
    assert "remains: mcp.name.startsWith('teller') || mcp.arguments.a == 1\n" in shown


# ---- in shadow ------------------------------------------------------------------------------------------------------

STRICTER = """
version: 1
policy: stricter
mode: shadow
servers: [weather]
rules: [{id: never, effect: deny, methods: [tools/call], name: forecast}]
"""


def test_what_is_in_shadow_is_told_and_the_verdict_stands(ask: Run, policies: Path) -> None:
    (policies / "stricter.yaml").write_text(STRICTER)
    result = ask("decide", *message("forecast", city="Oslo"))
    assert (0, True) == (result.exit_code, result.stdout.startswith("ALLOW"))
    assert "shadow   would be denied: stricter/never  stricter.yaml:6" in result.stdout
    told = json.loads(ask("decide", *message("forecast", city="Oslo"), "--json").stdout)
    assert ("deny", "denied_by_rule", ["never"]) == (
        told["shadow"]["decision"],
        told["shadow"]["reason"],
        [rule["rule"] for rule in told["shadow"]["rules"]],
    )
    explained = ask("explain", *message("forecast", city="Oslo")).stdout
    assert "stricter/never  (in shadow, deny, stricter.yaml:6)" in explained
