"""How the faults of a policy file's shape are said to a person. Knows keys and paths, no models.

One row for each kind of fault; where it is, what stands there and which key comes nearest is filled in.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.source import Document
from mcp_acl.policy.tree import Path, Plain, find, plain
from mcp_acl.problems import Problem, nearest

NAME_KINDS: Final = ("any", "literal", "regex", "glob", "template")
MAX_REPORTED: Final = 100
"""Problems of one kind, in one file, that are told one by one."""


class Fault(NamedTuple):
    """Something wrong with the shape of the data: which kind, where, and the limit it went over, if any."""

    kind: str
    path: Path
    limit: int = 0


class Keys(NamedTuple):
    """What may stand in each kind of mapping, and for `feature`."""

    policy: Sequence[str]
    rule: Sequence[str]
    target: Sequence[str]
    settings: Sequence[str]
    wrapper: Sequence[str]
    server_info: Sequence[str]
    features: Sequence[str]


def empty_paths(data: Plain, path: Path = ()) -> Iterator[Path]:
    """Where null, `''`, `[]` or `{}` stands: never the same as nothing. `rules: []` is said on purpose."""
    if data in (None, "", [], {}):
        if (path, data) != (("rules",), []):
            yield path
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from empty_paths(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from empty_paths(value, (*path, index))


def problems_of(faults: Iterable[Fault], document: Document, keys: Keys) -> Iterator[Problem]:
    """A problem for each fault."""
    return limited(_problem(fault, document, keys) for fault in faults)


def limited(problems: Iterable[Problem]) -> Iterator[Problem]:
    """The first problems, and where there are more, one that says so: what nobody reads costs time and memory."""
    several = iter(problems)
    yield from islice(several, MAX_REPORTED)
    for more in islice(several, 1):
        yield Problem("more", "more of this kind are not shown", more.place, severity=more.severity)


# ---- one row for each kind of fault -------------------------------------------------------------------------------

_ID: Final = "use letters, digits, `.`, `_` and `-`, the first one a letter or digit, at most 128 of them"
_TO_FILL: Final = "give it a value or take it out: it never means the same as nothing"

_ROWS: Final[Mapping[str, tuple[str, str, str]]] = {
    "missing": ("missing-key", "{key} is missing", "{needed}"),
    "extra_forbidden": ("unknown-key", "unknown key {key}", "{near}"),
    "empty": ("empty-value", "{subject} is empty", "{fill}"),
    "string_type": ("wrong-type", "{subject} must be text, not {found}", "{quote}"),
    "tuple_type": ("wrong-type", "{subject} must be a list, not {found}", "write `[…]`, or `- …` on lines of their own"),
    "dict_type": ("wrong-type", "{subject} must be a mapping, not {found}", "write `key: value`"),
    "model_type": ("wrong-type", "{subject} must be a mapping, not {found}", "write `key: value`"),
    "string_too_long": ("too-long", "{subject} has more than {limit:,} characters", "shorten it"),
    "too_long": ("too-long", "{subject} has more than {limit:,} items", "use several rules"),
    "string_pattern_mismatch": ("wrong-id", "{shown} is no id", _ID),
    "enum": ("wrong-value", "{subject} must be {wanted}, not {shown}", "{needed}"),
    "bool_type": ("wrong-type", "{subject} must be `true` or `false`, not {found}", ""),
    "int_type": ("wrong-type", "{subject} must be a whole number, not {found}", ""),
    "code": ("wrong-value", "{subject} cannot be {found}", "codes from -32768 to -32000 are reserved; take another of 32 bits"),
    "ttl": ("wrong-value", "{subject} cannot be {found}", "take 0 to 86400000 milliseconds, which is one day"),
    "literal_error": ("wrong-value", "{subject} must be {wanted}, not {found}", "{needed}"),
    "feature": ("wrong-value", "unknown feature {shown}", "{near}"),
    "name-both": ("name-pattern", "more than one kind in one name pattern", "write a list: `[{{glob: …}}, {{regex: …}}]`"),
    "name-unknown": ("name-pattern", "unknown kind of name pattern {shown}", "{near}"),
    "name-list": ("name-pattern", "a list of names inside a list of names", "put all of them into one list"),
    "name-type": ("wrong-type", "{subject} must be text or a name pattern, not {found}", "{quote}"),
}  # fmt: skip
"""Code, message and hint by kind of fault."""

_OTHER: Final = ("wrong-value", "{subject} cannot be {found}", "")

_NEEDED: Final = {
    "version": "write `version: 1`",
    "policy": "write `policy:` and an id",
    "rules": "write `rules: []` to deny everything",
    "id": "write `id:` and an id",
    "methods": "write `methods: [tools/list, tools/call]`",
    "any": "write `{any: true}`, or leave `name` out",
    "effect": "an omitted `effect` is `allow`",
    "tool": "write `tool:` and the name of the wrapper",
    "name": "write `name:` and what the server calls itself",
    "argument": "write `argument:` and the name of the argument that holds the inner tool's name",
}
_WANTED: Final = {
    "version": "the number 1",
    "any": "`true`",
    "effect": "`allow` or `deny`",
    "denials": "`explicit` or `hidden`",
    "kind": "`python`, `typescript-1` or `typescript-2`",
    "linked_resources": "`strip`, `deny` or `pass`",
}
_MEANT: Final = {
    "if": "cel",
    "when": "cel",
    "expression": "cel",
    "allow": "effect",
    "deny": "effect",
    "tool": "name",
    "prompt": "name",
    "resource": "name",
    "uri": "name",
    "reason": "message",
    "match": "name",
    "prefix": "glob",
    "pattern": "regex",
}
"""Keys of other policy languages, and ours."""


def _problem(fault: Fault, document: Document, keys: Keys) -> Problem:
    value = plain(find(document.root, fault.path)[1])
    kind = _name_kind(value) if fault.kind == "union_tag_not_found" else fault.kind
    code, message, hint = _ROWS.get(kind, _OTHER)
    key = str(fault.path[-1]) if fault.path else ""
    words = {
        "subject": _subject(fault.path),
        "key": quoted(key),
        "found": _found(value),
        "shown": quoted(next(iter(value)) if isinstance(value, Mapping) and value else str(value)),
        "limit": fault.limit,
        "needed": _NEEDED.get(key, ""),
        "wanted": _WANTED.get(key, ""),
        "quote": "put it in quotes" if isinstance(value, bool | int | float) else "",
        "fill": _NEEDED["rules"] if fault.path == ("rules",) else _TO_FILL,
        "near": _near(kind, fault.path, value, keys),
    }
    place = document.place(fault.path, key=kind == "extra_forbidden")
    return Problem(code, message.format_map(words), place, hint.format_map(words))


def _subject(path: Path) -> str:
    """`key`, item 2 of `key`, or the file."""
    named = next((index for index in reversed(range(len(path))) if isinstance(path[index], str)), None)
    if named is None:
        return "the file"
    key = quoted(str(path[named]))
    return key if named == len(path) - 1 else f"item {int(path[-1]) + 1} of {key}"


def _found(value: Plain) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}"
        case None:
            return "nothing"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def _name_kind(value: Plain) -> str:
    """Why a value is no name pattern."""
    if isinstance(value, Mapping):
        return "name-both" if any(kind in value for kind in NAME_KINDS) else "name-unknown"
    return "name-list" if isinstance(value, list) else "name-type"


def _near(kind: str, path: Path, value: Plain, keys: Keys) -> str:
    """What was probably meant, or all that is known."""
    if kind == "feature":
        return _nearest_of(str(value), keys.features)
    if kind == "name-unknown" and isinstance(value, Mapping):
        return _nearest_of(next(iter(value)), NAME_KINDS)
    if kind != "extra_forbidden":
        return ""
    return _nearest_of(str(path[-1]), _known_at(path, keys))


def _known_at(path: Path, keys: Keys) -> Sequence[str]:
    """The keys there may be where an unknown one stands."""
    if path[:1] == ("settings",) and len(path) > 1:
        return {2: keys.settings, 3: keys.server_info}.get(len(path), keys.wrapper)
    if path[2:3] == ("targets",) and len(path) == 5:
        return keys.target
    return {1: keys.policy, 3: keys.rule}.get(len(path), NAME_KINDS)


def _nearest_of(name: str, known: Sequence[str]) -> str:
    meant = _MEANT.get(name)
    if meant in known:
        return f"did you mean `{meant}`?"
    return nearest(name, known) or "known here: " + ", ".join(f"`{one}`" for one in known)
