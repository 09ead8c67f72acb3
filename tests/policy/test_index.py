"""The index finds exactly the rules that match, in one order, and forgets without loss."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.domain import Effect, RuleRef
from mcp_acl.policy import index
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import (
    Candidates,
    Grant,
    Group,
    PatternSet,
    PolicyInfo,
    PolicySet,
    Rule,
    ServerPatterns,
    View,
    ordered,
)
from mcp_acl.policy.patterns import NamePattern
from mcp_acl.policy.servers import LinkedResources
from mcp_acl.policy.source import SourceFile


def rule(name: str, effect: Effect = Effect.ALLOW, policy: str = "p") -> Rule:
    return Rule(RuleRef(policy, name, "p.yaml", 1), effect)


def grant(one: Rule, method: str = "tools/call", pattern: NamePattern | None = None, *, spelled: bool = True) -> Grant:
    return Grant(one, method, pattern or NamePattern("any"), spelled, every_feature=not spelled)


def names(candidates: Candidates) -> tuple[list[str], list[str]]:
    return [one.ref.rule for one in candidates.denies], [one.ref.rule for one in candidates.allows]


PATTERNS = [
    NamePattern("any"),
    NamePattern("literal", "a"),
    NamePattern("literal", "ab"),
    NamePattern("glob", "a*"),
    NamePattern("glob", "?b"),
    NamePattern("regex", "a|b"),
    NamePattern("template", "r://{x}"),
]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(PATTERNS), st.booleans()), max_size=12),
    st.sampled_from(["a", "ab", "b", "", "c", "r://x", "r://x/y", "r://{z}", "\ud800", "a\n", "ab" * 400]),
)
def test_candidates_are_the_rules_whose_pattern_matches(rows: list[tuple[str, NamePattern, bool]], name: str) -> None:
    rules = {id_: rule(id_, Effect.DENY if id_ == "x" else Effect.ALLOW) for id_ in "xyz"}
    grants = [grant(rules[id_], pattern=pattern) for id_, pattern, _ in rows]
    first = [one for one, row in zip(grants, rows, strict=True) if row[2]]
    second = [one for one, row in zip(grants, rows, strict=True) if not row[2]]
    view = View([Group(first), Group(second)])
    matching = {id_ for id_, pattern, _ in rows if pattern.matches(name)}
    expected = (sorted(matching & {"x"}), sorted(matching - {"x"}))
    assert expected == names(view.candidates("tools/call", name))
    assert expected == names(view.candidates("tools/call", name))
    assert ([], []) == names(view.candidates("tools/list", name))


def test_rules_are_tried_in_the_order_of_their_ids() -> None:
    found = ordered([rule("b"), rule("a", policy="q"), rule("a"), rule("z", Effect.DENY)])
    assert [("p", "a"), ("p", "b"), ("q", "a")] == [one.rank for one in found.allows]
    assert ["z"] == [one.ref.rule for one in found.denies]


def test_without_a_name_only_rules_of_pattern_any_match() -> None:
    view = View([Group([grant(rule("a")), grant(rule("b"), pattern=NamePattern("literal", "x"))])])
    assert ([], ["a"]) == names(view.without_name("tools/call"))


def test_a_star_neither_spells_a_method_out_nor_is_it_asked_for_unknown_ones() -> None:
    view = View([Group([grant(rule("a"), "m"), grant(rule("b"), "m", spelled=False)])])
    assert ([], ["a"]) == names(view.without_name("m", spelled=True))
    assert ([], ["b"]) == names(view.without_name("m", every_feature=True))


def test_a_set_that_runs_out_of_memory_still_finds_every_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = PatternSet([grant(rule("a"), pattern=NamePattern("glob", "a*"))])

    class Exhausted:
        def Match(self, _: str) -> None:  # noqa: N802 - as RE2 names it
            return None

    monkeypatch.setattr(patterns, "_set", Exhausted())
    assert ["a"] == [one.ref.rule for one in patterns.matching("ab")]
    assert [] == patterns.matching("b")


def test_a_full_memo_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_MEMO_ENTRIES", 2)
    view = View([Group([grant(rule("a"), pattern=NamePattern("glob", "n*"))])])
    for number in range(5):
        assert ([], ["a"]) == names(view.candidates("tools/call", f"n{number}"))
    assert 2 >= len(view.remembered("tools/call"))


def policies(*servers: tuple[str, ...]) -> PolicySet:
    groups = tuple((ServerPatterns(one), Group([grant(rule(str(one)))])) for one in servers)
    return PolicySet("r", (PolicyInfo("p", "p.yaml", (), 1),), (), groups)


@pytest.mark.parametrize(
    ("servers", "server", "governed"),
    [
        ((), "anything", True),
        ((), "", False),
        (("weather",), "weather", True),
        (("weather",), "Weather", False),
        (("weather-*",), "weather-eu", True),
        (("weather-?",), "weather-eu", False),
        (("a", "b-*"), "b-", True),
        (("*",), "", False),
    ],
)
def test_a_server_is_governed_by_id_or_glob(servers: tuple[str, ...], server: str, governed: bool) -> None:
    found = policies(servers)
    for _ in range(2):
        assert governed is (found.view(server) is not None)


def test_what_governs_a_server_is_the_union_of_all_that_name_it() -> None:
    view = policies(("a",), ("a", "b"), ("c",)).view("a")
    assert view is not None
    assert 2 == len(view.candidates("tools/call", "x").allows)
    assert 2 == len(view.grants())


def test_facts_of_a_method_are_known_at_load_time() -> None:
    closed = View([Group([grant(rule("a"), pattern=NamePattern("literal", "x"))])])
    assert not closed.facts("tools/call").open
    assert View([Group([grant(rule("a"))])]).facts("tools/call").open
    denied = View([Group([grant(rule("a")), grant(rule("b", Effect.DENY), pattern=NamePattern("literal", "x"))])])
    assert not denied.facts("tools/call").open
    assert not denied.facts("nothing/known").open
    assert denied.facts("tools/call") is denied.facts("tools/call")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("[]", LinkedResources.PASS),
        ("[{id: a, methods: [tools/call]}]", LinkedResources.PASS),
        ("[{id: a, methods: [resources/read]}]", LinkedResources.PASS),
        ('[{id: a, feature: "*", methods: ["*"]}]', LinkedResources.PASS),
        ("[{id: a, methods: [resources/read], name: 'text:a'}]", LinkedResources.STRIP),
        ("[{id: a, methods: [resources/read], cel: claims.x}]", LinkedResources.STRIP),
        ("[{id: a, methods: [resources/read], effect: deny, name: 'text:a'}]", LinkedResources.STRIP),
        (
            "[{id: a, methods: [resources/read]}, {id: b, effect: deny, methods: [resources/read], name: 'text:a'}]",
            "strip",
        ),
    ],
)
def test_linked_resources_are_taken_out_where_some_rule_keeps_one_from_being_read(rules: str, expected: str) -> None:
    def of(settings: str) -> LinkedResources:
        text = f"version: 1\npolicy: p\nsettings: {settings}\nrules: {rules}\n"
        view = compile_policies([SourceFile("p.yaml", text.encode())]).view("s")
        assert view is not None
        return view.linked_resources

    assert expected == of("{lenient_uris: false}")
    for said in LinkedResources:
        assert said is of(f"{{linked_resources: {said}}}")
