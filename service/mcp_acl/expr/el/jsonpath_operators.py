"""What the operators of path filters mean: `[?(@.x == 'y')]`, as Jayway compares.

A text equals the number it writes. Types that do not fit make a comparison false, not an error.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.el.arithmetic import as_number, compare_numbers, parse_decimal, to_decimal
from mcp_acl.expr.el.comparing import compare_texts, java_equals
from mcp_acl.expr.el.jsonpath import InvalidPath, NoPath, Path, Visits
from mcp_acl.expr.el.regexes import Pattern
from mcp_acl.expr.el.texts import decimal_text
from mcp_acl.expr.el.values import BigDecimal, units
from mcp_acl.problems import EvalError

Accepts: TypeAlias = Callable[[object, object, Visits], bool]
"""Whether an element of a document (with its root) is accepted."""

Operand: TypeAlias = Callable[[object, object, Visits], object]
"""The value of one side of a comparison for an element."""

Operator: TypeAlias = Callable[[object, object, Visits], bool]
"""Whether a comparison of two values holds; it spends a visit for each value it looks at."""

_CHARACTERS: Final = 16
"""How many characters are looked at in one visit."""

_PRICED: Final = 4
"""How many units of work a visit stands for."""


class _Undefined:
    __slots__ = ()


UNDEFINED: Final = _Undefined()
"""What a path that leads nowhere is in a comparison: equal to nothing, itself included."""


def constant(value: object) -> Operand:
    """A literal."""
    return lambda _item, _root, _visits: value


def reader(path: Path) -> Operand:
    """The value at a path, `UNDEFINED` if it leads nowhere."""

    def read(item: object, root: object, visits: Visits) -> object:
        try:
            return _node(path.read(item, root, visits))
        except NoPath:
            return UNDEFINED

    return read


def existence(path: Path) -> Accepts:
    """Whether a path leads somewhere; null is somewhere."""

    def exists(item: object, root: object, visits: Visits) -> bool:
        try:
            path.read(item, root, visits, required=True)
        except NoPath:
            return False
        return True

    return exists


def _node(value: object) -> object:
    """A value as filters compare it: numbers as decimals."""
    if isinstance(value, InexactNumber):
        bool(value)
    number = as_number(value)
    if number is not None:
        return to_decimal(number)
    if value is None or isinstance(value, bool | str | list | tuple | Mapping):
        return value
    raise EvalError("a filter meets a value that is no JSON")


def compared(operator: Operator, left: Operand, right: Operand) -> Accepts:
    """Whether a comparison holds."""
    return lambda item, root, visits: operator(left(item, root, visits), right(item, root, visits), visits)


def guarded(accepts: Accepts) -> Accepts:
    """A filter that cannot be applied to an element does not accept it, whatever is negated in it."""

    def accepts_safely(item: object, root: object, visits: Visits) -> bool:
        try:
            return accepts(item, root, visits)
        except InvalidPath:
            return False

    return accepts_safely


def _equal(left: object, right: object, visits: Visits) -> bool:
    visits.spend()
    match left, right:
        case (str(), BigDecimal()):
            return str(left) == decimal_text(right)
        case (BigDecimal(), str()):
            return _reads_as(right, left)
        case (BigDecimal(), BigDecimal()):
            return compare_numbers(left, right) == 0
    return left is not UNDEFINED and type(left) is not Pattern and java_equals(left, right, visits)


def _reads_as(text: str, number: BigDecimal) -> bool:
    try:
        return compare_numbers(parse_decimal(text), number) == 0
    except EvalError:
        return False


def _same_kind(left: object, right: object) -> bool:
    json = (list, tuple, dict)
    return type(left) is type(right) or (isinstance(left, json) and isinstance(right, json))


def _ordered(holds: Callable[[int], bool]) -> Operator:
    def compare(left: object, right: object, visits: Visits) -> bool:
        match left, right:
            case (BigDecimal(), BigDecimal()):
                return holds(compare_numbers(left, right))
            case (str(), str()):
                visits.spend(min(len(left), len(right)) // _CHARACTERS)
                return holds(compare_texts(left, right))
        return False

    return compare


def _nodes(value: object, visits: Visits) -> Sequence[object] | None:
    """The elements of an array as filters compare them; None for an object, no match for anything else."""
    if isinstance(value, Mapping):
        return None
    if not isinstance(value, list | tuple):
        raise InvalidPath("the operand is no array")
    visits.spend(len(value))
    if any(isinstance(item, list | tuple | Mapping) for item in value):
        raise EvalError("a filter meets an array of arrays or objects")
    if any(isinstance(item, str) and item.strip()[:1] in ("$", "@", "[", "{", "'", '"') for item in value):
        raise EvalError("a filter meets an array with a text that could be a path or JSON")
    return [item if isinstance(item, BigDecimal) else _node(item) for item in value]


def _in(left: object, right: object, visits: Visits) -> bool:
    nodes = _nodes(right, visits)
    return nodes is not None and any(_equal(left, node, visits) for node in nodes)


def _contains(left: object, right: object, visits: Visits) -> bool:
    if isinstance(left, str):
        visits.spend(len(left) // _CHARACTERS)
        return isinstance(right, str) and right in left
    if not isinstance(left, list | tuple):
        return False
    return any(_equal(right, node, visits) for node in _nodes(left, visits) or ())


def _between_lists(combine: Callable[[Sequence[object], Sequence[object], Visits], bool]) -> Operator:
    def compare(left: object, right: object, visits: Visits) -> bool:
        others = _nodes(right, visits)
        if others is None:
            return False
        nodes = _nodes(left, visits)
        return nodes is not None and combine(nodes, others, visits)

    return compare


def _any_of(nodes: Sequence[object], others: Sequence[object], visits: Visits) -> bool:
    return any(_equal(node, other, visits) for node in nodes for other in others)


def _subset_of(nodes: Sequence[object], others: Sequence[object], visits: Visits) -> bool:
    return all(any(_equal(node, other, visits) for other in others) for node in nodes)


def _size(left: object, right: object, visits: Visits) -> bool:
    if not isinstance(right, BigDecimal):
        return False
    visits.spend(len(left) // _CHARACTERS if isinstance(left, str) else 0)
    size = len(units(left)) if isinstance(left, str) else len(left) if isinstance(left, list | tuple) else -1
    if not isinstance(left, str | list | tuple | Mapping):
        return False
    return compare_numbers(right, size) == 0


def _empty(left: object, right: object, _visits: Visits) -> bool:
    if isinstance(left, Mapping):
        raise EvalError("`empty` is for texts and arrays")
    if not isinstance(left, str | list | tuple):
        return False
    if not isinstance(right, bool):
        raise InvalidPath("`empty` is compared with true or false")
    return (not left) is right


def _regex(left: object, right: object, visits: Visits) -> bool:
    if isinstance(left, Pattern) is isinstance(right, Pattern):
        return False
    pattern, value = (left, right) if isinstance(left, Pattern) else (right, left)
    assert isinstance(pattern, Pattern)
    if isinstance(value, list | tuple):
        return any(_matches(pattern, node, visits) for node in _nodes(value, visits) or ())
    return _matches(pattern, value, visits)


def _matches(pattern: Pattern, value: object, visits: Visits) -> bool:
    text = _input(value)
    visits.spend(pattern.price(text) // _PRICED)
    return pattern.matches(text)


def _input(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case BigDecimal():
            return decimal_text(value)
    return ""


OPERATORS: Final[Mapping[str, Operator]] = {
    "==": _equal,
    "!=": lambda left, right, visits: not _equal(left, right, visits),
    "===": lambda left, right, visits: _same_kind(left, right) and _equal(left, right, visits),
    "!==": lambda left, right, visits: not (_same_kind(left, right) and _equal(left, right, visits)),
    "<": _ordered(lambda relation: relation < 0),
    "<=": _ordered(lambda relation: relation <= 0),
    ">": _ordered(lambda relation: relation > 0),
    ">=": _ordered(lambda relation: relation >= 0),
    "=~": _regex,
    "in": _in,
    "nin": lambda left, right, visits: not _in(left, right, visits),
    "contains": _contains,
    "anyof": _between_lists(_any_of),
    "noneof": _between_lists(lambda nodes, others, visits: not _any_of(nodes, others, visits)),
    "subsetof": _between_lists(_subset_of),
    "size": _size,
    "empty": _empty,
}
