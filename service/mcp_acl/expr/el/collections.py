"""The methods of Java's collections, maps, headers and of any object, one row each, with the class `Collections`."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Final

from mcp_acl.expr.el.comparing import (
    check_pairs,
    compare_to,
    contains,
    contains_all,
    find_key,
    get_key,
    hash_code,
    java_equals,
    texts_of,
)
from mcp_acl.expr.el.methods import Row
from mcp_acl.expr.el.texts import java_text
from mcp_acl.expr.el.values import (
    Array,
    Attributes,
    Group,
    Headers,
    Int32,
    LinkedList,
    MultiMap,
    Opaque,
    RawMap,
    elements,
    entries,
)
from mcp_acl.problems import EvalError


def _row(owner: str, name: str, params: str, result: str, run: Callable[..., object], doc: str = "") -> Row:
    return Row(owner, name, tuple(params.split()), result, run, doc)


def _property(owner: str, name: str, result: str, run: Callable[..., object]) -> Row:
    return Row(owner, name, (), result, run, "as a property only", callable=False)


def _static(name: str, params: str, result: str, run: Callable[..., object], doc: str = "") -> Row:
    return Row("Collections", name, tuple(params.split()), result, run, doc, static=True)


# ---- collections -----------------------------------------------------------------------------------------------------


def _items(value: object) -> list[object]:
    items = elements(value)
    if items is None:
        raise EvalError("null is no collection")
    return items


def _contains(value: object, wanted: object) -> bool:
    if isinstance(value, Group) and value.names_of is not None:
        return isinstance(wanted, str) and _contains_key(value.names_of, wanted)
    return contains(_items(value), wanted)


def _get(values: Sequence[object], index: int) -> object:
    if not 0 <= index < len(values):
        raise EvalError(f"no element {index} in a list of {len(values)}")
    return values[index]


def _first(values: LinkedList) -> object:
    return _get(values, 0)


def _peek(values: LinkedList) -> object:
    return values[0] if values else None


def _peek_last(values: LinkedList) -> object:
    return values[-1] if values else None


def _disjoint(left: object, right: object) -> bool:
    one, other = _items(left), _items(right)
    first, second = texts_of(one), texts_of(other)
    if first is not None and second is not None:
        return first.isdisjoint(second)
    check_pairs(one, other)
    return not any(contains(other, item) for item in one)


def _frequency(values: object, wanted: object) -> Int32:
    return Int32(sum(java_equals(wanted, item) for item in _items(values)))


def _extreme(sign: int) -> Callable[[object], object]:
    def run(values: object) -> object:
        items = _items(values)
        if not items or None in items:
            raise EvalError("the collection is empty or holds null")
        return reduce(lambda best, item: item if compare_to(item, best) * sign > 0 else best, items)

    return run


def _sublist_starts(source: object, target: object) -> list[int]:
    whole, part = _items(source), _items(target)
    check_pairs(whole, part)
    starts = range(len(whole) - len(part) + 1)
    return [start for start in starts if all(map(java_equals, part, whole[start : start + len(part)]))]


def _binary_search(values: object, key: object) -> Int32:
    items = _items(values)
    low, high = 0, len(items) - 1
    while low <= high:
        middle = (low + high) // 2
        if items[middle] is None or key is None:
            raise EvalError("the list holds null")
        relation = compare_to(items[middle], key)
        if relation == 0:
            return Int32(middle)
        low, high = (middle + 1, high) if relation < 0 else (low, middle - 1)
    return Int32(-(low + 1))


# ---- maps ------------------------------------------------------------------------------------------------------------


def _whole(value: object) -> Mapping[str, object]:
    """A map with every key as it is stored."""
    match value:
        case Headers():
            return value.as_map()
        case Attributes():
            return value.stored()
        case Mapping():
            return value
    raise EvalError("the value is no map")


def _get_of(value: object, key: object) -> object:
    if isinstance(value, Headers):
        return value.get_all(_name(key))
    return get_key(_mapping(value), key)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else _whole(value)


def _name(key: object) -> str:
    if key is None:
        raise EvalError("null is no header name")
    return java_text(key)


def _contains_key(value: object, key: object) -> bool:
    if isinstance(value, Headers):
        return value.get_all(_name(key)) is not None
    return find_key(_mapping(value), key)


def _get_or_default(value: object, key: object, default: object) -> object:
    if isinstance(value, Headers):
        found = value.get_all(_name(key))
        return default if found is None else found
    whole = _whole(value)
    return get_key(whole, key) if find_key(whole, key) else default


def _keys(value: object) -> Group:
    return Group(tuple(_whole(value)), names_of=value if isinstance(value, Attributes | Headers) else None)


def _first_of(values: MultiMap, key: object) -> object:
    found = get_key(values, key)
    return _get(_items(found), 0) if found is not None else None


def _single_values(value: object) -> RawMap:
    return RawMap({key: _get(_items(values), 0) for key, values in _whole(value).items()})


def _contains_all_keys(value: object, names: object) -> bool:
    wanted = _items(names)
    if not isinstance(value, Headers):
        return contains_all(list(_mapping(value)), wanted)
    if not all(isinstance(name, str) for name in wanted):
        raise EvalError("header names are texts")
    return all([value.get_all(str(name)) is not None for name in wanted])


ROWS: Final = (
    _row("Object", "equals", "Object", "boolean", java_equals, "same class, same content"),
    _row("Object", "hashCode", "", "int", hash_code),
    _row("Object", "toString", "", "String", java_text),
    _property("Boolean", "booleanValue", "boolean", lambda value: value),
    _property("Character", "charValue", "char", lambda value: value),
    _property("Enum", "name", "String", lambda value: value.name),
    _property("Enum", "ordinal", "int", lambda value: Int32(value.ordinal)),
    _row("Collection", "contains", "Object", "boolean", _contains, "an element of the same class and content"),
    _row("Collection", "isEmpty", "", "boolean", lambda values: not _items(values)),
    _row("Collection", "size", "", "int", lambda values: Int32(len(_items(values)))),
    _property("Collection", "stream", "Stream", lambda _values: Opaque("Stream")),
    _property("Collection", "toArray", "Object[]", lambda values: Array(tuple(_items(values)), "Object")),
    _row("List", "get", "int", "Object", _get),
    _row("Deque", "getFirst", "", "Object", _first),
    _row("Deque", "element", "", "Object", _first),
    _row("Deque", "peek", "", "Object", _peek),
    _row("Deque", "peekFirst", "", "Object", _peek),
    _row("Deque", "peekLast", "", "Object", _peek_last),
    _property("Deque", "getLast", "Object", lambda values: _get(values, len(values) - 1)),
    _row("HttpHeaders", "getFirst", "CharSequence", "String", lambda headers, name: headers.first(_name(name))),
    _row("HttpHeaders", "get", "CharSequence", "String", lambda headers, name: headers.first(_name(name))),
    _row("HttpHeaders", "getAll", "CharSequence", "List", lambda headers, name: headers.get_all(_name(name))),
    _row("HttpHeaders", "containsKey", "CharSequence", "boolean", _contains_key),
    _row("HttpHeaders", "contains", "CharSequence", "boolean", _contains_key),
    _row("HttpHeaders", "names", "", "Set", _keys),
    _row("HttpHeaders", "size", "", "int", lambda headers: Int32(len(_whole(headers)))),
    _row("HttpHeaders", "isEmpty", "", "boolean", lambda headers: not _whole(headers)),
    _row("HttpHeaders", "toSingleValueMap", "", "Map", _single_values),
    _row("MultiValueMap", "getFirst", "Object", "Object", _first_of),
    _row("MultiValueMap", "toSingleValueMap", "", "Map", _single_values),
    _row("MultiValueMap", "containsAllKeys", "Collection", "boolean", _contains_all_keys),
    _row("Map", "containsKey", "Object", "boolean", _contains_key),
    _row("Map", "containsValue", "Object", "boolean", lambda value, wanted: contains(_whole(value).values(), wanted)),
    _row("Map", "entrySet", "", "Set", lambda value: entries(_whole(value))),
    _row("Map", "get", "Object", "Object", _get_of),
    _row("Map", "getOrDefault", "Object Object", "Object", _get_or_default),
    _row("Map", "isEmpty", "", "boolean", lambda value: not _whole(value)),
    _row("Map", "keySet", "", "Set", _keys),
    _row("Map", "size", "", "int", lambda value: Int32(len(_whole(value)))),
    _row("Map", "values", "", "Collection", lambda value: Group(tuple(_whole(value).values()), is_set=False)),
    _row("Map.Entry", "getKey", "", "Object", lambda entry: entry.key),
    _row("Map.Entry", "getValue", "", "Object", lambda entry: entry.value),
    _static("disjoint", "Collection Collection", "boolean", _disjoint, "whether two collections share no element"),
    _static("frequency", "Collection Object", "int", _frequency),
    _static("max", "Collection", "Object", _extreme(1)),
    _static("min", "Collection", "Object", _extreme(-1)),
    _static("indexOfSubList", "List List", "int", lambda a, b: Int32(next(iter(_sublist_starts(a, b)), -1))),
    _static("lastIndexOfSubList", "List List", "int", lambda a, b: Int32((_sublist_starts(a, b) or [-1])[-1])),
    _static("binarySearch", "List Object", "int", _binary_search),
)
