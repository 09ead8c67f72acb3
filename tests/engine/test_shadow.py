"""What is in shadow: tried, told, and without any power over what is answered."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.domain import Decision, Effect, Message, MessageKind, Reason, Request, ResponseNeeds, TokenState
from mcp_acl.engine import shadow as module
from mcp_acl.engine.decision import decide
from mcp_acl.engine.response import Filtered, filter_response
from mcp_acl.engine.shadow import Shadow, difference, tried
from mcp_acl.policy.compiler import at_commit, compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import SourceError
from mcp_acl.runtime import gate as gates
from mcp_acl.runtime.gate import Gate, Question, Reply
from tests.strategies import lists, policy_sets, requests, source_files
from tests.test_differential import body_of

BASE = """
version: 1
policy: w
servers: [s]
rules:
  - {id: tools, methods: [tools/list, tools/call], name: [echo, delete]}
"""
STRICTER = """
version: 1
policy: stricter
mode: shadow
servers: [s]
rules:
  - {id: no-delete, effect: deny, methods: [tools/list, tools/call], name: delete}
  - {id: more, methods: [tools/list, tools/call], name: more}
"""
NEEDS = [ResponseNeeds.NONE, ResponseNeeds.STREAM, ResponseNeeds.RESULT, ResponseNeeds.LIST]
TOOLS = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"},{"name":"delete"},{"name":"more"}]}}'


def compiled(*texts: str) -> PolicySet:
    return compile_policies([SourceFile(f"{number}.yaml", text.encode()) for number, text in enumerate(texts)])


def call(name: str, server: str = "s") -> Question:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}}
    return Question(server, json.dumps(message).encode(), {"sub": "a"}, TokenState.VALID, filters_responses=True)


def names_in(reply: Reply) -> list[str]:
    return [tool["name"] for tool in json.loads(reply.filtered.body)["result"]["tools"]]


LIST = Question("s", b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', filters_responses=True)


def test_a_set_without_shadow_has_no_trial_and_tells_nothing() -> None:
    gate = Gate(compiled(BASE, STRICTER.replace("mode: shadow", "mode: enforce")))
    assert gate.policies.trial is None
    assert [None, None] == [gate.check(call(name)).shadow for name in ("delete", "more")]
    assert gate.filter(gate.check(LIST).context, "application/json", TOOLS).shadow is None


def test_what_it_would_change_is_told_and_changes_nothing() -> None:
    gate = Gate(compiled(BASE, STRICTER))
    denied, granted, same, never = (gate.check(call(name)) for name in ("delete", "more", "echo", "other"))
    assert [True, False, True, False] == [one.decision.allowed for one in (denied, granted, same, never)]
    assert denied.shadow is not None
    assert (Effect.DENY, Reason.DENIED_BY_RULE, ["stricter/no-delete"]) == (
        denied.shadow.effect,
        denied.shadow.reason,
        [*map(str, denied.shadow.rules)],
    )
    assert granted.shadow is not None
    assert (Effect.ALLOW, ["stricter/more"]) == (granted.shadow.effect, [*map(str, granted.shadow.rules)])
    assert granted.denial is not None
    assert same.shadow is never.shadow is None


def test_one_rule_may_be_in_shadow() -> None:
    rule = "  - {id: no-delete, effect: deny, mode: shadow, methods: [tools/call], name: delete}\n"
    answer = Gate(compiled(BASE + rule)).check(call("delete"))
    assert answer.decision.allowed
    assert answer.shadow is not None
    assert ["w/no-delete"] == [*map(str, answer.shadow.rules)]


def test_policy_in_shadow_governs_nothing() -> None:
    gate = Gate(compiled(BASE.replace("version: 1", "version: 1\nmode: shadow")))
    answer = gate.check(call("echo"))
    assert Reason.NO_POLICY is answer.decision.reason
    assert answer.shadow is not None
    assert answer.shadow.allowed


def test_settings_in_shadow_are_not_in_force() -> None:
    hidden = STRICTER.replace("rules:", "settings: {denials: hidden}\nrules:")
    found = compiled(BASE, hidden)
    assert compiled(BASE).settings("s") == found.settings("s")
    assert found.trial is not None
    assert found.settings("s") != found.trial.settings("s")


def test_no_rule_that_counts_is_found_dead_or_covered_by_one_in_shadow() -> None:
    found = compiled(BASE, STRICTER.replace("name: delete}", "name: [delete, echo]}"))
    assert () == found.findings
    twice = BASE.replace("policy: w", "policy: x\nmode: shadow")
    assert [("covered-rule", "1.yaml")] == [(one.code, one.place.file) for one in compiled(BASE, twice).findings]
    assert [("dead-rule", "1.yaml")] == [
        (one.code, one.place.file)
        for one in compiled(
            BASE, STRICTER.replace("rules:", "rules:\n  - {id: dead, methods: [tools/call], name: delete}")
        ).findings
    ]


def test_what_is_in_shadow_must_be_right_too() -> None:
    with pytest.raises(SourceError):
        compiled(BASE, STRICTER.replace("name: more", "name: more, cel: 'nonsense('"))
    with pytest.raises(SourceError, match="shadw"):
        compiled(BASE.replace("version: 1", "version: 1\nmode: shadw"))


@pytest.mark.parametrize("pieces", [None, 1, 50])
def test_list_is_answered_as_without_and_the_difference_is_told(pieces: int | None) -> None:
    gate, plain = Gate(compiled(BASE, STRICTER)), Gate(compiled(BASE))
    context, other = gate.check(LIST).context, plain.check(LIST).context
    assert context
    if pieces is None:
        replies = [gate.filter(context, "application/json", TOOLS)]
    else:
        filtering = gate.filter_stream(context, "application/json")
        replies = [filtering.feed(TOOLS[start : start + pieces]) for start in range(0, len(TOOLS), pieces)]
        replies.append(filtering.close())
    body = b"".join(reply.filtered.body for reply in replies)
    assert plain.filter(other, "application/json", TOOLS).filtered.body == body
    assert [Shadow(("delete",), ("more",))] == [reply.shadow for reply in replies if reply.shadow is not None]


EVERYTHING = "version: 1\npolicy: w\nservers: [s]\nrules: [{id: all, feature: '*', methods: ['*']}]\n"
NEVER = (
    "version: 1\npolicy: n\nmode: shadow\nservers: [s]\nrules: [{id: n, effect: deny, methods: [elicitation/create]}]\n"
)


@pytest.mark.parametrize("body", [b'{"id":1,"id":1,"jsonrpc":"2.0","result":{}}', b"\xff", b"x" * 20_000_000])
def test_response_that_only_the_trial_looks_into_passes_as_it_is(body: bytes) -> None:
    plain, gate = Gate(compiled(EVERYTHING)), Gate(compiled(EVERYTHING, NEVER))
    context = gate.check(call("echo")).context
    assert plain.filter(plain.check(call("echo")).context, "application/json", body).filtered.refused
    reply = gate.filter(context, "application/json", body)
    assert (body, False, "") == (reply.filtered.body, reply.changed, reply.filtered.refused)
    assert reply.shadow is not None
    assert reply.shadow.refused
    filtering = gate.filter_stream(context, "application/json")
    replies = [filtering.feed(body[:10]), filtering.feed(body[10:]), filtering.close()]
    assert [body[:10], body[10:], b""] == [one.filtered.body for one in replies]
    assert 1 == len([one for one in replies if one.shadow is not None])
    assert gate.filter(context, "text/event-stream", b"data: x\n\n").filtered.dropped, "as without it"


def test_of_entries_of_one_name_as_many_are_told_as_differ() -> None:
    once, twice = (Filtered("", b"", hidden=names) for names in (("a", "b"), ("b", "a", "a")))
    assert (Shadow(hidden=("a",)), Shadow(shown=("a",))) == (difference(once, twice), difference(twice, once))


def test_response_is_asked_for_where_only_the_trial_needs_it() -> None:
    plain, gate = Gate(compiled(EVERYTHING)), Gate(compiled(EVERYTHING, NEVER))
    assert ResponseNeeds.STREAM is plain.check(call("echo")).decision.response_needs
    assert ResponseNeeds.RESULT is gate.check(call("echo")).decision.response_needs


@pytest.mark.parametrize("ours", NEEDS)
@pytest.mark.parametrize("theirs", NEEDS)
def test_the_trial_never_lowers_what_a_response_needs(
    monkeypatch: pytest.MonkeyPatch, ours: ResponseNeeds, theirs: ResponseNeeds
) -> None:
    allowed = Decision(Effect.ALLOW, Reason.GRANTED, "r")
    monkeypatch.setattr(module, "decide", lambda *_: allowed._replace(response_needs=theirs))
    request = Request("s", Message(MessageKind.REQUEST, "ping", 1))
    kept, _ = tried(compiled(BASE), request, allowed._replace(response_needs=ours))
    assert max(ours, theirs, key=NEEDS.index) is kept.response_needs


def test_response_that_only_the_trial_would_withhold_passes_and_that_is_told_once() -> None:
    asks = "  - {id: asks, feature: sampling, methods: [sampling/createMessage]}\n"
    deny = """
version: 1
policy: stricter
mode: shadow
servers: [s]
rules: [{id: never, effect: deny, feature: sampling, methods: [sampling/createMessage]}]
"""
    gate = Gate(compiled(BASE + asks, deny))
    asked = {"a": {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "input_required", "inputRequests": asked}})
    answer = gate.check(call("echo"))
    reply = gate.filter(answer.context, "application/json", body.encode())
    assert not reply.filtered.refused
    assert reply.shadow is not None
    assert reply.shadow.refused
    filtering = gate.filter_stream(answer.context, "application/json")
    replies = [filtering.feed(body.encode()), filtering.close(), filtering.close()]
    assert 1 == len([one for one in replies if one.shadow is not None])


def test_of_a_response_that_is_withheld_anyway_nothing_is_told() -> None:
    gate = Gate(compiled(BASE, STRICTER))
    reply = gate.filter(gate.check(LIST).context, "application/json", b"{")
    assert reply.filtered.refused
    assert reply.shadow is None


@pytest.mark.parametrize("error", [RuntimeError("broken"), RecursionError(), MemoryError()])
def test_what_breaks_in_shadow_changes_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    gate = Gate(compiled(BASE, STRICTER))

    def breaks(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(module, "decide", breaks)
    answers = [gate.check(call(name)) for name in ("delete", "other")]
    assert [(True, None), (False, None)] == [(one.decision.allowed, one.shadow) for one in answers]
    monkeypatch.setattr(gates, "difference", breaks)
    reply = gate.filter(gate.check(LIST).context, "application/json", TOOLS)
    assert (2, None) == (reply.filtered.shown, reply.shadow)


def test_rules_in_shadow_are_explained_as_such() -> None:
    _, trials = Gate(compiled(BASE, STRICTER)).explain(call("delete"))
    assert {"w/tools": False, "stricter/no-delete": True, "stricter/more": True} == {
        str(one.rule): one.in_shadow for one in trials
    }


def test_another_commit_has_the_same_trial() -> None:
    found = at_commit(compiled(BASE, STRICTER), "f" * 40)
    assert found.trial is not None
    assert found.revision == found.trial.revision
    assert found.revision.endswith("+git.ffffffffffff")


# ---- the law: as if it were not written -----------------------------------------------------------------------------


def in_shadow(written: Sequence[Mapping[str, Any]], chosen: Sequence[bool]) -> tuple[list[Any], list[Any]]:
    """The same with some policies and rules in shadow, and the same without those."""
    picks = iter([*chosen, *[False] * 1000])
    with_, without = [], []
    for policy in written:
        one, other = deepcopy(dict(policy)), deepcopy(dict(policy))
        if next(picks):
            one["mode"] = "shadow"
        else:
            marks = [next(picks) for _ in policy["rules"]]
            one["rules"] = [
                {**rule, "mode": "shadow"} if mark else rule for rule, mark in zip(policy["rules"], marks, strict=True)
            ]
            other["rules"] = [rule for rule, mark in zip(policy["rules"], marks, strict=True) if not mark]
            without.append(other)
        with_.append(one)
    return with_, without


def told(decision: Decision) -> tuple[object, ...]:
    return decision.effect, decision.reason, [*map(str, decision.rules)], [str(error.rule) for error in decision.errors]


@settings(max_examples=100)
@given(policy_sets(), st.lists(st.booleans(), max_size=12), st.lists(requests(), min_size=1, max_size=4), lists())
@pytest.mark.untraced
def test_what_is_in_shadow_counts_as_if_it_were_not_written(
    written: list[dict[str, Any]],
    chosen: list[bool],
    asked: list[Request],
    listed: tuple[Request, list[dict[str, Any]]],
) -> None:
    with_, without = in_shadow(written, chosen)
    mixed = plain = every = None
    with suppress(SourceError):
        mixed, plain, every = (compile_policies(source_files(one)) for one in (with_, without, written))
    if mixed is None or plain is None or every is None:
        return
    assert (mixed.trial is not None) == any(
        "shadow" in (policy.get("mode"), *(rule.get("mode") for rule in policy["rules"])) for policy in with_
    )
    for request in asked:
        decision, other = decide(mixed, request), decide(every, request)
        assert told(decide(plain, request)) == told(decision)
        if mixed.trial is not None:
            kept, shadow = tried(mixed.trial, request, decision)
            assert told(kept) == told(decision)
            assert NEEDS.index(kept.response_needs) >= NEEDS.index(decision.response_needs)
            assert (None if decision.allowed is other.allowed else told(other)) == (shadow and told(shadow))
        else:
            assert told(decision) == told(other)
    request, entries = listed
    body = body_of(request, entries)
    wanted = filter_response(plain, request, "application/json", body).body
    assert wanted == filter_response(mixed, request, "application/json", body).body


RULES = st.lists(
    st.fixed_dictionaries(
        {
            "effect": st.sampled_from(["allow", "allow", "deny"]),
            "mode": st.sampled_from(["enforce", "shadow"]),
            "name": st.sampled_from(["echo", "delete", "more", {"any": True}]),
        }
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=100)
@given(RULES)
def test_what_is_told_is_what_is_decided_when_it_is_enforced(drawn: list[dict[str, Any]]) -> None:
    rules = [{"id": f"r{number}", "methods": ["tools/list", "tools/call"], **rule} for number, rule in enumerate(drawn)]
    policy = {"version": 1, "policy": "w", "servers": ["s"]}
    before = Gate(compiled(json.dumps({**policy, "rules": rules})))
    after = Gate(compiled(json.dumps({**policy, "rules": [{**rule, "mode": "enforce"} for rule in rules]})))
    for name in ("echo", "delete", "more"):
        now, then = before.check(call(name)), after.check(call(name)).decision
        assert (None if now.decision.allowed is then.allowed else told(then)) == (now.shadow and told(now.shadow))
    listed, later = (gate.filter(gate.check(LIST).context, "application/json", TOOLS) for gate in (before, after))
    hidden, shown, _ = listed.shadow or Shadow()
    assert {*shown}.isdisjoint(names_in(listed))
    assert {*hidden} <= {*names_in(listed)}
    assert {*names_in(later)} == {*names_in(listed), *shown} - {*hidden}
