"""The nodes of one YAML document, each with its marks. Knows nothing of how they are read or what they mean."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

Plain: TypeAlias = "bool | int | float | str | Sequence[Plain] | Mapping[str, Plain] | None"
Path: TypeAlias = tuple[str | int, ...]
"""Where a value is: keys and indexes from the top."""


class Mark(NamedTuple):
    """A line and a column of a text, both from 0."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A value without parts. `text` is what was written, escapes and folds resolved; `style` is `''` for a plain scalar."""

    value: bool | int | float | str | None
    text: str
    style: str
    start: Mark
    end: Mark


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    items: tuple["Node", ...]
    start: Mark
    end: Mark


class Entry(NamedTuple):
    """A key of a mapping and its value."""

    key: ScalarNode
    value: "Node"


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping."""

    entries: Mapping[str, Entry]
    start: Mark
    end: Mark


Node: TypeAlias = ScalarNode | ListNode | MapNode


def plain(node: Node) -> Plain:
    """The value of a node as Python data."""
    match node:
        case MapNode():
            return {key: plain(entry.value) for key, entry in node.entries.items()}
        case ListNode():
            return [plain(item) for item in node.items]
    return node.value


def find(node: Node, path: Path) -> tuple[ScalarNode | None, Node]:
    """The node at a path, or the deepest there is on the way; with its key, if it is the value of one."""
    key: ScalarNode | None = None
    for part in path:
        match node:
            case MapNode() if part in node.entries:
                key, node = node.entries[str(part)]
            case ListNode() if isinstance(part, int) and 0 <= part < len(node.items):
                key, node = None, node.items[part]
            case _:
                break
    return key, node


def without(node: Node, paths: Collection[Path]) -> Node:
    """The same tree with the values at some paths left out; what stays keeps its marks."""
    above = {path[:length] for path in paths for length in range(len(path))}
    return _without(node, (), frozenset(paths), above)


def _without(node: Node, path: Path, paths: Container[Path], above: Container[Path]) -> Node:
    match node:
        case MapNode() if path in above:
            kept = ((key, entry, (*path, key)) for key, entry in node.entries.items() if (*path, key) not in paths)
            entries = {key: Entry(entry.key, _without(entry.value, inner, paths, above)) for key, entry, inner in kept}
            return replace(node, entries=entries)
        case ListNode() if path in above:
            items = ((item, (*path, index)) for index, item in enumerate(node.items) if (*path, index) not in paths)
            return replace(node, items=tuple(_without(item, inner, paths, above) for item, inner in items))
    return node
