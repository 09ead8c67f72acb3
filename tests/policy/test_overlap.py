"""Rules that decide nothing."""

import pytest

from mcp_acl.policy import overlap
from mcp_acl.policy.overlap import covers_servers, overlaps
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import load_policies

CALL = "methods: [tools/call]"


def found(*policies: str) -> list[tuple[str, str]]:
    """Code and rule of each finding; policies are called a, b and so on, their text is what follows the id."""
    files = [
        SourceFile(f"{name}.yaml", f"version: 1\npolicy: {name}\n{text}".encode())
        for name, text in zip("abcdef", policies, strict=False)
    ]
    loaded, problems = load_policies(files)
    assert () == problems
    places = [(one.code, one.place) for one in overlaps(loaded)]
    return [(code, place.text[place.column - 1 : place.column - 1 + place.width]) for code, place in places]


def rules(*texts: str) -> str:
    """A policy with rules called r0, r1 and so on."""
    return "rules:\n" + "".join(f"- {{ id: r{number}, {text}}}\n" for number, text in enumerate(texts))


def ids(*texts: str) -> list[str]:
    """The rules found, each with the first letter of its code."""
    return [f"{code[0]} {rule}" for code, rule in found(rules(*texts))]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((CALL, CALL), ["c r1"]),
        ((CALL, f"{CALL}, cel: a"), ["c r1"]),
        ((f"{CALL}, cel: a", CALL), ["c r0"]),
        ((f"{CALL}, condition: a", CALL), ["c r0"]),
        ((f"{CALL}, cel: a", f"{CALL}, cel: a"), []),
        ((f"{CALL}, name: x", CALL), ["c r0"]),
        ((CALL, f"{CALL}, name: x"), ["c r1"]),
        ((f"{CALL}, name: x", f"{CALL}, name: x"), ["c r1"]),
        ((f"{CALL}, name: x", f"{CALL}, name: y"), []),
        ((f"{CALL}, name: {{glob: 'x*'}}", f"{CALL}, name: xy"), ["c r1"]),
        ((f"{CALL}, name: {{glob: 'x*'}}", f"{CALL}, name: y"), []),
        ((f"{CALL}, name: {{regex: 'x.*'}}", f"{CALL}, name: [xy, xz]"), ["c r1"]),
        ((f"{CALL}, name: {{regex: 'x.*'}}", f"{CALL}, name: [xy, yz]"), []),
        ((f"{CALL}, name: {{glob: 'x*'}}", f"{CALL}, name: {{glob: 'xy*'}}"), []),
        ((f"{CALL}, name: {{glob: 'x*'}}", f"{CALL}, name: {{glob: 'x*'}}"), ["c r1"]),
        ((f"{CALL}, name: {{glob: '*'}}", CALL), ["c r0"]),
        ((f"{CALL}, name: x", f"{CALL}, name: y", f"{CALL}, name: [x, y], cel: a"), ["c r2"]),
        ((f"{CALL}, name: [x, {{any: true}}]",), []),
        (("methods: [tools/list, tools/call]", CALL, "methods: [tools/list, prompts/get]"), ["c r1"]),
        (("feature: tools, methods: ['*']", CALL), ["c r1"]),
        (("feature: '*', methods: ['*']", "feature: tools, methods: ['*']"), ["c r1"]),
        ((CALL, "feature: tools, methods: ['*']"), ["c r0"]),
        (("feature: '*', methods: [x/y]", "feature: '*', methods: [x/y]"), ["c r1"]),
        (("feature: '*', methods: ['*']", "feature: '*', methods: [x/y]"), []),
        (("methods: [ping]", "methods: [ping]"), []),
        (("methods: [tasks/get]", "methods: [completion/complete]"), []),
        (("methods: [resources/subscribe]", "methods: [resources/unsubscribe]"), []),
        (("targets: [{methods: [tools/call]}, {methods: [tools/list]}]", CALL), ["c r1"]),
    ],
)
def test_a_rule_another_has_all_of_changes_nothing(texts: tuple[str, ...], expected: list[str]) -> None:
    assert expected == ids(*texts)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((f"{CALL}, effect: deny", CALL), ["d r1"]),
        ((CALL, f"{CALL}, effect: deny"), ["d r0"]),
        ((f"{CALL}, effect: deny, cel: a", CALL), []),
        ((f"{CALL}, effect: deny, name: x", CALL), []),
        ((f"{CALL}, effect: deny, name: {{glob: 'x*'}}", f"{CALL}, name: [xa, xb], cel: a"), ["d r1"]),
        ((f"{CALL}, effect: deny", f"{CALL}, effect: deny, cel: a"), ["c r1"]),
        ((f"{CALL}, effect: deny", f"{CALL}, effect: deny, message: told"), []),
        ((f"{CALL}, effect: deny, message: told", f"{CALL}, effect: deny, cel: a"), ["c r1"]),
        ((f"{CALL}, effect: deny, cel: a", f"{CALL}, effect: deny, message: told"), []),
        (
            (f"{CALL}, effect: deny, cel: a", f"{CALL}, effect: deny", f"{CALL}, effect: deny, cel: b, message: told"),
            [],
        ),
        ((f"{CALL}, effect: deny, cel: a", f"{CALL}, effect: deny"), ["c r0"]),
        (
            (
                f"{CALL}, effect: deny, name: x",
                f"{CALL}, effect: deny",
                f"{CALL}, effect: deny, name: y, message: told",
            ),
            ["c r0"],
        ),
        (
            (
                f"{CALL}, effect: deny, name: x",
                f"{CALL}, effect: deny",
                f"{CALL}, effect: deny, name: x, message: told",
            ),
            [],
        ),
        (
            (
                f"{CALL}, effect: deny, name: x",
                f"{CALL}, effect: deny",
                f"{CALL}, effect: deny, name: {{glob: y}}, message: told",
            ),
            [],
        ),
        (
            (
                f"{CALL}, effect: deny, name: {{glob: 'x*'}}",
                f"{CALL}, effect: deny",
                f"{CALL}, effect: deny, name: xa, message: told",
            ),
            [],
        ),
        (
            (f"{CALL}, effect: deny, name: x, message: told", f"{CALL}, effect: deny, cel: a", f"{CALL}, effect: deny"),
            ["c r1"],
        ),
        ((f"{CALL}, cel: a", CALL, f"{CALL}, effect: deny, name: x, message: told"), ["c r0"]),
        ((f"{CALL}, effect: deny", CALL, CALL), ["d r1", "d r2"]),
        (("feature: '*', methods: ['*'], effect: deny", CALL), ["d r1"]),
        (("feature: '*', methods: ['*'], effect: deny", "methods: [ping], effect: deny"), []),
        (("feature: '*', methods: ['*'], effect: deny", "methods: [tasks/get], effect: deny"), ["c r1"]),
        (("methods: [ping], effect: deny", "methods: [ping], effect: deny"), ["c r1"]),
    ],
)
def test_a_rule_an_unconditional_denial_has_all_of_allows_nothing(texts: tuple[str, ...], expected: list[str]) -> None:
    assert expected == ids(*texts)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "", ["b"]),
        ("", "servers: [x]\n", ["b"]),
        ("servers: [x]\n", "", ["a"]),
        ("servers: [x]\n", "servers: [y]\n", []),
        ("servers: [x]\n", "servers: [x]\n", ["b"]),
        ("servers: [x, y]\n", "servers: [y]\n", ["b"]),
        ("servers: [x]\n", "servers: ['*']\n", ["a"]),
        ("servers: ['*']\n", "", ["b"]),
        ("servers: ['x-*']\n", "servers: [x-1, x-2]\n", ["b"]),
        ("servers: ['x-*']\n", "servers: [x-1, y]\n", []),
        ("servers: ['x-*']\n", "servers: ['x-?']\n", []),
        ("servers: ['x-*', x-1]\n", "servers: ['x-*']\n", ["b"]),
        ("servers: ['x-*']\n", "servers: ['x-*', x-1]\n", ["b"]),
    ],
)
def test_a_rule_is_covered_on_the_same_or_fewer_servers(first: str, second: str, expected: list[str]) -> None:
    one = rules(CALL)
    assert expected == [rule for _, rule in found(first + one.replace("r0", "a"), second + one.replace("r0", "b"))]


@pytest.mark.parametrize(
    ("wider", "narrower", "expected"),
    [
        (frozenset(), frozenset(), True),
        (frozenset(), frozenset("a"), True),
        (frozenset("a"), frozenset(), False),
        (frozenset("ab"), frozenset("a"), True),
        (frozenset("?"), frozenset("ab"), True),
        (frozenset("?"), frozenset(("ab",)), False),
        (frozenset("*"), frozenset("?"), False),
    ],
)
def test_servers_are_covered_where_it_is_certain(
    wider: frozenset[str], narrower: frozenset[str], expected: bool
) -> None:
    assert expected == covers_servers(wider, narrower)


def test_a_rule_is_never_said_to_cover_itself() -> None:
    several = rules(f"{CALL}, name: [x, {{any: true}}]")
    files = [
        SourceFile("a.yaml", f"version: 1\npolicy: a\nservers: [s]\n{several}".encode()),
        SourceFile("b.yaml", f"version: 1\npolicy: b\n{rules(CALL)}".encode()),
    ]
    (finding,) = overlaps(load_policies(files)[0])
    assert "this rule changes nothing: all it names is allowed by `b/r0`" == finding.message


def test_order_of_files_does_not_matter() -> None:
    files = [
        SourceFile(f"{name}.yaml", f"version: 1\npolicy: {name}\n{rules(CALL)}".encode()) for name in ("b", "a", "c")
    ]
    there = [problem.place.file for problem in overlaps(load_policies(files)[0])]
    back = [problem.place.file for problem in overlaps(load_policies(files[::-1])[0])]
    assert ["b.yaml", "c.yaml"] == there == back


def test_what_would_take_long_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (f"{CALL}, name: {{glob: 'x*'}}", f"{CALL}, name: {{glob: 'y*'}}", f"{CALL}, name: ya")
    assert ["c r2"] == ids(*texts)
    monkeypatch.setattr(overlap, "_MAX_MATCHERS", 1)
    assert [] == ids(*texts)


def test_matches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (f"{CALL}, name: {{glob: 'x*'}}", f"{CALL}, name: xa")
    monkeypatch.setattr(overlap, "_MAX_MATCHES", 0)
    assert [] == ids(*texts)


def test_grants_are_bounded_and_what_was_not_seen_covers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (f"{CALL}, name: [x, y]", f"{CALL}, name: [x, z]", "methods: [tools/list]")
    monkeypatch.setattr(overlap, "_MAX_GRANTS", 6)
    assert [] == ids(*texts)
