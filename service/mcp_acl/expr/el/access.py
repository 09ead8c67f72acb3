"""The steps of an expression: properties, indexes, method calls, selections and projections, as function rows.

A step on null is an error, unless it is safe (`?.`): then it is null. Rows are made for what a tree reads; equal ones are one.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from mcp_acl.expr.el import collections, dates, inline, numbers, strings
from mcp_acl.expr.el.classes import class_of, referred_class
from mcp_acl.expr.el.comparing import get_key, hash_ordered
from mcp_acl.expr.el.conversions import convert
from mcp_acl.expr.el.fields import STATIC_FIELDS
from mcp_acl.expr.el.metering import paid, weigh, weigh_key, weighed, weighed_method
from mcp_acl.expr.el.methods import Whitelist, call, classes_of, property_names, receiver_class
from mcp_acl.expr.el.values import (
    Array,
    Attributes,
    Bean,
    ClassRef,
    Context,
    Entry,
    Headers,
    Int32,
    JsonText,
    MultiMap,
    RawMap,
    elements,
    entries,
    shown,
    units,
)
from mcp_acl.expr.meter import FLAT, SLOW, Meter
from mcp_acl.expr.nodes import Function
from mcp_acl.problems import EvalError

WHITELIST: Final = Whitelist((*strings.ROWS, *numbers.ROWS, *collections.ROWS, *dates.ROWS))
"""Every method and constructor an expression may call."""

_GETTERS: Final = frozenset(name for row in WHITELIST.rows() if not row.params for name in property_names(row.name))
"""Properties that may be more than a field: those that a method gives."""
_once: Final = lru_cache(512, typed=True)


# ---- properties ------------------------------------------------------------------------------------------------------


def read_property(target: object, name: str) -> object:
    """`target.name`."""
    reader = _PROPERTY_READERS.get(type(target))
    if reader is not None:
        return reader(target, name)
    if isinstance(target, Mapping):
        return get_key(target, name)
    row = WHITELIST.property_row(class_of(target), name, False)
    if row is None or row.static:
        raise EvalError(f"a {class_of(target).name} has no property `{shown(name)}`")
    return call(row, target, ())


def _null_property(_target: None, name: str) -> object:
    raise EvalError(f"null has no property `{shown(name)}`: write `?.` before what may be missing")


def _context_property(context: Context, name: str) -> object:
    if name != "attributes":
        raise EvalError(f"`#context` has no property `{shown(name)}`: it has `attributes`")
    return context.attributes


def _array_property(array: Array, name: str) -> object:
    if name == "length":
        return Int32(len(array.items))
    raise EvalError(f"an array has no property `{shown(name)}`: it has `length`")


def _bean_property(bean: Bean, name: str) -> object:
    if name not in bean.values:
        raise EvalError(f"there is no property `{shown(name)}` here")
    return bean.values[name]


def _static_property(reference: ClassRef, name: str) -> object:
    owner = referred_class(reference)
    row = WHITELIST.property_row(owner, name, True) if owner is not None else None
    if row is not None and not row.reads_now:
        return call(row, reference, ())
    if owner is None or (owner.name, name) not in STATIC_FIELDS:
        raise EvalError(f"`{shown(name)}` of the class `{shown(reference.name)}` may not be used")
    return STATIC_FIELDS[owner.name, name]


_PROPERTY_READERS: Final[Mapping[type, Callable[..., object]]] = {
    type(None): _null_property,
    dict: dict.get,
    RawMap: dict.get,
    Attributes: get_key,
    MultiMap: dict.get,
    Headers: Headers.get_all,
    Bean: _bean_property,
    Context: _context_property,
    Array: _array_property,
    ClassRef: _static_property,
}


@_once
def property_of(name: str, *, safe: bool = False) -> Function:
    """Read a property."""

    def run(target: object) -> object:
        return None if safe and target is None else read_property(target, name)

    pace = SLOW if name in _GETTERS else FLAT
    return Function(f".{name}", run, inline=inline.key(name), pace=pace, metered=weighed_method(name, run), key=name)


@_once
def attribute_of(name: str) -> Function:
    """Read a context attribute: `#context.attributes[name]` in one step."""

    def run(context: object) -> object:
        assert isinstance(context, Context)
        return context.attributes[name]

    return Function("attribute", run, inline=inline.attribute(name), pace=FLAT, key=name)


@_once
def bean_property_of(name: str) -> Function:
    """Read a property that a root object is known to have."""

    def run(bean: object) -> object:
        return read_property(bean, name)

    return Function(f".{name}", run, inline=inline.bean_property(name), pace=FLAT, key=name)


# ---- indexes ---------------------------------------------------------------------------------------------------------


def read_index(target: object, index: object) -> object:
    """`target[index]`."""
    if target is None:
        raise EvalError("null has no elements: write `?.[…]` after what may be missing")
    if index is None:
        raise EvalError("an index is null")
    reader = _INDEX_READERS.get(type(target)) or _other_reader(target)
    return reader(target, index)


def _other_reader(target: object) -> Callable[..., object]:
    if isinstance(target, Mapping):
        return _map_entry
    return _object_property if elements(target) is None else _list_element


def _map_entry(target: Mapping[str, object], index: object) -> object:
    return get_key(target, index if type(index) is str else convert(index, "String"))


def _header(target: Headers, index: object) -> object:
    return target.get_all(str(index if type(index) is str else convert(index, "String")))


def _character(target: str, index: object) -> object:
    return _element(units(target), index)


def _list_element(target: object, index: object) -> object:
    return _element(elements(target) or (), index)


def _object_property(target: object, index: object) -> object:
    if not isinstance(index, str):
        raise EvalError(f"a {class_of(target).name} has no elements")
    return read_property(target, index)


def _element(items: Sequence[object], index: object) -> object:
    place = index if type(index) is Int32 else convert(index, "Integer")
    if not isinstance(place, int) or not 0 <= place < len(items):
        raise EvalError(f"no element `{place}` among {len(items)}")
    return items[place]


_INDEX_READERS: Final[Mapping[type, Callable[..., object]]] = {
    dict: _map_entry,
    RawMap: get_key,
    Attributes: _map_entry,
    MultiMap: _map_entry,
    Headers: _header,
    str: _character,
    JsonText: _character,
}


@_once
def index_of(key: str | Int32, *, safe: bool = False) -> Function:
    """Index with a constant."""

    def run(target: object) -> object:
        return None if safe and target is None else read_index(target, key)

    if isinstance(key, str):
        return Function("[…]", run, inline=inline.key(key), pace=FLAT, key=key)

    def in_loop(meter: Meter, target: object) -> object:
        weigh_key(meter, target, key)
        return run(target)

    return Function("[…]", run, inline=inline.position(int(key)), metered=in_loop, key=key)


@_once
def bare_index(name: str, *, safe: bool = False) -> Function:
    """`target[name]`, unquoted: a key of a map, and an error on anything else (a property of the root, which is null)."""

    def run(target: object) -> object:
        if safe and target is None:
            return None
        if not isinstance(target, Mapping | Headers):
            raise EvalError(f"`[{shown(name)}]` is for maps: write `['{shown(name)}']` or a number")
        return read_index(target, name)

    return Function("[…]", run, inline=inline.key(name), pace=FLAT, key=name)


def _index_in_loop(meter: Meter, target: object, index: object) -> object:
    weigh_key(meter, target, index)
    weigh(meter, index)
    return read_index(target, index)


INDEX: Final = Function("[…]", read_index, doc="an element by position, an entry by key", metered=_index_in_loop)


# ---- methods ---------------------------------------------------------------------------------------------------------


@_once
def method_of(name: str, *, safe: bool = False, reads_now: bool = False) -> Function:
    """Call a method: the receiver, then the arguments, then (if it `reads_now`) the request's time."""

    def run(target: object, *args: object) -> object:
        given, now = (args[:-1], args[-1]) if reads_now else (args, None)
        if target is None:
            if safe:
                return None
            raise EvalError(f"`{shown(name)}` is called on null: write `?.` before it")
        owner, static = receiver_class(target)
        return call(WHITELIST.resolve(owner, name, static, classes_of(given)), target, given, now)

    return Function(f".{name}()", run, inline=inline.METHODS.get(name), metered=weighed_method(name, run))


def clock_property_of(name: str) -> Function:
    """Read a static property that reads the time, such as `T(LocalDate).now`: the class, then the request's time."""

    def run(reference: object, now: object) -> object:
        owner, _ = receiver_class(reference)
        row = WHITELIST.property_row(owner, name, True)
        if row is None or not row.reads_now:
            raise EvalError(f"`{name}` of the class `{owner.name}` may not be used")
        return call(row, reference, (), now)

    return Function(f".{name}", run)


def constructor_of(reference: ClassRef, *, reads_now: bool) -> Function:
    """Call a constructor of a class that has some."""
    owner = referred_class(reference)
    assert owner is not None

    def run(*args: object) -> object:
        given, now = (args[:-1], args[-1]) if reads_now else (args, None)
        return call(WHITELIST.constructor(owner, classes_of(given)), None, given, now)

    return Function(f"new {owner.name}", run, metered=weighed(run))


COMPONENTS: Final = frozenset("int long double boolean String Integer Long Double Boolean Object".split())
"""Of what arrays can be made."""

_MAX_ARRAY: Final = 1_000
_ZEROS: Final = {"int": Int32(0), "long": 0, "double": 0.0, "boolean": False}


def array_of(component: str, *, sized: bool, filled: bool) -> Function:
    """`new X[size] {items}`: the size if `sized`, then the items if `filled`."""

    def run(*args: object) -> object:
        size = convert(args[0], "int") if sized else len(args)
        if not isinstance(size, int) or not 0 <= size <= _MAX_ARRAY:
            raise EvalError(f"an array may have {_MAX_ARRAY:,} elements at most")
        if not filled:
            return Array((_ZEROS.get(component),) * size, component)
        items = args[1:] if sized else args
        if len(items) != size:
            raise EvalError("an array's size is not the number of its elements")
        return Array(tuple(convert(item, component) for item in items), component)

    return Function(f"new {component}[]", run, metered=weighed(run))


def failing(message: str) -> Function:
    """A step that is certain to fail, after its arguments were evaluated."""

    def run(*_args: object) -> object:
        raise EvalError(message)

    return Function("error", run, pace=FLAT)


# ---- selections and projections --------------------------------------------------------------------------------------


def items_of(*, safe: bool) -> Function:
    """What a selection or projection runs over: elements, or the entries of a map."""

    def run(target: object) -> list[object]:
        if safe and target is None:
            return []
        items = elements(_iterable(target))
        if items is None:
            raise EvalError("a selection or projection needs a list or a map")
        return list(items)

    return Function("items", run, pace=FLAT)


def _iterable(target: object) -> object:
    match target:
        case Headers():
            return entries(target.as_map())
        case Attributes():
            return entries(target.stored())
        case Mapping():
            return entries(target)
    return target


def _is_map(target: object) -> bool:
    return isinstance(target, Mapping | Headers)


def _selected(target: object, picked: object) -> object:
    assert isinstance(picked, list)
    if _is_map(target):
        return _as_map(picked)
    if isinstance(target, Array):
        return Array(tuple(picked), _WRAPPED.get(target.component, target.component))
    return None if target is None else picked


def _first(target: object, picked: object) -> object:
    return _as_map([picked]) if _is_map(target) and picked is not None else picked


def _last(target: object, picked: object) -> object:
    assert isinstance(picked, list)
    return _first(target, picked[-1]) if picked else None


def _projected(target: object, made: object) -> object:
    assert isinstance(made, list)
    if isinstance(target, Array):
        return Array(tuple(made), _component(made))
    return None if target is None else made


def _component(made: Sequence[object]) -> str:
    names = {class_of(one).name for one in made if one is not None}
    return names.pop() if len(names) == 1 else "Object"


_WRAPPED: Final = {"byte": "Byte", "char": "Character", "int": "Integer", "long": "Long", "double": "Double"}


def _as_map(picked: Sequence[object]) -> RawMap:
    """The picked entries as a map, in the order Java's HashMap has."""
    return RawMap(hash_ordered({entry.key: entry.value for entry in picked if isinstance(entry, Entry)}))


def _gathered(name: str, run: Callable[[object, object], object], doc: str) -> Function:
    """A row that puts together what a loop gathered; the keys of a map are hashed as Java does."""

    def in_loop(meter: Meter, target: object, made: object) -> object:
        if _is_map(target):
            weigh(meter, made)
        return paid(meter, run(target, made))

    return Function(name, run, doc=doc, metered=in_loop)


SELECTED: Final = _gathered(".?[…]", _selected, "the elements for which a condition holds")
FIRST: Final = _gathered(".^[…]", _first, "the first of them")
LAST: Final = _gathered(".$[…]", _last, "the last of them")
PROJECTED: Final = _gathered(".![…]", _projected, "what an expression makes of each element")
