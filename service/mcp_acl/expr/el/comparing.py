"""When values are equal and how they are ordered: Java's `equals` and `compareTo`, and Spring's `==` and `<` over them.

Texts compare by UTF-16 code unit. Numbers of different types are equal for `==`, never for `equals`.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from typing import Final

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.el.arithmetic import as_number, compare_numbers, int32, int64, relation
from mcp_acl.expr.el.classes import class_of
from mcp_acl.expr.el.temporal import Instant, JavaDate, LocalDate, LocalDateTime, LocalTime, ZonedDateTime, ZoneOffset
from mcp_acl.expr.el.values import Array, Attributes, Char, Entry, EnumConstant, Group, Int32, JFloat, is_list, units
from mcp_acl.expr.meter import Budget
from mcp_acl.problems import EvalError

MAX_COMPARISONS: Final = 200_000
"""How many values one operation may look at: a list may hold one list many times over, at every level."""

_MAX_PAIRS: Final = 250_000
"""How many pairs of elements one operation may compare."""

_ORDERED: Final = (JavaDate, LocalDate, LocalTime, LocalDateTime, ZonedDateTime, Instant)
_PRIMITIVE_ARRAYS: Final = frozenset(("byte", "char", "int", "long", "double", "float", "boolean", "short"))


def budget() -> Budget:
    """For one operation."""
    return Budget(MAX_COMPARISONS)


def java_equals(left: object, right: object, left_over: Budget | None = None) -> bool:
    """`Objects.equals`: same class, same content. `left_over` is what an operation of many comparisons may still spend."""
    if isinstance(left, str) and isinstance(right, str):
        return str(left) == str(right)
    if left is None or right is None:
        return left is right
    for one in (left, right):
        if isinstance(one, InexactNumber):
            class_of(one)
    spent = budget() if left_over is None else left_over
    if is_list(left) and is_list(right):
        return same_items(left, right, spent)  # type: ignore[arg-type]
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return _same_maps(_stored(left), _stored(right), spent)
    return type(left) is type(right) and _same_content(left, right, spent)


def _same_content(left: object, right: object, spent: Budget) -> bool:
    match left, right:
        case (float(), float()):
            return compare_numbers(left, right) == 0
        case (Entry(), Entry()):
            return java_equals(left.key, right.key, spent) and java_equals(left.value, right.value, spent)
        case (Group(), Group()) if left.is_set and right.is_set:
            return len(left.items) == len(right.items) and contains_all(left.items, right.items, spent)
    return left == right


def same_items(left: Sequence[object], right: Sequence[object], spent: Budget) -> bool:
    """Whether two lists have equal elements in the same order."""
    if len(left) != len(right):
        return False
    for one, other in zip(left, right, strict=True):
        spent.spend()
        if not java_equals(one, other, spent):
            return False
    return True


def _stored(values: Mapping[str, object]) -> Mapping[str, object]:
    return values.stored() if isinstance(values, Attributes) else values


def _same_maps(left: Mapping[str, object], right: Mapping[str, object], spent: Budget) -> bool:
    if len(left) != len(right):
        return False
    for key, value in left.items():
        spent.spend(1 if isinstance(key, str) else len(right))
        if not find_key(right, key) or not java_equals(value, get_key(right, key), spent):
            return False
    return True


def find_key(values: Mapping[str, object], key: object) -> bool:
    """`Map.containsKey`: the key must be of the same class too."""
    if isinstance(values, Attributes):
        return isinstance(key, str) and values.has(key)
    if isinstance(key, str):
        return str(key) in values
    return any(java_equals(key, known) for known in values)


def get_key(values: Mapping[str, object], key: object) -> object:
    """`Map.get`: None if there is no such key."""
    if isinstance(key, str):
        return values[str(key)] if isinstance(values, Attributes) else values.get(str(key))
    return next((value for known, value in values.items() if java_equals(key, known)), None)


def contains(items: Iterable[object], wanted: object, left_over: Budget | None = None) -> bool:
    """`Collection.contains`."""
    spent = budget() if left_over is None else left_over
    return any(java_equals(wanted, item, spent) for item in items)


def contains_all(items: Sequence[object], wanted: Sequence[object], left_over: Budget | None = None) -> bool:
    """`Collection.containsAll`."""
    known = texts_of(items)
    if known is not None:
        return all(isinstance(one, str) and str(one) in known for one in wanted)
    check_pairs(items, wanted)
    spent = budget() if left_over is None else left_over
    return all(contains(items, one, spent) for one in wanted)


def texts_of(items: Sequence[object]) -> frozenset[str] | None:
    """The items as a set, if all of them are texts."""
    texts = [str(item) for item in items if isinstance(item, str)]
    return frozenset(texts) if len(texts) == len(items) else None


def check_pairs(left: Sequence[object], right: Sequence[object]) -> None:
    """Refuse to compare too many elements with each other."""
    if len(left) * len(right) > _MAX_PAIRS:
        raise EvalError("the lists are too long to be compared")


# ---- Spring's == and < -----------------------------------------------------------------------------------------------


def equal(left: object, right: object) -> bool:
    """`left == right`: numbers by value, texts by content, everything else by `equals`."""
    first, second = as_number(left), as_number(right)
    if first is not None and second is not None:
        return relation(first, second) == 0
    if isinstance(left, Array) and isinstance(right, Array):
        return _same_arrays(left, right)
    if java_equals(left, right):
        return True
    if isinstance(left, EnumConstant) and isinstance(right, EnumConstant) and left.owner != right.owner:
        raise _not_comparable(left, right)
    return False


def _same_arrays(left: Array, right: Array) -> bool:
    if left.component != right.component and {left.component, right.component} & _PRIMITIVE_ARRAYS:
        return False
    return same_items(left.items, right.items, budget())


def order(left: object, right: object) -> int | None:
    """How `<`, `>`, `<=` and `>=` see two values: below, equal or above 0; None if no relation holds (NaN)."""
    first, second = as_number(left), as_number(right)
    if first is not None and second is not None:
        return relation(first, second)
    return compare(left, right)


def compare(left: object, right: object) -> int:
    """Spring's comparison, also behind `between`: null is below everything, other values need the same class."""
    if left is None or right is None:
        return (left is not None) - (right is not None)
    first, second = as_number(left), as_number(right)
    if first is not None and second is not None:
        return compare_numbers(first, second)
    return compare_to(left, right)


def compare_to(left: object, right: object) -> int:
    """`Comparable.compareTo` between values of one class that are not null."""
    first, second = as_number(left), as_number(right)
    if first is not None and second is not None and type(left) is type(right):
        return compare_numbers(first, second)
    if isinstance(left, str) and isinstance(right, str):
        return compare_texts(left, right)
    if type(left) is not type(right):
        raise _not_comparable(left, right)
    return _compare_same(left, right)


def _compare_same(left: object, right: object) -> int:
    match left, right:
        case (Char(), Char()):
            return ord(left.value) - ord(right.value)
        case (EnumConstant(), EnumConstant()) if left.owner == right.owner:
            return left.ordinal - right.ordinal
        case (ZoneOffset(), ZoneOffset()) if left.name == left.offset_name and right.name == right.offset_name:
            return right.seconds - left.seconds
        case (bool(), bool()):
            return left - right
    if isinstance(left, _ORDERED):
        return (right < left) - (left < right)  # type: ignore[operator]
    raise _not_comparable(left, right)


def compare_texts(left: str, right: str) -> int:
    """`String.compareTo`: the distance of the first code units that differ, else of the lengths."""
    first, second = units(left), units(right)
    for one, other in zip(first, second, strict=False):
        if one != other:
            return ord(one) - ord(other)
    return len(first) - len(second)


def _not_comparable(left: object, right: object) -> EvalError:
    return EvalError(f"cannot compare {class_of(left).name} with {class_of(right).name}")


def hash_code(value: object, left_over: Budget | None = None) -> Int32:
    """`hashCode` of texts, characters, booleans, numbers and lists of them; an error for anything else."""
    match value:
        case bool():
            return Int32(1231 if value else 1237)
        case str():
            return int32(_text_hash(value))
        case Char():
            return Int32(ord(value.value))
        case int():
            return int32(value ^ ((value & 2**64 - 1) >> 32) if type(value) is int else value)
        case JFloat():
            return int32(_bits(value, "f"))
        case float():
            return hash_code(int64(_bits(value, "d")))
        case list() | tuple():
            spent = budget() if left_over is None else left_over
            spent.spend(len(value))
            return reduce(lambda code, item: int32(31 * code + _hash_or_zero(item, spent)), value, Int32(1))
    raise EvalError("the value has no hash code here")


def _bits(value: float, size: str) -> int:
    """The bits of a floating number; every NaN is the same one."""
    return int.from_bytes(struct.pack(f">{size}", math.nan if math.isnan(value) else value))


def _hash_or_zero(value: object, spent: Budget) -> int:
    return 0 if value is None else hash_code(value, spent)


def _text_hash(text: str) -> int:
    data = text.encode("utf-16-be", "surrogatepass")
    result = 0
    for high, low in zip(data[::2], data[1::2], strict=True):
        result = (31 * result + (high << 8 | low)) & 0xFFFFFFFF
    return result


def hash_ordered(values: Mapping[object, object]) -> dict[object, object]:
    """The map in the order Java's HashMap has. Raises `EvalError` if there are several keys and one has no hash code."""
    if len(values) < 2:
        return dict(values)
    size = 16
    while len(values) > size * 3 // 4:
        size *= 2

    def bucket(key: object) -> int:
        if type(key) is str and len(key) <= _SHORT_KEY:
            return _spread_text(key) % size
        return _spread(hash_code(key)) % size if key is not None else 0

    return {key: values[key] for key in sorted(values, key=bucket)}


def _spread(code: int) -> int:
    unsigned = code % 2**32
    return unsigned ^ unsigned >> 16


_SHORT_KEY: Final = 64  # characters


@lru_cache(maxsize=4096)
def _spread_text(key: str) -> int:
    """Names of arguments come again and again."""
    return _spread(_text_hash(key))
