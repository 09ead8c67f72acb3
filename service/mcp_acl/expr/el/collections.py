"""The methods of Java's collections, maps, headers and of any object, one row each, with the class `Collections`."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Final

from mcp_acl.expr.el.comparing import (
    budget,
    check_pairs,
    compare_to,
    contains,
    contains_all,
    find_key,
    get_key,
    hash_code,
    java_equals,
    same_items,
    texts_of,
)
from mcp_acl.expr.el.methods import row
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

# ---- collections -----------------------------------------------------------------------------------------------------


def _items(value: object) -> Sequence[object]:
    return elements(value) or ()


def _contains(value: object, wanted: object) -> bool:
    if isinstance(value, Group) and value.names_of is not None:
        return isinstance(wanted, str) and _contains_key(value.names_of, wanted)
    return contains(_items(value), wanted)


def _get(values: Sequence[object], index: int) -> object:
    if not 0 <= index < len(values):
        raise EvalError(f"no element `{index}` in a list of {len(values)}")
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
    spent = budget()
    return not any(contains(other, item, spent) for item in one)


def _frequency(values: object, wanted: object) -> Int32:
    spent = budget()
    return Int32(sum(java_equals(wanted, item, spent) for item in _items(values)))


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
    starts, spent = range(len(whole) - len(part) + 1), budget()
    return [start for start in starts if same_items(part, whole[start : start + len(part)], spent)]


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
    assert isinstance(value, Mapping)
    return value


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
    found = [value.get_all(str(name)) for name in wanted]
    return None not in found


ROWS: Final = (
    row("boolean Object.equals(Object)", java_equals, "same class, same content"),
    row("int Object.hashCode()", hash_code),
    row("String Object.toString()", java_text),
    row("property boolean Boolean.booleanValue()", lambda value: value),
    row("property char Character.charValue()", lambda value: value),
    row("property String Enum.name()", lambda value: value.name),
    row("property int Enum.ordinal()", lambda value: Int32(value.ordinal)),
    row("boolean Collection.contains(Object)", _contains, "an element of the same class and content"),
    row("boolean Collection.isEmpty()", lambda values: not _items(values)),
    row("int Collection.size()", lambda values: Int32(len(_items(values)))),
    row("property Stream Collection.stream()", lambda _values: Opaque("Stream")),
    row("property Object[] Collection.toArray()", lambda values: Array(tuple(_items(values)), "Object")),
    row("Object List.get(int)", _get),
    row("Object Deque.getFirst()", _first),
    row("Object Deque.element()", _first),
    row("Object Deque.peek()", _peek),
    row("Object Deque.peekFirst()", _peek),
    row("Object Deque.peekLast()", _peek_last),
    row("property Object Deque.getLast()", lambda values: _get(values, len(values) - 1)),
    row("String HttpHeaders.getFirst(CharSequence)", lambda headers, name: headers.first(_name(name))),
    row("String HttpHeaders.get(CharSequence)", lambda headers, name: headers.first(_name(name))),
    row("List HttpHeaders.getAll(CharSequence)", lambda headers, name: headers.get_all(_name(name))),
    row("boolean HttpHeaders.containsKey(CharSequence)", _contains_key),
    row("boolean HttpHeaders.contains(CharSequence)", _contains_key),
    row("Set HttpHeaders.names()", _keys),
    row("int HttpHeaders.size()", lambda headers: Int32(len(_whole(headers)))),
    row("boolean HttpHeaders.isEmpty()", lambda headers: not _whole(headers)),
    row("Map HttpHeaders.toSingleValueMap()", _single_values),
    row("Object MultiValueMap.getFirst(Object)", _first_of),
    row("Map MultiValueMap.toSingleValueMap()", _single_values),
    row("boolean MultiValueMap.containsAllKeys(Collection)", _contains_all_keys),
    row("boolean Map.containsKey(Object)", _contains_key),
    row("boolean Map.containsValue(Object)", lambda value, wanted: contains(_whole(value).values(), wanted)),
    row("Set Map.entrySet()", lambda value: entries(_whole(value))),
    row("Object Map.get(Object)", _get_of),
    row("Object Map.getOrDefault(Object, Object)", _get_or_default),
    row("boolean Map.isEmpty()", lambda value: not _whole(value)),
    row("Set Map.keySet()", _keys),
    row("int Map.size()", lambda value: Int32(len(_whole(value)))),
    row("Collection Map.values()", lambda value: Group(tuple(_whole(value).values()), is_set=False)),
    row("Object Map.Entry.getKey()", lambda entry: entry.key),
    row("Object Map.Entry.getValue()", lambda entry: entry.value),
    row(
        "static boolean Collections.disjoint(Collection, Collection)",
        _disjoint,
        "whether two collections share no element",
    ),
    row("static int Collections.frequency(Collection, Object)", _frequency),
    row("static Object Collections.max(Collection)", _extreme(1)),
    row("static Object Collections.min(Collection)", _extreme(-1)),
    row("static int Collections.indexOfSubList(List, List)", lambda a, b: Int32(next(iter(_sublist_starts(a, b)), -1))),
    row(
        "static int Collections.lastIndexOfSubList(List, List)", lambda a, b: Int32((_sublist_starts(a, b) or [-1])[-1])
    ),
    row("static int Collections.binarySearch(List, Object)", _binary_search),
)
