"""The indexed engine equals the naive one on whatever hypothesis draws.

`MCP_ACL_EXAMPLES` (2,000 unless told) is how many rule sets are drawn for each property, `MCP_ACL_SEED` which ones: the same seed
draws the same sets. They are split in shards, which pytest-xdist spreads.
"""

import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from mcp_acl.domain import Decision, Json, Reason, Request
from mcp_acl.engine.decision import decide
from mcp_acl.engine.response import filter_response
from mcp_acl.mcp.methods import METHODS
from mcp_acl.policy.compiler import compile_policies
from tests.naive import Verdict, naive_decide, naive_filter, naive_policies
from tests.strategies import list_requests, policy_sets, requests, source_files

EXAMPLES = int(os.environ.get("MCP_ACL_EXAMPLES", "2000"))
SEED = int(os.environ.get("MCP_ACL_SEED", "0"))
SHARDS = 8

Written = Sequence[Mapping[str, Any]]

pytestmark = pytest.mark.parametrize("shard", range(SHARDS))


def drawn(shard: int, check: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Run a property on this shard's part of the examples."""
    part = -(-EXAMPLES // SHARDS)
    bounded = settings(
        max_examples=part,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    seed(SEED * SHARDS + shard)(bounded(given(*strategies)(check)))()


def verdict_of(decision: Decision) -> Verdict:
    """The part of a decision that is compared."""
    rules = tuple(str(rule) for rule in decision.rules)
    return Verdict(decision.effect, decision.reason, rules, tuple(str(error.rule) for error in decision.errors))


def body_of(request: Request, entries: Sequence[Mapping[str, Json]]) -> bytes:
    """A server's answer."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {METHODS[request.message.method].list_key: entries}}).encode()


def names_in(request: Request, body: bytes) -> list[str]:
    """The names in an answer."""
    row = METHODS[request.message.method]
    return [entry[row.list_member] for entry in json.loads(body)["result"][row.list_key]]


def shuffled(written: Written, order: random.Random) -> list[dict[str, Any]]:
    """The same files and rules in another order."""
    files = [{**policy, "rules": order.sample(policy["rules"], len(policy["rules"]))} for policy in written]
    order.shuffle(files)
    return files


def decides_alike(written: Written, asked: Sequence[Request]) -> None:
    files = source_files(written)
    policies, naive = compile_policies(files), naive_policies(files)
    for request in asked:
        expected = naive_decide(naive, request)
        decision = decide(policies, request)
        # Deciding a demand that a list needs names no rule: which of them show the list is not one question.
        assert expected == verdict_of(decision)


def test_the_indexed_engine_decides_as_the_naive_one(shard: int) -> None:
    drawn(shard, decides_alike, policy_sets(), st.lists(requests(), min_size=3, max_size=3))


def filters_alike(written: Written, asked: Sequence[tuple[Request, list[dict[str, Json]]]]) -> None:
    files = source_files(written)
    policies, naive = compile_policies(files), naive_policies(files)
    for request, entries in asked:
        decision = decide(policies, request)
        filtered = filter_response(policies, request, "application/json", body_of(request, entries))
        if decision.reason is Reason.NO_POLICY:
            assert filtered.refused
            continue
        expected = naive_filter(naive, request, entries)
        assert expected == names_in(request, filtered.body)
        assert len(expected) == filtered.shown
        assert len(entries) == filtered.shown + len(filtered.hidden) + len(filtered.dropped)
        if decision.reason is Reason.NOTHING_HIDDEN:
            assert () == filtered.hidden


def test_filtering_shows_what_the_naive_engine_shows(shard: int) -> None:
    drawn(shard, filters_alike, policy_sets(), st.lists(list_requests(), min_size=2, max_size=2))


def order_never_matters(
    written: Written, asked: Request, listed: tuple[Request, list[dict[str, Json]]], order: random.Random
) -> None:
    policies = compile_policies(source_files(written))
    others = compile_policies(source_files(shuffled(written, order)))
    assert verdict_of(decide(policies, asked)) == verdict_of(decide(others, asked))
    request, entries = listed
    body = body_of(request, entries)
    ours = filter_response(policies, request, "application/json", body)
    theirs = filter_response(others, request, "application/json", body)
    assert (ours.body, ours.hidden) == (theirs.body, theirs.hidden)


def test_the_order_of_files_and_rules_never_matters(shard: int) -> None:
    drawn(shard, order_never_matters, policy_sets(), requests(), list_requests(), st.randoms(use_true_random=False))
