"""`filter`: the body that would be sent, byte for byte."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.runtime.weather import TOOLS, body, listed

KEYS = {"body", "content_type", "shown", "hidden", "dropped", "refused", "errors", "shadow"}
ADMIN = ["--claims", '{"role":"admin"}']


def response(*tools: str) -> list[str]:
    return ["--response", listed(*tools).decode()]


def test_list_is_filtered_for_the_principal(ask: Run) -> None:
    result = ask("filter", *response(*TOOLS), *ADMIN)
    assert (0, listed("forecast", "history")) == (result.exit_code, result.stdout_bytes)


def test_body_of_which_nothing_is_hidden_leaves_as_it_came(ask: Run) -> None:
    text = '{ "jsonrpc":"2.0","id":1,\n"result":{"tools":[{"name":"forecast","x":1.50}]} }\n'
    assert text.encode() == ask("filter", "--response", text).stdout_bytes


def test_report(ask: Run) -> None:
    found = json.loads(ask("filter", "--json", *response("forecast", "history", "delete")).stdout)
    assert KEYS == found.keys()
    assert listed("forecast").decode() == found["body"]
    assert ("application/json", 1, ["history", "delete"], [], "") == tuple(
        found[key] for key in ("content_type", "shown", "hidden", "dropped", "refused")
    )
    assert ["history"] == [error["rule"] for error in found["errors"]]


def test_event_stream_is_filtered(ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "stream"
    file.write_bytes(b"data: " + listed(*TOOLS) + b"\n\n")
    result = ask("filter", "--response", f"@{file}", "--content-type", "text/event-stream")
    assert b"data: " + listed("forecast") + b"\n\n" == result.stdout_bytes


def test_request_may_be_given_in_full(ask: Run) -> None:
    result = ask("filter", "--message", body("tools/list", cursor="x").decode(), *response(*TOOLS))
    assert listed("forecast") == result.stdout_bytes


def test_response_that_needs_nothing_passes_unread(ask: Run) -> None:
    message = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
    result = ask("filter", "--message", message, "--response", "anything at all")
    assert (0, b"anything at all") == (result.exit_code, result.stdout_bytes)
    assert json.loads(ask("filter", "--json", "--message", message, "--response", "x").stdout)["shown"] is None


def test_response_that_cannot_be_read_is_withheld_and_ends_with_1(ask: Run) -> None:
    result = ask("filter", "--response", '{"jsonrpc":"2.0","id":1,"result":{"tools":[],"tools":[{"name":"delete"}]}}')
    assert (1, -32603) == (result.exit_code, json.loads(result.stdout)["error"]["code"])
    result = ask("filter", "--json", "--response", "no JSON")
    assert (1, True) == (result.exit_code, json.loads(result.stdout)["refused"] != "")


@pytest.mark.parametrize(
    "args", [["--no-filters-responses"], ["--method", "tools/call"], ["--message", "no JSON"], ["--server", "other"]]
)
def test_request_that_is_denied_prints_the_denial_and_ends_with_1(ask: Run, args: list[str]) -> None:
    result = ask("filter", *response(*TOOLS), *args)
    assert (1, True) == (result.exit_code, "error" in json.loads(result.stdout))
    assert b"forecast" not in result.stdout_bytes


def test_denial_of_the_request_has_the_same_keys(ask: Run) -> None:
    result = ask("filter", "--json", "--no-filters-responses", *response(*TOOLS))
    found = json.loads(result.stdout)
    assert (1, KEYS, "list_not_filtered", None) == (result.exit_code, found.keys(), found["refused"], found["shown"])


def test_request_cannot_be_given_twice(ask: Run) -> None:
    result = ask("filter", "--method", "ping", "--message", "{}", "--response", "{}")
    assert (2, "error: --method: there is a --message already\n") == (result.exit_code, result.stderr)


STRICTER = """
version: 1
policy: stricter
mode: shadow
servers: [weather]
rules: [{id: never, effect: deny, methods: [tools/list], name: forecast}]
"""


def test_what_is_in_shadow_would_change_is_said_beside_the_body(ask: Run, policies: Path) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "forecast"}]}})
    plain = ask("filter", "--response", body)
    (policies / "stricter.yaml").write_text(STRICTER)
    result = ask("filter", "--response", body)
    assert (plain.exit_code, plain.stdout) == (result.exit_code, result.stdout)
    assert result.stderr == "in shadow: would be hidden: forecast\n"
    told = json.loads(ask("filter", "--response", body, "--json").stdout)
    assert {"hidden": ["forecast"], "shown": [], "refused": ""} == told["shadow"]
