"""The indexed engine equals the naive one on whatever hypothesis draws.

`DIFFERENTIAL_EXAMPLES` (1,000 unless told) is how many rule sets are drawn, each with eight requests and two lists; `DIFFERENTIAL_SEED` is
which ones: the same seed draws the same. They are split in shards, which pytest-xdist spreads.
"""

import json
import os
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from mcp_acl.domain import Decision, Json, Reason, Request
from mcp_acl.engine.decision import decide
from mcp_acl.engine.response import filter_response
from mcp_acl.mcp.methods import METHODS
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from tests.naive import NaivePolicy, Verdict, naive_decide, naive_filter, naive_policies
from tests.strategies import lists, policy_sets, requests, source_files

EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "1000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "0"))
SHARDS = 8

Written = Sequence[Mapping[str, Any]]


def verdict_of(decision: Decision) -> Verdict:
    """The part of a decision that is compared."""
    rules = tuple(str(rule) for rule in decision.rules)
    return Verdict(decision.effect, decision.reason, rules, tuple(str(error.rule) for error in decision.errors))


def body_of(request: Request, entries: Sequence[Mapping[str, Json]]) -> bytes:
    """A server's answer."""
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "result": {METHODS[request.message.method].list_key: entries}}
    ).encode()


def names_in(request: Request, body: bytes) -> list[str]:
    """The names in an answer."""
    row = METHODS[request.message.method]
    return [entry[row.list_member] for entry in json.loads(body)["result"][row.list_key]]


def shuffled(written: Written, order: random.Random) -> list[dict[str, Any]]:
    """The same files and rules in another order."""
    files = [{**policy, "rules": order.sample(policy["rules"], len(policy["rules"]))} for policy in written]
    order.shuffle(files)
    return files


def check_decisions(policies: PolicySet, naive: Sequence[NaivePolicy], asked: Sequence[Request]) -> None:
    for request in asked:
        assert naive_decide(naive, request) == verdict_of(decide(policies, request))


def check_list(
    policies: PolicySet, naive: Sequence[NaivePolicy], request: Request, entries: Sequence[Mapping[str, Json]]
) -> None:
    decision = decide(policies, request)
    filtered = filter_response(policies, request, "application/json", body_of(request, entries))
    if decision.reason is Reason.NO_POLICY:
        assert filtered.refused
        return
    expected = naive_filter(naive, request, entries)
    assert expected == names_in(request, filtered.body)
    assert (len(expected), len(entries)) == (
        filtered.shown,
        filtered.shown + len(filtered.hidden) + len(filtered.dropped),
    )
    if decision.reason is Reason.NOTHING_HIDDEN:
        assert () == filtered.hidden


def equal_engines(
    written: Written,
    asked: Sequence[Request],
    listed: Sequence[tuple[Request, Sequence[Mapping[str, Json]]]],
    order: random.Random,
) -> None:
    naive = naive_policies(source_files(written))
    for files in (written, shuffled(written, order)):
        policies = compile_policies(source_files(files))
        check_decisions(policies, naive, [*asked, *(request for request, _ in listed)])
        for request, entries in listed:
            check_list(policies, naive, request, entries)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_indexed_engine_decides_and_filters_as_the_naive_one_whatever_the_order_of_files_and_rules(
    shard: int,
) -> None:
    bounded = settings(
        max_examples=-(-EXAMPLES // SHARDS),
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    examples = given(
        policy_sets(),
        st.lists(requests(), min_size=8, max_size=8),
        st.lists(lists(), min_size=2, max_size=2),
        st.builds(random.Random, st.integers(0, 2**32)),
    )
    seed(SEED * SHARDS + shard)(bounded(examples(equal_engines)))()
