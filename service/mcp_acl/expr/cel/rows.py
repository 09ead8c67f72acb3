"""Rows of the function table: how a function is written, which types it takes, what it does.

Knows no particular function. A function is a table of overloads, keyed by the types of its arguments as `values.FAMILY`
groups them; what is not in the table is refused, so nothing relies on what Python would accept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Flag, auto
from functools import partial
from typing import Final, TypeAlias

from mcp_acl.expr.cel.values import FAMILY, no_overload
from mcp_acl.expr.meter import FLAT, SLOW, Meter
from mcp_acl.expr.nodes import Function, Inline, Type, Value
from mcp_acl.problems import EvalError

MAX_SIZE: Final = 100_000
"""The longest string, bytes or list one call may make."""

Overloads: TypeAlias = "Mapping[tuple[type, ...], Callable[..., Value]]"

_SIZED: Final = frozenset({Type.STRING, Type.BYTES, Type.LIST, Type.DYN})


class Style(Flag):
    """Whether a function is written `name(x)`, `x.name()`, or either."""

    GLOBAL = auto()
    METHOD = auto()
    EITHER = GLOBAL | METHOD


@dataclass(frozen=True, slots=True)
class Row:
    """A function as it may be written, with how many arguments it takes; a receiver is the first of them."""

    function: Function
    style: Style
    least: int
    most: int
    types: frozenset[tuple[type, ...]] = frozenset()
    """The types it takes; empty for any."""

    @property
    def name(self) -> str:
        """The name as it is written, with dots if it has any."""
        return self.function.name


def dispatch(name: str, overloads: Overloads) -> Callable[..., Value]:
    """A `run` that picks the overload by the types of its arguments, or raises `EvalError`."""

    def run(*args: Value) -> Value:
        found = overloads.get(tuple([FAMILY.get(type(arg), type(arg)) for arg in args]))
        if found is None:
            raise no_overload(name, *args)
        return found(*args)

    return run


def _dispatch_metered(name: str, overloads: Overloads) -> Callable[..., Value]:
    def run(meter: Meter, *args: Value) -> Value:
        return check_size(dispatch(name, {types: partial(one, meter) for types, one in overloads.items()})(*args))

    return run


def bounded(run: Callable[..., Value]) -> Callable[..., Value]:
    """The same, refusing a result longer than `MAX_SIZE`."""

    def limited(*args: Value) -> Value:
        return check_size(run(*args))

    return limited


def check_size(value: Value) -> Value:
    """The value, or `EvalError` if it is a string, bytes or list longer than `MAX_SIZE`."""
    if isinstance(value, str | bytes | list):
        check_length(len(value))
    return value


def check_length(length: int) -> None:
    """Raises `EvalError` if something of this length must not be made."""
    if length > MAX_SIZE:
        raise EvalError(f"a result is longer than {MAX_SIZE:,}")


def overloaded(  # noqa: PLR0913 - a row is written in one call
    name: str,
    style: Style,
    result: Type,
    doc: str,
    overloads: Overloads,
    *,
    pace: int = SLOW,
    metered: "Overloads | None" = None,
) -> Row:
    """A row from a table of overloads. `doc`: signature, meaning, and an example that is true, a line each.

    `metered` are overloads that take a meter before their arguments.
    """
    run = dispatch(name, overloads)
    in_loop = None if metered is None else _dispatch_metered(name, metered)
    function = Function(name, bounded(run) if result in _SIZED else run, result, doc=doc, pace=pace, metered=in_loop)
    arities = [len(types) for types in overloads]
    return Row(function, style, min(arities), max(arities), frozenset(overloads))


def faster(row: Row, inline: Inline, *, flat_beside_constant: bool = False) -> Row:
    """The row with a faster form of its function."""
    function = replace(row.function, inline=inline, flat_beside_constant=flat_beside_constant)
    return replace(row, function=function)


def plain(  # noqa: PLR0913 - so is this
    name: str, style: Style, result: Type, doc: str, run: Callable[..., Value], *arity: int, pace: int = FLAT
) -> Row:
    """A row for a function that takes values of any type; `arity` is one number, or the least and the most."""
    return Row(Function(name, run, result, doc=doc, pace=pace), style, arity[0], arity[-1])
