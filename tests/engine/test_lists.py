"""Lists against the calls they offer, by brute force over sample arguments: `tests/cases/lists`, which is also a table of the docs.

`REWRITE_GOLDENS=1` writes what is shown and what is allowed anew; read the difference.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from mcp_acl.domain import Effect, Json, Message, MessageKind, Request, TokenState, ToolFact
from mcp_acl.engine.decision import decide
from mcp_acl.engine.response import filter_response
from mcp_acl.engine.scope import Scope
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet, Rule
from mcp_acl.policy.source import SourceFile

CASES: Final = sorted((Path(__file__).parents[1] / "cases" / "lists").glob("*.yaml"))
REWRITE: Final = os.environ.get("REWRITE_GOLDENS") == "1"


@cache
def case_of(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(path.read_text())
    return found


@cache
def policies_of(path: Path) -> PolicySet:
    return compile_policies([SourceFile(path.name, case_of(path)["policy"].encode())])


def samples_of(path: Path) -> Iterator[dict[str, Json]]:
    """Every combination of the samples, each of which may also be left out; `_meta` is the message's own."""
    samples = case_of(path)["samples"]
    missing = object()
    for values in product(*([*many, missing] for many in samples.values())):
        yield {name: value for name, value in zip(samples, values, strict=True) if value is not missing}


def asked(path: Path, method: str, tool: str = "", sample: Mapping[str, Json] | None = None) -> Request:
    case = case_of(path)
    params: dict[str, Json] = {}
    if sample is not None:
        meta = {"_meta": sample["_meta"]} if "_meta" in sample else {}
        params = {"name": tool, "arguments": {k: v for k, v in sample.items() if k != "_meta"}, **meta}
    tools = {name: ToolFact(one.get("annotations", {})) for name, one in case["tools"].items()}
    message = Message(MessageKind.REQUEST, method, 7, params)
    return Request("s", message, case["claims"], TokenState.VALID, filters_responses=True, tools=tools)


def shown_in(path: Path) -> set[str]:
    entries = [
        {"name": name, "annotations": one.get("annotations", {})} for name, one in case_of(path)["tools"].items()
    ]
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"tools": entries}}).encode()
    filtered = filter_response(policies_of(path), asked(path, "tools/list"), "application/json", body)
    return {one["name"] for one in json.loads(filtered.body)["result"]["tools"]}


def allowed(path: Path, tool: str) -> list[dict[str, Json]]:
    asks = ((sample, asked(path, "tools/call", tool, sample)) for sample in samples_of(path))
    return [sample for sample, request in asks if decide(policies_of(path), request).allowed]


def listable(path: Path, tool: str) -> bool:
    """Whether the list's own rules would allow the entry, if they knew the arguments of some call."""
    view = policies_of(path).view("s")
    assert view is not None
    matching = view.candidates("tools/list", tool)
    return any(_listed(path, tool, sample, matching.denies, matching.allows) for sample in samples_of(path))


def _listed(path: Path, tool: str, sample: Mapping[str, Json], denies: Sequence[Rule], allows: Sequence[Rule]) -> bool:
    request = asked(path, "tools/call", tool, sample)
    entry = {"name": tool, "annotations": case_of(path)["tools"][tool].get("annotations", {})}
    scope = Scope(request, "tools/list", tool, entry)
    scope.arguments = request.message.params["arguments"]  # type: ignore[attr-defined]
    outcomes = {rule: True if rule.condition is None else rule.condition.run(scope) for rule in (*denies, *allows)}
    if any(rule.effect is Effect.DENY and outcome not in (False, None) for rule, outcome in outcomes.items()):
        return False
    return any(rule.effect is Effect.ALLOW and outcome is True for rule, outcome in outcomes.items())


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    if REWRITE:
        rewrite(found)
    return found


def rewrite(path: Path) -> None:
    head, _, _ = path.read_text().partition("tools:\n")
    lines = []
    for name, tool in case_of(path)["tools"].items():
        kept = {key: tool[key] for key in ("annotations", "unseen") if key in tool}
        calls = allowed(path, name)
        one = json.loads(json.dumps({**kept, "shown": name in shown_in(path), "allowed": calls}))  # no aliases
        lines.append(
            f"  {name}: {yaml.safe_dump(one, default_flow_style=True, sort_keys=False, width=10_000).strip()}\n"
        )
    path.write_text(f"{head}tools:\n{''.join(lines)}")
    case_of.cache_clear()


def test_policy_has_no_findings(path: Path) -> None:
    assert [] == [found.message for found in policies_of(path).findings if found.code != "optional-fact"]


def test_list_shows_what_the_case_says(path: Path) -> None:
    assert {name for name, tool in case_of(path)["tools"].items() if tool["shown"]} == shown_in(path)


def test_calls_are_allowed_as_the_case_says(path: Path) -> None:
    for name, tool in case_of(path)["tools"].items():
        assert tool["allowed"] == allowed(path, name), name


def test_no_entry_is_hidden_that_the_list_rules_could_allow(path: Path) -> None:
    assert set() == {name for name in case_of(path)["tools"] if listable(path, name)} - shown_in(path)


def test_no_entry_is_hidden_that_may_be_called(path: Path) -> None:
    assert set() == {name for name in case_of(path)["tools"] if allowed(path, name)} - shown_in(path)


def test_what_is_shown_in_vain_is_what_sets_of_outcomes_cannot_see_and_is_named(path: Path) -> None:
    named = {name for name, tool in case_of(path)["tools"].items() if "unseen" in tool}
    assert named == {name for name in shown_in(path) if not listable(path, name)}


def test_there_are_twelve_and_some_of_each_kind() -> None:
    tools = [tool for path in CASES for tool in case_of(path)["tools"].values()]
    assert 12 == len(CASES)
    assert {True, False} == {tool["shown"] for tool in tools}
    assert 3 <= sum("unseen" in tool for tool in tools)
    for words in ("condition:", "annotations", "claims.", "effect: deny", "mcp.arguments"):
        assert 2 <= sum(words in case_of(path)["policy"] for path in CASES), words


def test_condition_that_fails_whatever_the_arguments_hides_and_is_told() -> None:
    """The claim is absent, so that no call can make it true."""
    rule = "{id: a, methods: [tools/list, tools/call], name: pay, cel: mcp.arguments.amount < claims.limit}"
    text = f"version: 1\npolicy: p\nrules:\n  - {rule}\n"
    policies = compile_policies([SourceFile("p.yaml", text.encode())])
    request = Request(
        "s", Message(MessageKind.REQUEST, "tools/list", 7), {"sub": "a"}, TokenState.VALID, filters_responses=True
    )
    body = b'{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"pay"}]}}'
    found = filter_response(policies, request, "application/json", body)
    assert (("pay",), ["p/a"]) == (found.hidden, [str(one.rule) for one in found.errors])
