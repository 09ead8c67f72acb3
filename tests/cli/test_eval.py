"""`eval`: expressions on a scope, an answer a line."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.expr.walk import UNKNOWN
from tests.cli.conftest import Run


def answers(run: Run, language: str, scope: str, expressions: str, *args: str) -> list[dict[str, Any]]:
    result = run("eval", "--language", language, "--scope", scope, "--expressions", expressions, *args)
    assert (0, "") == (result.exit_code, result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]


CEL = '{"claims":{"role":"admin","level":5,"big":9007199254740993},"ready":true,"nothing":null}'


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        ("claims.role == 'admin'", "true"),
        ("claims.level > 5", "false"),
        ("ready", "true"),
        ("claims.nope", "error"),
        ("claims.role", "error"),
        ("claims.big > 1", "error"),
        ("unheard_of", "error"),
        ("unheard_of || ready", "true"),
        ("unheard_of()", "error"),
        ("1 +", "parse"),
    ],
)
def test_cel_condition(run: Run, expression: str, outcome: str) -> None:
    (answer,) = answers(run, "cel", CEL, expression)
    assert (expression, outcome) == (answer["expression"], answer["outcome"])
    assert (outcome in ("error", "parse")) == ("detail" in answer)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("claims.level + 1", {"type": "int", "value": "6"}),
        ("[1.5]", {"type": "list", "value": [{"type": "double", "value": "1.5"}]}),
        ("nothing", {"type": "null", "value": None}),
        ("claims.nope", {"type": "error", "outcome": "error", "detail": "no such key: `nope`"}),
        (
            "claims.big",
            {
                "type": "error",
                "outcome": "error",
                "detail": "number `9007199254740993` is outside the range every parser reads alike",
            },
        ),
    ],
)
def test_cel_value(run: Run, expression: str, answer: dict[str, object]) -> None:
    assert [{"expression": expression, **answer}] == answers(run, "cel", CEL, expression, "--as", "value")


def test_outcome_that_is_not_known_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_acl.cli.eval.walk", lambda *_: UNKNOWN)
    assert [{"expression": "1", "outcome": "unknown"}] == answers(run, "cel", "{}", "1")


def test_text_that_cannot_be_parsed_has_no_value(run: Run) -> None:
    (answer,) = answers(run, "cel", "{}", ")", "--as", "value", "--json")
    assert ("error", "parse") == (answer["type"], answer["outcome"])


def test_scope_may_be_typed(run: Run) -> None:
    scope = '{"x":{"type":"uint","value":"18446744073709551615"},"a.b":{"type":"string","value":"s"}}'
    found = answers(run, "cel", scope, '["x", "a.b"]', "--as", "value")
    assert [("uint", "18446744073709551615"), ("string", "s")] == [(one["type"], one["value"]) for one in found]


def test_variable_may_have_any_name(run: Run) -> None:
    found = answers(run, "cel", '{"__class__":1,"self":2}', '["__class__", "self", "__dict__"]', "--as", "value")
    assert ["int", "int", "error"] == [one["type"] for one in found]


def test_scope_with_one_plain_value_is_plain(run: Run) -> None:
    scope = '{"x":{"type":"uint","value":"1"},"y":1}'
    assert [{"expression": "x.type", "type": "string", "value": "uint"}] == answers(
        run, "cel", scope, "x.type", "--as", "value"
    )


EL = {
    "attributes": {"user": "ann", "jwt.claims": {"role": "admin"}},
    "request": {"method": "POST", "headers": {"X-Role": ["a"]}, "content": {"method": "tools/call"}},
}


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        ("{#context.attributes['jwt.claims']['role'] == 'admin'}", "true"),
        ("{#context.attributes['user'] == 'bob'}", "false"),
        ("{#context.attributes['nope']}", "empty"),
        ("{#request.headers['X-Role'][0] == 'a'}", "true"),
        ("{#request.jsonContent['method'] == 'tools/call'}", "true"),
        ("{#context.attributes['user'].unknown}", "error"),
        ("{#context.attributes[}", "parse"),
    ],
)
def test_el_condition(run: Run, expression: str, outcome: str) -> None:
    (answer,) = answers(run, "el", json.dumps(EL), json.dumps([expression]))
    assert outcome == answer["outcome"]


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("{#context.attributes['user']}", {"type": "String", "value": "ann"}),
        ("{1 + 1}", {"type": "String", "value": "{1 + 1}"}),
        ("{#context.attributes['user'].length() + 1}", {"type": "Integer", "value": "4"}),
        ("{#context.attributes['user'] == 'ann'}", {"type": "Boolean", "value": "true"}),
        ("{#context.attributes['nope']}", {"type": "null", "value": None}),
        ("user {#context.attributes['user']}", {"type": "String", "value": "user ann"}),
        ("{{1.5, 'a'}}", {"type": "String", "value": "{{1.5, 'a'}}"}),
        ("{#request.headers['X-Role']}", {"type": "LinkedList", "value": "[a]"}),
        ("{#context.attributes['jwt.claims']}", {"type": "LinkedHashMap", "value": "{role=admin}"}),
        (
            "{#context.attributes['user'].unknown}",
            {"type": "error", "outcome": "error", "detail": "a String has no property `unknown`"},
        ),
    ],
)
def test_el_value(run: Run, expression: str, answer: dict[str, object]) -> None:
    found = answers(run, "el", json.dumps(EL), json.dumps([expression]), "--as", "value")
    assert [{"expression": expression, **answer}] == found


def test_el_text_that_cannot_be_parsed_has_no_value(run: Run) -> None:
    (answer,) = answers(run, "el", "{}", "{#context.attributes[}", "--as", "value")
    assert ("error", "parse") == (answer["type"], answer["outcome"])


@pytest.mark.parametrize(
    ("content", "expressions"),
    [
        ("true\n\n  \nfalse\r\n1 == 1", ["true", "false", "1 == 1"]),
        ('["true", "\\"\\n\\" == \'\\\\n\'"]', ["true", "\"\n\" == '\\n'"]),
        ("[1].exists(x, x == 1)", ["[1].exists(x, x == 1)"]),
        ("[true]", ["[true]"]),
        ("", []),
        ("[]", []),
    ],
)
def test_expressions_are_lines_or_an_array(run: Run, tmp_path: Path, content: str, expressions: list[str]) -> None:
    (tmp_path / "expressions").write_text(content, newline="")
    found = answers(run, "cel", "{}", f"@{tmp_path}/expressions")
    assert expressions == [answer["expression"] for answer in found]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--language", "cel", "--scope", "[]", "--expressions", "1"], "--scope: it must be one JSON object"),
        (["--language", "cel", "--scope", "@nowhere", "--expressions", "1"], "--scope: `nowhere` cannot be read"),
        (["--language", "cel", "--scope", "{}", "--expressions", "@nowhere"], "--expressions: `nowhere`"),
        (["--language", "cel", "--scope", "{}", "--expressions", "\udcff"], "--expressions: it is not UTF-8"),
        (["--language", "cel", "--scope", "{}", "--expressions", '["\\ud800"]'], "--expressions: it is not UTF-8"),
        (
            ["--language", "cel", "--scope", '{"x":{"type":"int","value":"a"}}', "--expressions", "1"],
            "--scope: a typed value cannot be read",
        ),
    ],
)
def test_what_cannot_be_used_ends_with_2(run: Run, args: list[str], text: str) -> None:
    result = run("eval", *args)
    assert (2, "") == (result.exit_code, result.stdout)
    assert text in result.stderr


@pytest.mark.parametrize("args", [["--language", "sql"], ["--as", "text"]])
def test_flag_that_is_none_ends_with_2(run: Run, args: list[str]) -> None:
    assert 2 == run("eval", "--language", "cel", "--scope", "{}", "--expressions", "1", *args).exit_code


def test_parts_are_told_with_what_was_missing_and_what_remains(run: Run) -> None:
    text = "claims.role == 'admin' && args.amount <= claims.level"
    (answer,) = answers(run, "cel", CEL, text, "--parts", "--unknown", "args")
    assert ("unknown", "", "args.amount <= 5") == (answer["outcome"], answer["missing"], answer["remains"])
    assert {"text": "claims.role", "value": "'admin'"} in answer["saw"]
    (answer,) = answers(run, "cel", CEL, "claims.nope == 1", "--parts")
    assert ("error", "claims.nope", "") == (answer["outcome"], answer["missing"], answer["remains"])
    (answer,) = answers(run, "cel", CEL, "1 +", "--parts")
    assert ("parse", [], "", "") == (answer["outcome"], answer["saw"], answer["missing"], answer["remains"])


def test_a_variable_of_el_may_be_unknown(run: Run) -> None:
    scope = '{"attributes":{"jwt.claims":{"level":5}}}'
    text = "{#mcp.arguments['amount'] <= #context.attributes['jwt.claims']['level']}"
    (answer,) = answers(run, "el", scope, text, "--parts", "--unknown", "mcp.arguments")
    assert ("unknown", "#mcp.arguments['amount'] <= 5") == (answer["outcome"], answer["remains"])


def test_a_variable_that_el_has_not_is_no_input(run: Run) -> None:
    result = run("eval", "--language", "el", "--scope", "{}", "--expressions", "{#a}", "--unknown", "mcp.argument")
    assert 2 == result.exit_code
    assert "--unknown: there is no variable `mcp.argument`; did you mean `mcp.arguments`?" in result.stderr
