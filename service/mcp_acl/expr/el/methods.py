"""Find the method an expression calls, and call it: Gravitee's whitelist, resolved as Spring resolves overloads.

The rows are in `strings`, `numbers`, `collections`, `dates`. A row that is not `callable` can be reached as a property only:
Spring reads `x.name` through `getName()`, `isName()` or `name()`, whitelisted or not.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from mcp_acl.expr.el.classes import CLASSES, JavaClass, class_of, referred_class
from mcp_acl.expr.el.conversions import WRAPPERS, can_convert, convert, is_assignable
from mcp_acl.expr.el.values import Array, ClassRef
from mcp_acl.problems import EvalError

CONSTRUCTOR: Final = "new"
"""The name constructors have in the tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One Java method: its class, name, parameter types, result type, and what it does.

    `run` gets the receiver (unless static), then the converted arguments, a variable-length last parameter as an `Array`;
    a row that `reads_now` gets the request's time (milliseconds since 1970) after them. Null is refused, but for a parameter
    of any class (`Object`) or if the row `takes_null`.
    """

    owner: str
    name: str
    params: tuple[str, ...]
    result: str
    run: Callable[..., object]
    doc: str = ""
    static: bool = False
    varargs: bool = False
    callable: bool = True
    reads_now: bool = False
    takes_null: bool = False


_SIGNATURE: Final = re.compile(r"((?:static |now |property )*)(?:new|(\S+)) ([\w.]+)\((.*)\)", re.ASCII)


def row(signature: str, run: Callable[..., object], doc: str = "", *, takes_null: bool = False) -> Row:
    """A row from a signature as Java writes it, such as `int String.indexOf(String, int)`.

    Before it may stand `static`, `now` (it reads the time) and `property` (it can be reached as a property only). A
    constructor is `new Date(long)`.
    """
    match = _SIGNATURE.fullmatch(signature)
    assert match is not None, signature
    words, result, path, listed = match.groups()
    params = [param for param in re.split("[, ]+", listed) if param]
    varargs = bool(params) and params[-1].endswith("...")
    owner, name = path.rsplit(".", 1) if result else (path, CONSTRUCTOR)
    return Row(
        owner,
        name,
        tuple(param.replace("...", "[]") for param in params),
        result or owner,
        run,
        doc,
        static="static" in words or not result,
        varargs=varargs,
        callable="property" not in words,
        reads_now="now" in words,
        takes_null=takes_null,
    )


class Match(IntEnum):
    """How well arguments fit parameters, best first."""

    EXACT = 0
    CLOSE = 1
    CONVERSION = 2


class Whitelist:
    """The rows by class and name, and what Spring's rules find among them."""

    def __init__(self, rows: Iterable[Row]) -> None:
        table: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            table.setdefault((row.owner, row.name), []).append(row)
        self._table: Final[Mapping[tuple[str, str], Sequence[Row]]] = table
        self.names: Final = frozenset(row.name for row in self.rows() if row.callable)
        self.resolve = lru_cache(maxsize=4096)(self._resolve)
        self.property_row = lru_cache(maxsize=4096)(self._property_row)

    def rows(self) -> Iterable[Row]:
        """Every row."""
        for rows in self._table.values():
            yield from rows

    def methods(self, owner: JavaClass, name: str, *, static: bool) -> list[Row]:
        """The whitelisted methods of that name: on a class reference its static ones and those of any object."""
        found = [row for one in owner.supers for row in self._table.get((one, name), ()) if row.callable]
        if not static:
            return found
        own = [row for row in found if row.static]
        return [*own, *(row for row in self._table.get(("Object", name), ()) if row.callable)]

    def arities(self, name: str) -> frozenset[int] | None:
        """How many arguments any method of that name takes; None if some take any number."""
        rows = [row for row in self.rows() if row.name == name and row.callable]
        return None if any(row.varargs for row in rows) else frozenset(len(row.params) for row in rows)

    def _resolve(self, owner: JavaClass, name: str, static: bool, args: tuple[JavaClass | None, ...]) -> Row:
        rows = sorted(self.methods(owner, name, static=static), key=lambda row: (len(row.params), row.varargs))
        return _best(rows, owner, name, args)

    def constructor(self, owner: JavaClass, args: tuple[JavaClass | None, ...]) -> Row:
        """The constructor for these arguments. Where Spring takes any of several that need conversion, it is an error."""
        rows = [row for row in self._table.get((owner.name, CONSTRUCTOR), ()) if row.callable]
        return _best(sorted(rows, key=lambda row: len(row.params)), owner, CONSTRUCTOR, args)

    def has_constructor(self, owner: JavaClass) -> bool:
        """Whether anything may be constructed of that class."""
        return (owner.name, CONSTRUCTOR) in self._table

    def _property_row(self, owner: JavaClass, name: str, static: bool) -> Row | None:
        candidates = [f"get{suffix}" for suffix in _suffixes(name)]
        for wanted in candidates:
            row = self._getter(owner, wanted, static)
            if row is not None:
                return row
        for suffix in _suffixes(name):
            row = self._getter(owner, f"is{suffix}", static)
            if row is not None and row.result == "boolean":
                return row
        return self._getter(owner, name, static)

    def _getter(self, owner: JavaClass, name: str, static: bool) -> Row | None:
        for one in owner.supers:
            if one == "Object":
                continue
            for row in self._table.get((one, name), ()):
                if not row.params and (row.static or not static):
                    return row
        return None


def property_names(method: str) -> tuple[str, ...]:
    """The properties through which a method without parameters is reached."""
    bare = method.removeprefix("get") if method.startswith("get") else method.removeprefix("is")
    return (method, bare, bare[:1].lower() + bare[1:])


def _suffixes(name: str) -> tuple[str, ...]:
    suffix = name if len(name) > 1 and name[1].isupper() else name[:1].upper() + name[1:]
    return (suffix,) if suffix[:1].isupper() else (suffix, suffix[:1].upper() + suffix[1:])


def _best(rows: Sequence[Row], owner: JavaClass, name: str, args: tuple[JavaClass | None, ...]) -> Row:
    """An exact match at once, else the closest match, else the only one that needs conversion (of several, an error)."""
    close: list[Row] = []
    converting: list[Row] = []
    for row in rows:
        match = _match(row, args)
        if match is Match.EXACT:
            return row
        if match is Match.CLOSE:
            close.append(row)
        elif match is Match.CONVERSION:
            converting.append(row)
    if close:
        return min(close, key=lambda row: _distance(row, args))
    if not converting:
        raise EvalError(f"`{_shown(owner, name)}` cannot be called with {_shown_args(args)}")
    if len(converting) > 1:
        raise EvalError(f"`{_shown(owner, name)}` is ambiguous with {_shown_args(args)}")
    return converting[0]


def _shown(owner: JavaClass, name: str) -> str:
    return f"new {owner.name}" if name == CONSTRUCTOR else f"{owner.name}.{name}"


def _shown_args(args: tuple[JavaClass | None, ...]) -> str:
    return f"({', '.join('null' if arg is None else arg.name for arg in args)})"


def _match(row: Row, args: tuple[JavaClass | None, ...]) -> Match | None:
    fixed = len(row.params) - 1
    if not row.varargs or len(args) < fixed:
        return _match_all(row.params, args) if len(args) == len(row.params) and not row.varargs else None
    leading = _match_all(row.params[:fixed], args[:fixed])
    if leading is None:
        return None
    rest = args[fixed:]
    if len(rest) == 1 and rest[0] is not None and rest[0].name == row.params[-1]:
        return leading
    trailing = _match_all((row.params[-1].removesuffix("[]"),) * len(rest), rest)
    return None if trailing is None else max(leading, trailing)


def _match_all(params: Sequence[str], args: Sequence[JavaClass | None]) -> Match | None:
    worst = Match.EXACT
    for param, arg in zip(params, args, strict=True):
        match = _match_one(param, arg)
        if match is None:
            return None
        worst = max(worst, match)
    return worst


def _match_one(param: str, arg: JavaClass | None) -> Match | None:
    if arg is None:
        return None if param in WRAPPERS else Match.EXACT
    if arg.name == param:
        return Match.EXACT
    if is_assignable(arg, param):
        return Match.CLOSE
    return Match.CONVERSION if can_convert(arg, param) else None


def _distance(row: Row, args: tuple[JavaClass | None, ...]) -> int:
    """How far the parameters are above the arguments' classes: 2 for each class between, 1 for an interface."""
    total = 0
    for param, arg in zip(row.params, args, strict=False):
        if arg is None:
            continue
        target = "Object" if param in WRAPPERS else param
        total += 2 * sum(1 for one in _superclasses(arg) if target in one.supers)
        total += 1 if target in CLASSES and "Object" not in CLASSES[target].supers else 0
    return total


def _superclasses(owner: JavaClass) -> list[JavaClass]:
    return [CLASSES[name] for name in owner.supers[1:] if name in CLASSES and "Object" in CLASSES[name].supers]


def call(row: Row, receiver: object, args: Sequence[object], now: object = None) -> object:
    """Convert the arguments and run the row."""
    made = _converted(row, args)
    if row.reads_now:
        made.append(now)
    return row.run(*made) if row.static else row.run(receiver, *made)


def _converted(row: Row, args: Sequence[object]) -> list[object]:
    fixed = len(row.params) - row.varargs
    made = [_argument(row, arg, param) for arg, param in zip(args[:fixed], row.params, strict=False)]
    return [*made, _variable(args[fixed:], row.params[-1])] if row.varargs else made


def _argument(row: Row, arg: object, param: str) -> object:
    made = convert(arg, param)
    if made is None and param != "Object" and not row.takes_null:
        raise EvalError(f"`{row.owner}.{row.name}` does not take null")
    return made


def _variable(rest: Sequence[object], param: str) -> Array:
    """The arguments beyond the fixed ones: a single list or array stands for all of them."""
    component = param.removesuffix("[]")
    if len(rest) == 1 and isinstance(rest[0], list | tuple | Array):
        made = convert(rest[0], param)
        assert isinstance(made, Array)
        return made
    return Array(tuple(convert(arg, component) for arg in rest), component)


def classes_of(args: Sequence[object]) -> tuple[JavaClass | None, ...]:
    """The classes of arguments, None for null."""
    return tuple(None if arg is None else class_of(arg) for arg in args)


def receiver_class(receiver: object) -> tuple[JavaClass, bool]:
    """Where to look for a method: the class of an object, or the class a reference names (and that it is one)."""
    if isinstance(receiver, ClassRef):
        return referred_class(receiver) or CLASSES["Class"], True
    return class_of(receiver), False
