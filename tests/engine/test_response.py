"""What is sent out in place of a response: nothing that is hidden, nothing in doubt, and the rest byte for byte."""

import json

import pytest

from mcp_acl.domain import Message, MessageKind, Request
from mcp_acl.engine.completion import MAX_VALUES
from mcp_acl.engine.response import Filtered, ResponseStream, filter_response
from mcp_acl.engine.streaming import MAX_EVENTS
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.servers import MAX_TTL_MS
from mcp_acl.policy.source import SourceFile
from tests.engine.weather import policies, request

POLICIES = policies()
JSON = "application/json"
STREAM = "text/event-stream"


def filtered(body: str | bytes, method: str = "tools/list", content_type: str = JSON, **claims: object) -> Filtered:
    raw = body if isinstance(body, bytes) else body.encode()
    return filter_response(POLICIES, request(method, claims), content_type, raw)  # type: ignore[arg-type]


def result(text: str) -> str:
    return f'{{"jsonrpc":"2.0","id":7,"result":{text}}}'


TOOLS = result(
    '{"tools":[{"name":"shared_a","x": 1.0},{"name":"other"},{"name":"shared_draft"}],"nextCursor":"c","_meta":{"k":1}}'
)


def test_hidden_entries_go_and_all_else_stays_as_it_came() -> None:
    found = filtered(TOOLS, drafts=False)
    assert result('{"tools":[{"name":"shared_a","x": 1.0}],"nextCursor":"c","_meta":{"k":1}}').encode() == found.body
    assert (1, ("other", "shared_draft")) == (found.shown, found.hidden)


def test_what_hides_nothing_is_the_body_as_it_came() -> None:
    body = ' {"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": "shared_a"}]}} '
    assert body.encode() == filtered(body).body


def test_spaces_in_the_text_change_nothing_but_themselves() -> None:
    body = json.dumps(json.loads(TOOLS), indent=1)
    assert ["shared_a"] == [one["name"] for one in json.loads(filtered(body, drafts=False).body)["result"]["tools"]]


def test_a_deny_rule_that_breaks_hides_and_is_reported() -> None:
    found = filtered(TOOLS)
    assert ("other", "shared_draft") == found.hidden
    assert ["weather/admins-see-all-tools", "weather/no-drafts"] == sorted(str(one.rule) for one in found.errors)


def test_conditions_on_the_entry_are_settled_for_each() -> None:
    entries = '{"name":"a","annotations":{"readOnlyHint":true}},{"name":"b"},{"name":"secret","annotations":{"readOnlyHint":true}}'
    found = filtered(result(f'{{"tools":[{entries}]}}'))
    assert ("b", "secret") == found.hidden


def test_an_entry_with_annotations_in_doubt_has_none() -> None:
    found = filtered(result('{"tools":[{"name":"a","annotations":{},"annotations":{"readOnlyHint":true}}]}'))
    assert (("a",), ["weather/admins-see-all-tools", "weather/read-only-tools"]) == (
        found.hidden,
        sorted(str(one.rule) for one in found.errors),
    )


def test_an_entry_whose_name_is_in_doubt_is_dropped_and_reported() -> None:
    found = filtered(result('{"tools":[{"name":"shared_a","name":"shared_b"},{"name":"shared_c"}]}'))
    assert (1, 1) == (found.shown, len(found.dropped))


def test_an_entry_whose_uri_is_not_canonical_is_dropped_and_reported() -> None:
    found = filtered(
        result('{"resources":[{"uri":"report://public/../x"},{"uri":"report://public/a"}]}'), "resources/list"
    )
    assert (1, 1) == (found.shown, len(found.dropped))


@pytest.mark.parametrize(
    ("asked", "key"), [("tools/call", "tools"), ("vendor/act", "tools"), ("resources/read", "tools")]
)
def test_a_list_is_filtered_whatever_was_asked(asked: str, key: str) -> None:
    assert ("other",) == filtered(result(f'{{"{key}":[{{"name":"other"}}]}}'), asked).hidden


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":7,"result":{"tools":[]}',
        b'{"jsonrpc":"2.0","id":7,"result":{"tools":[],"tools":[]}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"tools":[],"Tools":[]}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"tools":{}}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"other":[]}}',
        b'{"jsonrpc":"2.0","id":7,"result":[]}',
        b'{"jsonrpc":"2.0","id":7,"result":{},"error":{}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"tools":[]},"extra":1}',
        b'{"jsonrpc":"2.0","id":7}',
        b'[{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}]',
        b'{"jsonrpc":"2.0","id":7,"result":{"tools":["\xff"]}}',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}{}',
        b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}',
        b"not json",
    ],
)
def test_a_body_that_cannot_be_read_with_certainty_is_withheld(body: bytes) -> None:
    found = filtered(body)
    assert found.refused
    assert (7, -32603) == (json.loads(found.body)["id"], json.loads(found.body)["error"]["code"])


def test_an_empty_body_and_an_error_pass() -> None:
    assert b"" == filtered("", content_type="").body
    error = '{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"unknown"}}'
    assert error.encode() == filtered(error).body


@pytest.mark.parametrize("body", ["\r", "\x0b", " ", "\n\n", "\ufeff"])
def test_a_stream_of_white_space_leaves_whole_as_it_leaves_in_pieces(body: str) -> None:
    asked = request("tools/list")
    stream = ResponseStream(asked, "text/event-stream")
    pieces = [stream.feed(POLICIES, bytes([byte])).body for byte in body.encode()]
    whole = filter_response(POLICIES, asked, "text/event-stream", body.encode())
    assert b"".join([*pieces, stream.close(POLICIES).body]) == whole.body


def test_a_type_that_cannot_be_filtered_is_withheld() -> None:
    found = filtered("<tools/>", content_type="text/xml; charset=utf-8")
    assert "text/xml" in found.refused
    assert JSON == found.content_type


def test_a_server_no_policy_governs_shows_nothing() -> None:
    found = filter_response(POLICIES, request("tools/list", server="else"), STREAM, TOOLS.encode())
    assert found.refused
    assert found.body.startswith(b"data: ")


# ---- streams -----------------------------------------------------------------------------------------------------------


def events(*data: str) -> str:
    return "".join(f"event: message\nid: {index}\ndata: {text}\n\n" for index, text in enumerate(data))


def test_each_event_of_a_stream_is_filtered() -> None:
    found = filtered(": hello\n\nid: 0\ndata: \n\n" + events(TOOLS), content_type=STREAM, drafts=False)
    assert found.body.startswith(b": hello\n\nid: 0\ndata: \n\n")
    assert ("other", "shared_draft") == found.hidden
    assert b"shared_draft" not in found.body


def test_what_the_server_sends_on_its_own_is_decided_like_any_message() -> None:
    log = '{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    roots = '{"jsonrpc":"2.0","id":1,"method":"roots/list"}'
    found = filtered(events(log, roots, TOOLS), content_type=STREAM)
    assert b"notifications/message" in found.body
    assert b'"method":"roots/list"' not in found.body
    assert b'"id":7,"error"' in found.body
    assert 1 == len(found.dropped)


@pytest.mark.parametrize(
    "data", ["{", '{"jsonrpc":"2.0","id":7,"result":{"tools":{}}}', '{"jsonrpc":"2.0","method":1}']
)
def test_an_event_that_cannot_be_read_becomes_an_error(data: str) -> None:
    found = filtered(events(data), content_type=STREAM)
    assert b'"error"' in found.body
    assert 1 == len(found.dropped)


def test_a_named_event_and_one_cut_off_are_dropped() -> None:
    found = filtered(f"event: other\ndata: {TOOLS}\n\ndata: {TOOLS}", content_type=STREAM)
    assert b"" == found.body
    assert 2 == len(found.dropped)


# ---- cache fields, completion --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('"ttlMs":9999999,"cacheScope":"public"', {"ttlMs": MAX_TTL_MS, "cacheScope": "private"}),
        ('"ttlMs":5,"cacheScope":"private"', {"ttlMs": 5, "cacheScope": "private"}),
        ('"ttlMs":5', {"ttlMs": 5, "cacheScope": "private"}),
        ('"ttlMs":1e9,"cacheScope":"public"', {"ttlMs": MAX_TTL_MS, "cacheScope": "private"}),
        ('"ttlMs":"x","cacheScope":"public"', {"ttlMs": MAX_TTL_MS, "cacheScope": "private"}),
        ('"ttlMs":-1,"cacheScope":"public"', {"ttlMs": MAX_TTL_MS, "cacheScope": "private"}),
        ('"cacheScope":"public"', {"cacheScope": "private"}),
        ('"other":1', {"other": 1}),
    ],
)
@pytest.mark.parametrize(("method", "key"), [("tools/list", "tools"), ("resources/read", "contents")])
def test_what_depends_on_who_asks_is_private_and_soon_asked_again(
    method: str, key: str, fields: str, expected: dict[str, object]
) -> None:
    body = json.loads(filtered(result(f'{{"{key}":[],{fields}}}'), method).body)
    assert {key: [], **expected} == body["result"]


def test_what_depends_on_nobody_keeps_its_cache_fields() -> None:
    for method, key in (("prompts/list", "prompts"), ("vendor/list", "prompts")):
        body = result(f'{{"{key}":[],"cacheScope":"public","ttlMs":9999999}}')
        assert body.encode() == filtered(body, method).body


def completed(values: str, uri: str = "report://{year}/{name}", **claims: object) -> Filtered:
    params = {
        "ref": {"type": "ref/resource", "uri": uri},
        "argument": {"name": "name", "value": ""},
        "context": {"arguments": {"year": "2024", "odd": 1}},
    }
    asked = request("completion/complete", claims, **params)  # type: ignore[arg-type]
    body = result(f'{{"completion":{{"values":{values},"total":9,"hasMore":false}}}}')
    return filter_response(POLICIES, asked, JSON, body.encode())


def test_values_stay_if_what_they_make_of_the_template_may_be_read() -> None:
    found = completed('["a","b c"]')
    assert ["a", "b c"] == json.loads(found.body)["result"]["completion"]["values"]
    found = completed('["a","x/y",".."]')
    assert {"values": ["a"], "total": 1, "hasMore": False} == json.loads(found.body)["result"]["completion"]
    assert [] == json.loads(completed('["a"]', banned=True).body)["result"]["completion"]["values"]


@pytest.mark.parametrize("values", ["{}", "null", "[1]", '"a"'])
def test_a_completion_that_cannot_be_read_is_withheld(values: str) -> None:
    assert completed(values).refused


def test_a_completion_without_total_or_of_a_prompt_is_left_alone() -> None:
    body = result('{"completion":{"values":["secret"]}}')
    asked = request("completion/complete", ref={"type": "ref/prompt", "name": "p"})
    assert body.encode() == filter_response(POLICIES, asked, JSON, body.encode()).body
    asked = request(
        "completion/complete", ref={"type": "ref/resource", "uri": "nothing://{x}"}, argument="odd", context=1
    )
    body = result('{"completion":{"values":["secret"]}}')
    assert result('{"completion":{"values":[]}}').encode() == filter_response(POLICIES, asked, JSON, body.encode()).body
    empty = result("{}")
    assert empty.encode() == filter_response(POLICIES, asked, JSON, empty.encode()).body


def test_a_stream_of_too_many_events_is_withheld() -> None:
    found = filtered(b":\n\n" * (MAX_EVENTS + 1), content_type=STREAM)
    assert "it has more than 100,000 events; hand over fewer at a time" == found.refused
    assert (STREAM, 1) == (found.content_type, found.body.count(b"data:"))


def test_events_that_cannot_be_read_do_not_become_more_than_they_were() -> None:
    body = b"data: x\n\n" * MAX_EVENTS
    found = filtered(body, content_type=STREAM)
    assert (MAX_EVENTS, 1) == (len(found.dropped), found.body.count(b"data:"))


@pytest.mark.parametrize(
    "asked",
    [request("tools/call", name="shared_a"), request("tools/call")._replace(message=Message(MessageKind.EXCHANGE))],
)
def test_a_completion_of_which_the_request_is_not_known_is_withheld(asked: Request) -> None:
    body = result('{"completion":{"values":["secret"]}}').encode()
    found = filter_response(POLICIES, asked, JSON, body)
    assert ("it offers values for something that was not asked for", False) == (found.refused, b"secret" in found.body)
    free = policies("version: 1\npolicy: free\nservers: [weather]\nrules: [{id: a, feature: '*', methods: ['*']}]")
    assert body == filter_response(free, asked, JSON, body).body


def test_a_completion_of_too_many_values_is_withheld() -> None:
    asked = request("completion/complete", {})
    ref = {"type": "ref/resource", "uri": "report://public/{x}"}
    asked = asked._replace(message=asked.message._replace(params={"ref": ref}))
    body = result('{"completion":{"values":[' + '"a",' * MAX_VALUES + '"a"]}}').encode()
    assert "the completion holds more than 100 values" == filter_response(POLICIES, asked, JSON, body).refused


@pytest.mark.parametrize(
    ("ref", "argument"),
    [
        ("report://public/{x}", {"name": "y"}),
        ("report://public/{x}", {}),
        ("report://public/a", {"name": "x"}),
        ("report://public/{x}" + "{x}" * 31, {"name": "x"}),
        ("report://public/{x" + ",x" * 31 + "}", {"name": "x"}),
    ],
)
def test_values_of_which_nobody_knows_where_they_lead_are_hidden(ref: str, argument: dict[str, str]) -> None:
    asked = request("completion/complete", ref={"type": "ref/resource", "uri": ref}, argument={**argument, "value": ""})
    found = filter_response(POLICIES, asked, JSON, result('{"completion":{"values":["' + "a" * 300 + '"]}}').encode())
    assert ("a" * 300,) == found.hidden


@pytest.mark.parametrize(
    "ref", ["report://public/{a:x}", "report://public/" + "{a}" * 33, "report://public/{a" + ",a" * 32 + "}"]
)
def test_a_template_that_cannot_be_read_withholds_the_completion(ref: str) -> None:
    asked = request(
        "completion/complete", ref={"type": "ref/resource", "uri": ref}, argument={"name": "a", "value": ""}
    )
    assert filter_response(POLICIES, asked, JSON, result('{"completion":{"values":["a"]}}').encode()).refused


@pytest.mark.parametrize(
    ("content_type", "refused"),
    [
        ("application/json; charset=utf-8", False),
        ("application/json; charset='utf-8'", False),
        ("application/json;charset=US-ASCII", False),
        ("application/json; charset=utf-16", True),
        ("application/json; charset=utf-8; charset=utf-16", True),
        ('application/json; x="; charset=utf-8"; charset=utf-16', True),
        ("application/json;charset*=utf-16", True),
    ],
)
def test_what_is_not_utf_8_is_withheld(content_type: str, refused: bool) -> None:
    assert refused is bool(filtered(TOOLS, content_type=content_type, drafts=False).refused)


def test_the_revision_is_known_of_what_a_server_sends_too() -> None:
    text = """
version: 1
policy: p
rules:
  - {id: old, methods: [notifications/message], cel: 'mcp.protocol_version == "2025-11-25"'}
  - {id: list, methods: [tools/list]}
"""
    asked = request("tools/list")
    headers = {"mcp-protocol-version": ["2025-11-25"], "mcp-method": ["tools/list"]}
    asked = asked._replace(http=asked.http._replace(headers=headers))
    body = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'
    assert body == filter_response(policies(text), asked, STREAM, body).body


def test_tasks_are_listed_alike_with_and_without_the_arguments_of_the_call() -> None:
    text = """
version: 1
policy: p
rules:
  - {id: call, methods: [tools/call]}
  - {id: no, effect: deny, methods: [tasks/list], cel: has(mcp.arguments.q)}
"""
    body = result('{"tasks":[{"taskId":"t1"}]}').encode()
    for params in ({"name": "a", "arguments": {"q": 1}}, {"name": "a"}):
        asked = request("tools/call", {"iss": "https://idp", "sub": "ann"}, **params)
        assert body == filter_response(policies(text), asked, JSON, body).body


PLAIN = compile_policies(
    [
        SourceFile(
            "p.yaml",
            b"{version: 1, policy: p, rules: [{id: a, methods: [tools/list], name: {glob: 'shared_*'}, cel: 'claims != {}'}]}",
        )
    ]
)
"""Policies that trust no annotations, and so need nothing of a list but its names."""


def plainly(body: str) -> Filtered:
    return filter_response(PLAIN, request("tools/list", {"sub": "a"}), JSON, body.encode())


def test_a_list_alone_is_private_if_it_depends_on_who_asks() -> None:
    found = plainly(result('{"tools":[{"name":"shared_a"}],"ttlMs":9999999}'))
    assert {"ttlMs": MAX_TTL_MS, "cacheScope": "private"}.items() <= json.loads(found.body)["result"].items()


def test_a_list_alone_is_filtered_as_one_beside_something_else() -> None:
    entries = [
        '{"name":"shared_a","title":"A"}',
        '{"name":"other"}',
        '{"title":"none"}',
        '{"name":"shared_b","_meta":{"name":1}}',
    ]
    for number, more in enumerate(("", ',"nextCursor":"c"', ',"ttlMs":9999999,"_meta":{}', ',"resultType":"complete"')):
        text = f'{{"tools":[{",".join(entries[number % 2 :])}]{more}'
        alone, beside = plainly(result(text + "}")), plainly(result(text + ',"vendor":1}'))
        assert beside.body.replace(b',"vendor":1', b"") == alone.body
        assert (beside.shown, beside.hidden, beside.dropped) == (alone.shown, alone.hidden, alone.dropped)
        assert 2 - number % 2 == alone.shown


@pytest.mark.parametrize(
    ("tools", "shown"),
    [
        ('[{"name":"shared_a","name":"other"}]', 0),
        ('[{"name":"other","name":"shared_a"}]', 0),
        ('[{"name":"shared_a","Name":"other"}]', 0),
        ('[{"name":"shared_a","n\\u0061me":"other"}]', 0),
        ('[{"n\\u0061me":"shared_a"}]', 1),
        ('[{"name":"shared\\u005fa"}]', 1),
    ],
)
def test_a_list_alone_hides_no_second_name(tools: str, shown: int) -> None:
    found = plainly(result(f'{{"tools":{tools}}}'))
    assert (shown, 1 - shown) == (found.shown, len(found.dropped))


@pytest.mark.parametrize("members", ['"tools":[],"tools":[{"name":"other"}]', '"tools":[],"Tools":[{"name":"other"}]'])
def test_a_list_alone_hides_no_second_list(members: str) -> None:
    assert (
        "the result has a member twice, or one that can be taken for another"
        == plainly(result(f"{{{members}}}")).refused
    )
