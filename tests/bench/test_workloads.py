"""Workloads: the same from the same seed, and that an answer is taken for right only if it is. Handlers answer here, and no service."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from mcp_acl.adapters.handlers import Informed, Streaming, Traced
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.table import for_gateways
from mcp_acl.bench.exchange import Call
from mcp_acl.bench.workloads import CONDITIONS, INTERFACES, Shape, any_answer, question, workload
from mcp_acl.domain import Reason
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Gate

DECIDED: Final = [
    *(
        Shape(interface, 20, denied=denied)
        for interface in INTERFACES
        if interface != "filter"
        for denied in (False, True)
    ),
    Shape("filter", 20, entries=12),
    *(Shape(interface, 40, conditions, entries=12) for interface in INTERFACES for conditions in CONDITIONS),
]
HEAD: Final = b"version: 1\npolicy: other\nservers: [bench]\nrules:\n"


def of_other_policies(rules: bytes) -> list[SourceFile]:
    return [SourceFile("other.yaml", HEAD + rules)]


def answers(gate: Gate, call: Call) -> list[bytes]:
    """One answer to each message, as far as there are any."""
    handler = for_gateways(gate)[call.path]
    if isinstance(handler, Streaming):
        session, found = handler.open(call.metadata), list[bytes]()
        for message in call.messages:
            try:
                found += session.feed(message)
            except ApiError:
                break
        return found
    (message,) = call.messages
    assert not isinstance(handler, Traced)
    return [handler.answer(call.metadata, message) if isinstance(handler, Informed) else handler(message)]


def are_right(call: Call, found: Sequence[bytes]) -> bool:
    return len(found) == len(call.judges) and all(
        judge(answer) for judge, answer in zip(call.judges, found, strict=True)
    )


@pytest.mark.parametrize("shape", DECIDED)
def test_every_right_answer_is_right_however_many_there_were_and_after_a_reload(shape: Shape) -> None:
    work = workload(shape, 1)
    for policies in (work.policies, work.changed):
        gate = Gate(compile_policies(policies, "0" * 40))
        # The ids of decisions grow, and with them lengths in answers.
        assert all(are_right(work.call, answers(gate, work.call)) for _ in range(300))


@pytest.mark.parametrize("shape", DECIDED)
@pytest.mark.parametrize(
    "rules",
    [
        b'  - {id: everything, feature: "*", methods: ["*"]}\n',
        b'  - {id: nothing-of-it, methods: [tools/list, tools/call], name: [publish, unheard-of, {glob: "shown_*"}], effect: deny}\n',
    ],
)
def test_answer_of_other_policies_is_wrong(shape: Shape, rules: bytes) -> None:
    call = workload(shape, 1).call
    gate = Gate(compile_policies(of_other_policies(rules)))
    assert not are_right(call, answers(gate, call))


@pytest.mark.parametrize("shape", DECIDED)
def test_answer_without_policies_is_wrong(shape: Shape) -> None:
    call = workload(shape, 1).call
    found = answers(Gate(compile_policies([])), call)
    assert not are_right(call, found)


@pytest.mark.parametrize("shape", [one for one in DECIDED if one.interface != "filter"])
def test_permission_is_no_denial_and_a_denial_no_permission(shape: Shape) -> None:
    work = workload(shape, 1)
    other = workload(replace(shape, denied=not shape.denied), 1).call
    found = answers(Gate(compile_policies(work.policies)), other)
    assert not are_right(work.call, found[: len(work.call.judges)])


@pytest.mark.parametrize("shape", DECIDED)
def test_no_bytes_are_no_answer(shape: Shape) -> None:
    assert not any(judge(b"") for judge in workload(shape, 1).call.judges)


@pytest.mark.parametrize(("entries", "rules"), list(itertools.product([2, 10, 11], [1, 2, 30])))
def test_half_of_a_list_is_shown_and_one_entry_less_is_wrong(entries: int, rules: int) -> None:
    work = workload(Shape("filter", rules, entries=entries), 1)
    (found,) = answers(Gate(compile_policies(work.policies)), work.call)
    answer = pb.FilterResponseResponse.FromString(found)
    body = json.loads(answer.body)
    assert (-(-entries // 2), entries // 2) == (answer.shown, answer.hidden_count)
    assert all(tool["name"].startswith("shown_") for tool in body["result"]["tools"])
    (judge,) = work.call.judges
    assert judge(found)
    body["result"]["tools"].pop()
    answer.body = json.dumps(body, separators=(",", ":")).encode()
    assert not judge(answer.SerializeToString())
    assert entries == work.unit


@pytest.mark.parametrize("rules", [1, 2, 9, 100, 1000])
@pytest.mark.parametrize("conditions", CONDITIONS)
def test_there_are_as_many_rules_as_are_asked_for(rules: int, conditions: str) -> None:
    work = workload(Shape("unary", rules, conditions), 1)
    found = compile_policies(work.policies)
    assert rules == sum(policy.rules for policy in found.policies)
    assert rules + 1 == sum(policy.rules for policy in compile_policies(work.changed).policies)


def test_policies_are_mixed_as_they_are_in_life() -> None:
    text = b"".join(file.content for file in workload(Shape(rules=200), 1).policies)
    assert all(word in text for word in (b"glob:", b"regex:", b"template:", b"effect: deny", b"effect: allow"))


def test_rules_that_match_and_do_not_hold_are_among_them() -> None:
    work = workload(Shape(rules=200), 1)
    _, trials = Gate(compile_policies(work.policies)).explain(question(Shape(rules=200)))
    tried = [trial for trial in trials if trial.saw and not trial.applies]
    assert {"allow", "deny"} == {trial.effect for trial in tried}
    assert 8 == len(tried)


def test_one_seed_is_one_workload_and_another_is_another() -> None:
    assert workload(Shape(), 1).policies == workload(Shape(), 1).policies
    assert workload(Shape(), 1).call.messages == workload(Shape(), 1).call.messages
    assert workload(Shape(), 1).policies != workload(Shape(), 2).policies


@pytest.mark.parametrize("payload", [200, 201, 1000, 1024 * 1024])
def test_message_is_as_long_as_is_asked_for(payload: int) -> None:
    message = question(Shape(payload=payload)).message
    assert isinstance(message, bytes)
    assert payload == len(message)


def test_any_decision_of_a_service_that_nobody_knows_is_an_answer() -> None:
    call, _ = any_answer("unary", question(Shape()))
    granted, denied = (Gate(compile_policies(policies)) for policies in (workload(Shape(), 1).policies, ()))
    assert are_right(call, answers(granted, call))
    assert are_right(call, answers(denied, call))
    assert not are_right(call, [b""])
    assert not are_right(call, [pb.CheckResponse(reason=Reason.GRANTED).SerializeToString()])
