"""The values of CEL that Python has no type for, and what the type of any value is called.

Knows no operator, no function and no syntax. The other values are Python's own: None, bool, int (64 bits), float, str,
bytes, list or tuple, and dict with string keys.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Final, NoReturn, TypeAlias

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.nodes import Value
from mcp_acl.expr.walk import UnknownFact
from mcp_acl.problems import EvalError

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1
NANOS: Final = 10**9
"""Nanoseconds in a second."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIMESTAMP_MIN: Final = -62_135_596_800 * NANOS
_TIMESTAMP_MAX: Final = 253_402_300_800 * NANOS - 1


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What `find` gives for a key that is not there."""


@dataclass(frozen=True, slots=True)
class UInt:
    """An unsigned 64-bit integer. Never equal to a Python int by `==`; see `equality.equal`."""

    cel_type: ClassVar[str] = "uint"
    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value <= UINT_MAX:
            raise EvalError("unsigned integer overflow")


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment in nanoseconds since 1970-01-01T00:00:00Z, in the years 1 to 9999."""

    cel_type: ClassVar[str] = "google.protobuf.Timestamp"
    nanos: int

    def __post_init__(self) -> None:
        if not _TIMESTAMP_MIN <= self.nanos <= _TIMESTAMP_MAX:
            raise EvalError("timestamp out of range: years 1 to 9999")

    @classmethod
    def of(cls, moment: datetime) -> "Timestamp":
        """The moment of an aware datetime."""
        return cls((moment - _EPOCH) // _MICROSECOND * 1000)

    def as_datetime(self) -> datetime:
        """The moment in UTC, without what is smaller than a microsecond."""
        return _EPOCH + timedelta(seconds=self.nanos // NANOS, microseconds=self.nanos % NANOS // 1000)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time in nanoseconds, in the range of a 64-bit integer (CEL: about 290 years either way)."""

    cel_type: ClassVar[str] = "google.protobuf.Duration"
    nanos: int

    def __post_init__(self) -> None:
        if not INT_MIN <= self.nanos <= INT_MAX:
            raise EvalError("duration out of range")


@dataclass(frozen=True, slots=True, eq=False)
class Optional:
    """A value that may be absent."""

    cel_type: ClassVar[str] = "optional_type"
    value: Value = MISSING

    @property
    def has_value(self) -> bool:
        """Whether the value is there."""
        return self.value is not MISSING


NONE: Final = Optional()


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: what `type(x)` gives and what names such as `int` stand for."""

    cel_type: ClassVar[str] = "type"
    name: str


@dataclass(frozen=True, slots=True)
class Cidr:
    """A network: an address and how many of its leading bits count. Host bits are kept."""

    cel_type: ClassVar[str] = "net.CIDR"
    address: IPv4Address | IPv6Address
    prefix: int


# ---- maps ----------------------------------------------------------------------------------------------------------

_Normal: TypeAlias = str | int | tuple[bool]


class Map:
    """A map with keys other than strings. Equal numbers are one key, whatever their type; a bool is no number."""

    __slots__ = ("by_key", "keys")
    cel_type: ClassVar[str] = "map"

    def __init__(self, entries: Iterable[tuple[Value, Value]]) -> None:
        """Raises `EvalError` on a value that cannot be a key, and on a key given twice."""
        self.keys: list[Value] = []
        self.by_key: dict[_Normal, Value] = {}
        for key, value in entries:
            normal = None if isinstance(key, float) else _normal(key)
            if normal is None:
                raise EvalError("a map key is an int, uint, bool or string")
            if normal in self.by_key:
                raise EvalError("a map key is given twice")
            self.keys.append(key)
            self.by_key[normal] = value


AnyMap: TypeAlias = dict[str, Value] | Map


class PartialMap(dict[str, Value]):
    """A map whose keys with a certain prefix are not known yet, so neither is the map as a whole."""

    __slots__ = ("prefix",)

    def __init__(self, known: Mapping[str, Value], prefix: str) -> None:
        super().__init__(known)
        self.prefix = prefix

    def _known(self, key: object) -> None:
        if isinstance(key, str) and key.startswith(self.prefix):
            raise UnknownFact

    def __getitem__(self, key: str) -> Value:
        self._known(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Value = None) -> Value:
        """As of any dict, but for keys not known."""
        self._known(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self._known(key)
        return super().__contains__(key)

    def _refuse(self, *_: object) -> NoReturn:
        raise UnknownFact

    __eq__ = __ne__ = __len__ = __iter__ = __reversed__ = keys = values = items = _refuse


def new_map(entries: Iterable[tuple[Value, Value]]) -> AnyMap:
    """A map of the entries: a dict if every key is a string. Raises `EvalError` as `Map` does."""
    made = Map(entries)
    if all(isinstance(key, str) for key in made.keys):
        return {key: value for key, value in made.by_key.items() if isinstance(key, str)}
    return made


def find(values: AnyMap, key: Value) -> Value:
    """The value under a key, or `MISSING`. A double finds the whole number it equals; other values are no keys."""
    normal = _normal(key)
    if isinstance(values, Map):
        return MISSING if normal is None else values.by_key.get(normal, MISSING)
    return values[normal] if isinstance(normal, str) and normal in values else MISSING


def keys_of(values: AnyMap) -> list[Value]:
    """The keys, in the order they were written."""
    return list(values.keys) if isinstance(values, Map) else list(values)


def entries_of(values: AnyMap) -> Iterator[tuple[Value, Value]]:
    """Keys with values, in the order they were written."""
    if isinstance(values, Map):
        return zip(values.keys, values.by_key.values(), strict=True)
    return iter(values.items())


def size_of(values: AnyMap) -> int:
    """How many entries there are."""
    return len(values.keys) if isinstance(values, Map) else len(values)


def _whole(value: float) -> int | None:
    return int(value) if value.is_integer() else None


def _unsigned(value: UInt) -> int:
    return value.value


def _same(value: _Normal) -> _Normal:
    return value


def _truth_key(value: bool) -> tuple[bool]:
    return (value,)


_NORMAL: Final[Mapping[type, Callable[..., _Normal | None]]] = {
    str: _same,
    int: _same,
    bool: _truth_key,
    UInt: _unsigned,
    float: _whole,
}


def _normal(key: Value) -> _Normal | None:
    """What stands for a key in a dict, so that Python's `True == 1 == 1.0` merges nothing; None for what is no key."""
    if type(key) is InexactNumber:
        raise no_overload("key", key)
    normal = _NORMAL.get(type(key))
    return normal(key) if normal is not None else None


# ---- types ---------------------------------------------------------------------------------------------------------

_TYPE_NAMES: Final[Mapping[type, str]] = {
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    tuple: "list",
    dict: "map",
    PartialMap: "map",
    IPv4Address: "net.IP",
    IPv6Address: "net.IP",
}

FAMILY: Final[Mapping[type, type]] = {tuple: list, PartialMap: dict, Map: dict, IPv6Address: IPv4Address}
"""The Python types that are one type of CEL: what overload tables name instead of the first."""

TYPES: Final[Mapping[str, TypeValue]] = {
    name: TypeValue(name)
    for name in (
        *_TYPE_NAMES.values(),
        *(one.cel_type for one in (UInt, Timestamp, Duration, Optional, TypeValue, Cidr)),
    )
}
"""The names that stand for a type."""


def type_of(value: Value) -> TypeValue:
    """The type of a value. Raises `EvalError` for a number that is not known exactly, and for what is no CEL value."""
    name = _type_name(value)
    if name is None:
        raise no_overload("type", value)
    return TYPES[name]


def _type_name(value: Value) -> str | None:
    name = getattr(type(value), "cel_type", None)
    return name if isinstance(name, str) else _TYPE_NAMES.get(type(value))


def no_overload(name: str, *args: Value) -> EvalError:
    """The error of an operator or function that does not take values of these types. It never shows a value.

    Raises `EvalError` if one of them is a number that is not known exactly: that is the better reason.
    """
    for arg in args:
        if type(arg) is InexactNumber:
            bool(arg)
    names = [_type_name(arg) or "unknown" for arg in args]
    return EvalError(f"no such overload: `{name}` on {', '.join(names)}")
