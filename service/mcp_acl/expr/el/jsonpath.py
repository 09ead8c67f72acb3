"""`#jsonPath`: paths as Jayway reads them with Gravitee's options, compiled once and run on plain values.

A path is *definite* if it can name one place only: then its value is that place's, a missing last property is null and
a missing parent an error. Any other path gives the list of what it finds. The libraries at hand follow RFC 9535, which
differs in all of this, so the compiler is our own. It refuses what Jayway does by accident (`..` before anything
but a property or a wildcard, functions with arguments) and bounds what a path may visit.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NoReturn

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.el.arithmetic import INT_MAX, INT_MIN, as_float, as_number
from mcp_acl.expr.el.values import Attributes, Group, Int32, JsonArray, JsonText, RawMap, shown
from mcp_acl.expr.meter import SLOW, Budget, Meter
from mcp_acl.problems import EvalError

MAX_PATH: Final = 1_000
MAX_STEPS: Final = 100
MAX_VISITS: Final = 100_000
"""How many values one path may visit in a document."""

_VISIT: Final = 4
"""What a visit costs in a loop."""

_EXACT: Final = 2**53 - 1


class InvalidPath(EvalError):  # noqa: N818 - named for what it says of a path
    """The path cannot be applied there; a filter that meets it matches nothing."""


class NoPath(InvalidPath):
    """The document has no such place; in a comparison of a filter that is a value equal to nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path; `definite` if it names at most one place."""

    kind: str
    definite: bool
    names: tuple[str, ...] = ()
    indexes: tuple[int, ...] = ()
    bounds: tuple[int | None, int | None] = (None, None)
    accepts: "Callable[[object, object, Visits], bool] | None" = None


class Visits(Budget):
    """What is left of the number of values a path may visit; in a loop a meter pays for them too."""

    __slots__ = ("_meter",)

    def __init__(self, meter: Meter | None = None) -> None:
        super().__init__(MAX_VISITS)
        self._meter = meter

    def spend(self, units: int = 1) -> None:
        """Count visited values; an error beyond the limit."""
        self.left -= units
        if self.left < 0:
            raise EvalError("the path visits too many values")
        if self._meter is not None:
            self._meter.spend(units * _VISIT)


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path, from the document's root (`$`) or in a filter from the element (`@`)."""

    steps: tuple[Step, ...]
    rooted: bool = True

    @property
    def definite(self) -> bool:
        """Whether the path can name one place only."""
        return all(step.definite for step in self.steps)

    def read(self, item: object, root: object, visits: Visits, *, required: bool = False) -> object:
        """The value, or the list of values. `required`: a missing last property is no place either (a filter's `[?(@.x)]`).

        Raises `NoPath` and other `EvalError`s.
        """
        run = _Run(self.steps, root, visits, required)
        run.visit(0, root if self.rooted else item, upstream=True)
        if not self.definite:
            return JsonArray(run.found)
        if not run.found:
            raise NoPath("the path leads nowhere in the document")
        return run.found[-1]


@dataclass(slots=True)
class _Run:
    steps: tuple[Step, ...]
    root: object
    visits: Visits
    required: bool
    found: list[object] = field(default_factory=list)

    def visit(self, place: int, model: object, *, upstream: bool) -> None:
        """Apply the steps from `place` on; `upstream` says whether all before are definite."""
        self.visits.spend()
        if place == len(self.steps):
            self.found.append(model)
        else:
            _VISITORS[self.steps[place].kind](self, place, model, upstream)

    def next(self, place: int, model: object, upstream: bool) -> None:
        self.visit(place + 1, model, upstream=upstream and self.steps[place].definite)

    def property(self, place: int, model: object, upstream: bool) -> None:
        step = self.steps[place]
        self.visits.spend(len(step.names) - 1)
        if isinstance(model, Attributes):
            raise EvalError("`#jsonPath` does not look into all attributes: name one")
        if not isinstance(model, Mapping):
            if upstream:
                raise NoPath("the path asks a value that is no object for a property")
            return
        if len(step.names) > 1 and place == len(self.steps) - 1:
            self.found.append({name: model.get(name) for name in step.names})
            return
        for name in step.names:
            self.one_property(place, model, name, upstream)

    def one_property(self, place: int, model: Mapping[str, object], name: str, upstream: bool) -> None:
        if name in model:
            self.next(place, model[name], upstream)
        elif place == len(self.steps) - 1 and not self.required:
            self.found.append(None)
        elif self.required or (upstream and self.steps[place].definite):
            raise NoPath(f"the document has no property `{shown(name)}` on the way of the path")

    def items(self, model: object, upstream: bool) -> Sequence[object] | None:
        if isinstance(model, list | tuple):
            return model
        if upstream:
            raise NoPath("the path asks a value that is no array for an element")
        return None

    def index(self, place: int, model: object, upstream: bool) -> None:
        items = self.items(model, upstream)
        for index in self.steps[place].indexes if items is not None else ():
            self.element(place, items or (), index, upstream)

    def element(self, place: int, items: Sequence[object], index: int, upstream: bool) -> None:
        at = index + len(items) if index < 0 else index
        if 0 <= at < len(items):
            self.next(place, items[at], upstream)

    def slice(self, place: int, model: object, upstream: bool) -> None:
        items = self.items(model, upstream)
        if items is None:
            return
        low, high = self.steps[place].bounds
        if high is None:
            low = max(0, low + len(items) if low is not None and low < 0 else low or 0)
        end = len(items) if high is None else min(len(items), high + len(items) if low is None and high < 0 else high)
        for index in range(low or 0, end):
            self.element(place, items, index, upstream)

    def wildcard(self, place: int, model: object, upstream: bool) -> None:
        if isinstance(model, Mapping):
            for value in model.values():
                self.next(place, value, upstream)
        elif isinstance(model, list | tuple):
            for value in model:
                self.next(place, value, upstream)

    def filter(self, place: int, model: object, upstream: bool) -> None:
        accepts = self.steps[place].accepts
        assert accepts is not None
        if isinstance(model, list | tuple):
            for value in model:
                if accepts(value, self.root, self.visits):
                    self.next(place, value, upstream)
        elif isinstance(model, Mapping):
            if accepts(model, self.root, self.visits):
                self.next(place, model, upstream)
        elif upstream:
            raise InvalidPath("a filter stands where the document has neither array nor object")

    def scan(self, place: int, model: object, upstream: bool) -> None:
        """`..` before a property or a wildcard: at every object and array, from the top down."""
        del upstream
        pending: list[object] = [model]
        while pending:
            current = pending.pop()
            self.visits.spend()
            if not isinstance(current, Mapping | list | tuple):
                continue
            self.scanned(place + 1, current)
            below = list(current.values()) if isinstance(current, Mapping) else list(current)
            pending.extend(reversed(below))

    def scanned(self, place: int, model: object) -> None:
        step = self.steps[place]
        if step.kind == "property":
            leaf = place == len(self.steps) - 1
            anything = leaf and not self.required
            if isinstance(model, Mapping) and (anything or all(name in model for name in step.names)):
                self.property(place, model, upstream=False)
        else:
            self.wildcard(place, model, upstream=False)

    def function(self, place: int, model: object, upstream: bool) -> None:
        del upstream
        self.visits.spend(len(model) if isinstance(model, Mapping | list | tuple) else 0)
        self.found.append(_FUNCTIONS[self.steps[place].names[0]](model))


_VISITORS: Final[Mapping[str, Callable[[_Run, int, object, bool], None]]] = {
    "property": _Run.property,
    "index": _Run.index,
    "slice": _Run.slice,
    "wildcard": _Run.wildcard,
    "filter": _Run.filter,
    "scan": _Run.scan,
    "function": _Run.function,
}


# ---- functions at the end of a path ------------------------------------------------------------------------------------


def _length(model: object) -> object:
    return Int32(len(model)) if isinstance(model, Mapping | list | tuple) else None


def _aggregate(combine: Callable[[list[float]], float]) -> Callable[[object], object]:
    def run(model: object) -> object:
        items = model if isinstance(model, list | tuple) else ()
        numbers = [as_float(number) for number in map(as_number, items) if number is not None]
        for item in items:
            if isinstance(item, InexactNumber):
                bool(item)
        if not numbers:
            raise EvalError("the path's function has no numbers to work on")
        return combine(numbers)

    return run


def _end(index: int, least: int) -> Callable[[object], object]:
    def run(model: object) -> object:
        if not isinstance(model, list | tuple) or len(model) < least:
            raise EvalError("the path's function has no element to take")
        return model[index]

    return run


_FUNCTIONS: Final[Mapping[str, Callable[[object], object]]] = {
    "length": _length,
    "size": _length,
    "keys": lambda model: Group(tuple(model)) if isinstance(model, Mapping) else None,
    "sum": _aggregate(math.fsum),
    "avg": _aggregate(lambda numbers: math.fsum(numbers) / len(numbers)),
    "min": _aggregate(min),
    "max": _aggregate(lambda numbers: max([5e-324, *numbers])),
    "first": _end(0, 1),
    "last": _end(-1, 2),
}
"""The functions a path may end with. `last` of a single element and `max` of negative numbers are as odd as in Jayway."""

FUNCTION_NAMES: Final = frozenset(_FUNCTIONS)


# ---- documents ---------------------------------------------------------------------------------------------------------


def json_content(value: object) -> object:
    """A JSON value as Jackson reads it: whole numbers that fit are Integer."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if kind is int:
        return Int32(value) if INT_MIN <= value <= INT_MAX else value  # type: ignore[operator, call-overload]
    match value:
        case dict() | Mapping():
            return {key: json_content(one) for key, one in value.items()}
        case list() | tuple():
            return JsonArray(map(json_content, value))
    return value


_AS_IT_IS: Final = frozenset((str, bool, float, type(None)))
"""Types whose values Java has as they are."""


def _whole(digits: str) -> object:
    if len(digits) > 20 or abs(int(digits)) > _EXACT:
        return InexactNumber(digits)
    return json_content(int(digits))


def _fraction(digits: str) -> object:
    value = float(digits)
    return value if math.isfinite(value) else InexactNumber(digits)


def _no_constant(_name: str) -> NoReturn:
    raise ValueError


@lru_cache(maxsize=16)
def parse_json(text: str) -> object:
    """The value of a JSON text, whole numbers that fit as Integer. Raises `EvalError`."""
    try:
        return _arrays(json.loads(text, parse_int=_whole, parse_float=_fraction, parse_constant=_no_constant))
    except ValueError:
        raise EvalError("the text is no JSON") from None


def _arrays(value: object) -> object:
    match value:
        case dict():
            return RawMap({key: _arrays(one) for key, one in value.items()})
        case list():
            return JsonArray(map(_arrays, value))
    return value


def read_path(path: Path, document: object, meter: Meter | None = None) -> object:
    """`#jsonPath(document, path)`: the document is JSON text, or a value. In a loop `meter` pays."""
    visits = Visits(meter)
    if document is None:
        raise EvalError("there is no document for the path: it is null")
    if isinstance(document, JsonText):
        document = document.value
    elif isinstance(document, str):
        if meter is not None:
            meter.spend(len(document) // SLOW)
        document = parse_json(document)
    if document is None:
        raise EvalError("there is no document for the path: it is null")
    return path.read(document, document, visits)
