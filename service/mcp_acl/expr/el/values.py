"""Java's values in Python, as expressions see them.

Knows no operator and no method. Python types stand for Java types as follows, and `type()` decides, so a bool is never a
number and a character never a text:

None null · bool Boolean · int Long · `Int32` Integer · `Int16` Short · `Int8` Byte · float Double · `JFloat` Float ·
`BigDecimal` · str String · `Char` Character · list, tuple List · `Group` Set and other collections · dict Map ·
`Entry` Map.Entry · `Array` · `ClassRef` Class · `EnumConstant` · `Opaque` what can only be compared with null.

What gateways hand over as objects are `Bean` (named properties), `Headers`, `MultiMap` and `Attributes`. Dates are in `dates`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from mcp_acl.expr.walk import UnknownFact
from mcp_acl.problems import EvalError

MAX_TEXT: Final = 100_000
"""How long a text may be that an expression makes, in characters (Spring's limit for concatenation)."""

PREFIX: Final = "gravitee.attribute."
"""What Gravitee puts before the names of its own context attributes."""

_PREFIXED: Final = frozenset(
    (
        "api api-key api.deployed-at api.name apiProduct application clientIdentifier context-path environment "
        "mapped-path organization plan quota.count quota.limit quota.remaining quota.reset.time request.endpoint "
        "request.endpoint.override request.method request.original-url resolved-path sni user user-id user.roles"
    ).split()
)
"""The attributes Gravitee keeps under their prefixed name (its class ContextAttributes)."""


class Int32(int):
    """A Java Integer: literals, lengths, whole numbers of JSON that fit."""

    __slots__ = ()


class Int16(int):
    """A Java Short."""

    __slots__ = ()


class Int8(int):
    """A Java Byte."""

    __slots__ = ()


class JFloat(float):
    """A Java Float; the value is always one a 32-bit float holds."""

    __slots__ = ()


class JsonText(str):
    """A text known to be JSON, with the value it was written from, so that `#jsonPath` need not read it again."""

    __slots__ = ("value",)
    value: object

    def __new__(cls, text: str, value: object) -> Self:
        """A text and the value it says."""
        made = super().__new__(cls, text)
        made.value = value
        return made


class LinkedList(list[object]):
    """A list that is also a queue, as the values of a header are."""

    __slots__ = ()


class JsonArray(list[object]):
    """An array out of JSON text: as a text it is JSON again."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Char:
    """A Java Character: one UTF-16 code unit."""

    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """A Java array; `component` names the class of its elements. Arrays are equal to themselves alone."""

    items: tuple[object, ...]
    component: str


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A collection that is no list: a set of keys or entries, or the values of a map.

    The names of attributes and headers contain more than they list: `names_of` is then where to look. `is_entries` tells what
    `entrySet()` gives, which may be empty.
    """

    items: tuple[object, ...]
    is_set: bool = True
    names_of: "Attributes | Headers | None" = None
    is_entries: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One entry of a map."""

    key: object
    value: object


@dataclass(frozen=True, slots=True)
class EnumConstant:
    """A constant of a Java enum, by its class and name; constants of one enum are ordered."""

    owner: str
    name: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class ClassRef:
    """What `T(…)` names: a class by its full name."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A Java object that expressions can hold but not look into (a stream, say)."""

    owner: str


@dataclass(frozen=True, slots=True)
class Codec:
    """A Base64 encoder or decoder (`owner` says which); `kind` is `basic`, `url` or `mime`."""

    owner: str
    kind: str
    padding: bool = True


@dataclass(frozen=True, slots=True)
class BigDecimal:
    """A decimal number, `unscaled` × 10^−`scale`. Equal means equal in both, as in Java."""

    unscaled: int
    scale: int


@dataclass(frozen=True, slots=True, eq=False)
class Bean:
    """A gateway's object with named properties; any other property is an error."""

    values: Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """The root `#context`."""

    attributes: "Attributes"


class RawMap(dict[object, object]):
    """A map made in an expression: its keys are of any class, and a key is looked up as it is.

    In every other map the keys are texts, and what is looked up becomes one.
    """

    __slots__ = ()


class MultiMap(dict[str, object]):
    """A map from a name to all its values, as request parameters are."""

    __slots__ = ()


def stored_name(name: str) -> str:
    """The name Gravitee keeps an attribute under."""
    return PREFIX + name if name in _PREFIXED else name


class Makers(NamedTuple):
    """What makes attributes of some facts: their `names`, and a row for each by the name Gravitee keeps it under."""

    names: frozenset[str]
    rows: Mapping[str, Callable[[Mapping[str, object]], object]]
    facts: Mapping[str, object]


NO_MAKERS: Final = Makers(frozenset(), {}, {})


class Attributes(dict[str, object]):
    """Context attributes by the names Gravitee keeps them under; a name is looked up as it is, then after the prefix.

    `makers` hold those that are made when first asked for (null counts as missing); nothing else gives an attribute they name.
    """

    __slots__ = ("makers",)

    def __init__(self, values: Mapping[str, object], makers: Makers) -> None:
        if values:
            given = {name: value for name, value in values.items() if name.removeprefix(PREFIX) not in makers.names}
            super().__init__((stored_name(name), value) for name, value in given.items())
        self.makers = makers

    def __missing__(self, key: str) -> object:
        make = self.makers.rows.get(key)
        made = make(self.makers.facts) if make is not None else None
        if made is not None:
            self[key] = made
        return made if made is not None or key.startswith(PREFIX) else self[PREFIX + key]

    def has(self, key: str) -> bool:
        """Whether the attribute is there, under either form of its name."""
        return key in self or PREFIX + key in self or self[key] is not None

    def stored(self) -> dict[str, object]:
        """Every attribute: what operations on the whole map see."""
        for name in self.makers.rows:
            self[name]
        return dict(self)


class Headers:
    """HTTP headers: names in any case, each with all its values.

    While a list is shown, headers whose names start with `unknown_prefix` are not known yet: asking for one, or
    for all headers at once, raises `UnknownFact`.
    """

    __slots__ = ("_headers", "_unknown_prefix")

    def __init__(self, headers: Mapping[str, Sequence[str]], unknown_prefix: str = "") -> None:
        self._headers = {name.lower(): (name, LinkedList(values)) for name, values in headers.items() if values}
        self._unknown_prefix = unknown_prefix.lower()

    def get_all(self, name: str) -> LinkedList | None:
        """All values of a header, or None."""
        key = name.lower()
        if self._unknown_prefix and key.startswith(self._unknown_prefix):
            raise UnknownFact(name)
        found = self._headers.get(key)
        return found[1] if found is not None else None

    def first(self, name: str) -> object:
        """The first value of a header, or None."""
        values = self.get_all(name)
        return values[0] if values is not None else None

    def as_map(self) -> dict[str, object]:
        """Every header by the name it was sent with."""
        if self._unknown_prefix:
            raise UnknownFact(self._unknown_prefix)
        return dict(self._headers.values())


def shown(text: str) -> str:
    """The beginning of a text as an error shows it: one line, printable."""
    return "".join(char if char.isprintable() else " " for char in text[:60])


def check_length(size: int) -> None:
    """Refuse to make a text of so many characters."""
    if size > MAX_TEXT:
        raise EvalError(f"a text may have {MAX_TEXT:,} characters at most")


def made_text(text: str) -> str:
    """A text an expression made, if it is not too long."""
    check_length(len(text))
    return joined(text)


def units(text: str) -> str:
    """The text with a character per UTF-16 code unit, as Java counts."""
    if text.isascii() or max(text) < "\U00010000":
        return text
    return "".join(_surrogates(char) if char > "\uffff" else char for char in text)


def _surrogates(char: str) -> str:
    offset = ord(char) - 0x10000
    return chr(0xD800 + (offset >> 10)) + chr(0xDC00 + (offset & 0x3FF))


def joined(text: str) -> str:
    """The text with surrogate pairs joined again; lone surrogates stay."""
    if text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def is_list(value: object) -> bool:
    """Whether the value is a Java List."""
    return isinstance(value, list | tuple)


def elements(value: object) -> Sequence[object] | None:
    """The elements of a list, another collection or an array; None for anything else."""
    if isinstance(value, list | tuple):
        return value
    return value.items if isinstance(value, Group | Array) else None


def entries(values: Mapping[str, object]) -> Group:
    """The entries of a map as a set."""
    return Group(tuple(Entry(key, value) for key, value in values.items()), is_entries=True)
