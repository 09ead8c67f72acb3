"""What CEL's operators and functions take: the rows of the function table, read as kinds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Final, TypeAlias

from mcp_acl.expr.cel import arithmetic
from mcp_acl.expr.cel import operators as op
from mcp_acl.expr.cel.functions import FUNCTIONS
from mcp_acl.expr.cel.values import FAMILY, Duration, Timestamp, UInt
from mcp_acl.expr.kinds import ANYTHING, OF_TYPE, Fault, Judged, Kind, Language, in_words, may_be_equal, words_of
from mcp_acl.expr.nodes import Call, Const, Fact, Function, Node, Type, Value
from mcp_acl.expr.walk import Outcomes
from mcp_acl.problems import nearest

_OF_CLASS: Final[Mapping[type, Kind]] = {
    type(None): Kind.NULL,
    bool: Kind.BOOL,
    int: Kind.INT,
    UInt: Kind.UINT,
    float: Kind.DOUBLE,
    str: Kind.TEXT,
    bytes: Kind.BYTES,
    list: Kind.LIST,
    dict: Kind.MAP,
    Timestamp: Kind.TIME,
    Duration: Kind.DURATION,
}
"""Everything else is `OTHER`."""

_Signatures: TypeAlias = Sequence[Sequence[Kind]]


def _kind(one: type) -> Kind:
    return _OF_CLASS.get(one, Kind.OTHER)


def _const(value: Value) -> Kind:
    return _kind(FAMILY.get(type(value), type(value)))


def _signatures(types: Iterable[tuple[type, ...]]) -> _Signatures:
    return [[_kind(one) for one in each] for each in types]


_ARITHMETIC: Final = {
    op.ADD: arithmetic.ADD,
    op.SUBTRACT: arithmetic.SUBTRACT,
    op.MULTIPLY: arithmetic.MULTIPLY,
    op.DIVIDE: arithmetic.DIVIDE,
    op.REMAINDER: arithmetic.REMAINDER,
    op.NEGATE: arithmetic.NEGATE,
}
_KEYED: Final = Kind.MAP | Kind.OTHER
_INDEXED: Final = _KEYED | Kind.LIST
_LOOPED: Final = Kind.LIST | Kind.MAP

_TAKES: Final[Mapping[Function, _Signatures]] = {
    **{function: _signatures(table) for function, table in _ARITHMETIC.items()},
    **{row.function: _signatures(row.types) for row in FUNCTIONS if row.types},
    op.NOT: [[Kind.BOOL]],
    op.TRUTH: [[Kind.BOOL]],
    **{one: [[_KEYED, Kind.TEXT]] for one in (op.SELECT, op.HAS, op.OPTIONAL_SELECT)},
    **{one: [[_KEYED, ANYTHING], [Kind.LIST, Kind.NUMBER]] for one in (op.INDEX, op.OPTIONAL_INDEX)},
    op.IN: [[ANYTHING, _LOOPED]],
    op.ITEMS: [[_LOOPED]],
    op.PAIRS: [[_LOOPED]],
}
_MATCHES: Final[_Signatures] = [[Kind.TEXT]]
"""`matches` with a pattern known at load has a row of its own for each."""

_ORDERED: Final = (Kind.BOOL, Kind.NUMBER, Kind.TEXT, Kind.BYTES, Kind.TIME, Kind.DURATION)
_ORDERINGS: Final = frozenset((op.LESS, op.AT_MOST, op.GREATER, op.AT_LEAST))
_EQUALITIES: Final = {op.EQUAL: "false", op.NOT_EQUAL: "true"}
_HEADERS: Final = "headers"


def language(texts: Mapping[str, Iterable[str]]) -> Language:
    """CEL's kinds. `texts` are all the texts that a fact may be, by its attribute."""

    def call(node: Call, kinds: Sequence[Kind]) -> Judged:
        judged = (_call(check, node, kinds) for check in (_taken, _ordered, _equal, _within, _header))
        fault = next((one for one in judged if one is not None), None) or _known_text(node, texts)
        return Judged(_result(node, kinds), fault)

    return Language(_const, lambda variable: OF_TYPE[variable.type], call, Kind.BOOL)


_Check: TypeAlias = Callable[[Call, Sequence[Kind]], Fault | None]


def _call(check: _Check, node: Call, kinds: Sequence[Kind]) -> Fault | None:
    return check(node, kinds) if all(kinds) else None


_JSON: Final = Kind.NULL | Kind.BOOL | Kind.INT | Kind.DOUBLE | Kind.TEXT | Kind.LIST | Kind.MAP
"""What claims, arguments and attributes may be, at any depth."""


def _result(node: Call, kinds: Sequence[Kind]) -> Kind:
    """Of arithmetic: what it is made of, if that is numbers and texts of one kind. Of a member: JSON, or a header's text."""
    if node.function in _READS and (fact := _fact_of(node)) is not None:
        return Kind.TEXT if fact.variable.attribute == _HEADERS else _JSON
    is_plain = len(set(kinds)) == 1 and kinds[0] in (Kind.INT, Kind.UINT, Kind.DOUBLE, Kind.TEXT)
    return kinds[0] if node.function in _ARITHMETIC and is_plain else OF_TYPE[node.function.result]


def _fact_of(node: Node) -> Fact | None:
    """The map that a path of members begins with."""
    while isinstance(node, Call) and node.function in _READS:
        node = node.args[0]
    return node if isinstance(node, Fact) and node.variable.type is Type.MAP else None


def _taken(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    takes = _TAKES.get(node.function, ())
    if node.function.name == "matches" and len(node.args) == 1:
        takes = _MATCHES
    same = [one for one in takes if len(one) == len(kinds)]
    if not same or any(all(a & b for a, b in zip(one, kinds, strict=True)) for one in same):
        return None
    return _wrong(node, kinds, _wanted(same, kinds))


def _wanted(takes: _Signatures, kinds: Sequence[Kind]) -> str:
    """What to give instead, where one argument alone is wrong."""
    for place, kind in enumerate(kinds):
        wanted = reduce(or_, (one[place] for one in takes))
        if not wanted & kind:
            return f"it takes {' or '.join(words_of(wanted))} there"
    return ""


def _wrong(node: Call, kinds: Sequence[Kind], hint: str = "") -> Fault:
    given = " and ".join(in_words(one) for one in kinds)
    name = "a macro" if node.function in (op.ITEMS, op.PAIRS) else f"`{node.function.name}`"
    message = f"{name} cannot take {given}: it is an error for every request"
    return Fault("wrong-operand", message, Outcomes.ERROR, hint)


def _ordered(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    if node.function not in _ORDERINGS or any(kinds[0] & one and kinds[1] & one for one in _ORDERED):
        return None
    return _wrong(node, kinds, _TIMES if Kind.TIME in kinds else _ALIKE)


_TIMES: Final = "compare times with times: `timestamp(x)` makes one of seconds since 1970, and of a text"
_ALIKE: Final = "compare numbers with numbers and texts with texts; `int(x)` makes a number of a text"


def _equal(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    word = _EQUALITIES.get(node.function)
    if word is None or may_be_equal(kinds[0], kinds[1]):
        return None
    outcomes = (Outcomes.TRUE if word == "true" else Outcomes.FALSE) | Outcomes.ERROR
    message = f"{in_words(kinds[0])} is never equal to {in_words(kinds[1])}: this is {word} for every request"
    return Fault("never-equal", message, outcomes, "write both sides as the same type")


def _within(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    """`x in [a, b]` where no item can be equal to x."""
    items = _items(node.args[1]) if node.function is op.IN else None
    if not items or any(may_be_equal(kinds[0], one) for one in items):
        return None
    message = f"{in_words(kinds[0])} is never equal to any of these items: this is false for every request"
    return Fault("never-equal", message, Outcomes.FALSE | Outcomes.ERROR, "write the items as the same type")


def _items(node: Node) -> list[Kind] | None:
    """The kinds of a list's items, where all are written out."""
    if isinstance(node, Call) and node.function is op.LIST:
        return [_const(one.value) if isinstance(one, Const) else ANYTHING for one in node.args]
    return None


_READS: Final = frozenset((op.SELECT, op.INDEX))
_ASKS: Final = frozenset((op.HAS, op.OPTIONAL_SELECT, op.OPTIONAL_INDEX))


def _header(node: Call, _kinds: Sequence[Kind]) -> Fault | None:
    """A header's name with a capital is none: they are kept in lower case."""
    if node.function not in (*_READS, *_ASKS, op.IN):
        return None
    owner, key = node.args if node.function is not op.IN else reversed(node.args)
    if not isinstance(owner, Fact) or owner.variable.attribute != _HEADERS or not isinstance(key, Const):
        return None
    if not isinstance(key.value, str) or key.value == key.value.lower():
        return None
    outcomes = Outcomes.ERROR if node.function in _READS else Outcomes.FALSE | Outcomes.ERROR
    message = f"there is never a header `{key.value[:60]}`: their names are in lower case here"
    made = outcomes if node.function not in (op.OPTIONAL_SELECT, op.OPTIONAL_INDEX) else Outcomes.TRUE | Outcomes.FALSE
    return Fault("header-case", message, made, f'write `request.headers["{key.value.lower()[:60]}"]`')


def _known_text(node: Call, texts: Mapping[str, Iterable[str]]) -> Fault | None:
    """A fact compared with a text that it never is."""
    word = _EQUALITIES.get(node.function)
    for fact, other in (node.args, node.args[::-1]) if word is not None else ():
        if not isinstance(fact, Fact) or not isinstance(other, Const) or not isinstance(other.value, str):
            continue
        known = texts.get(fact.variable.attribute)
        if known is not None and other.value not in known:
            outcomes = (Outcomes.TRUE if word == "true" else Outcomes.FALSE) | Outcomes.ERROR
            message = f"`{fact.variable.name}` is never `{other.value[:60]}`: this is {word} for every request"
            return Fault("never-equal", message, outcomes, nearest(other.value, known))
    return None
