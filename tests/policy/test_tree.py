"""Nodes and paths."""

import pytest

from mcp_acl.policy.source import Document, SourceFile, read_document
from mcp_acl.policy.tree import Path, find, plain, without


def document(text: str) -> Document:
    found, problems = read_document(SourceFile("a.yaml", text.encode()))
    assert found is not None
    assert () == problems
    return found


DOCUMENT = document("a: 1\nb: [x, {c: y}]\nd: {e: [z]}\n")


def test_a_node_is_plain_data() -> None:
    assert {"a": 1, "b": ["x", {"c": "y"}], "d": {"e": ["z"]}} == plain(DOCUMENT.root)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ((), None, DOCUMENT.plain()),
        (("a",), "a", 1),
        (("b", 1, "c"), "c", "y"),
        (("b", 0), None, "x"),
        (("b", 2), "b", ["x", {"c": "y"}]),
        (("b", -1), "b", ["x", {"c": "y"}]),
        (("b", "c"), "b", ["x", {"c": "y"}]),
        (("a", "b"), "a", 1),
        (("nothing", "here"), None, DOCUMENT.plain()),
        ((0,), None, DOCUMENT.plain()),
    ],
)
def test_a_path_leads_to_a_value_or_the_deepest_on_the_way(path: Path, key: str | None, value: object) -> None:
    found_key, node = find(DOCUMENT.root, path)
    assert (key, value) == (found_key and found_key.text, plain(node))


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        ([], {"a": 1, "b": ["x", {"c": "y"}], "d": {"e": ["z"]}}),
        ([()], {"a": 1, "b": ["x", {"c": "y"}], "d": {"e": ["z"]}}),
        ([("a",)], {"b": ["x", {"c": "y"}], "d": {"e": ["z"]}}),
        ([("b", 0)], {"a": 1, "b": [{"c": "y"}], "d": {"e": ["z"]}}),
        ([("b", 1, "c"), ("d",)], {"a": 1, "b": ["x", {}]}),
        ([("a", "b"), ("x",)], {"a": 1, "b": ["x", {"c": "y"}], "d": {"e": ["z"]}}),
    ],
)
def test_values_can_be_left_out(paths: list[Path], left: object) -> None:
    assert left == plain(without(DOCUMENT.root, paths))


def test_what_stays_keeps_its_place() -> None:
    rest = DOCUMENT.without([("a",), ("b", 0)])
    assert DOCUMENT.place(("b", 1, "c")) == rest.place(("b", 0, "c"))
