"""Java's classes, as far as expressions can tell them apart: names, ancestors, and which class a value is of.

Knows no methods. A class has a short name, unique here (`String`, `Map.Entry`), and its full Java name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.el.temporal import (
    DateTimePattern,
    Instant,
    JavaDate,
    LocalDate,
    LocalDateTime,
    LocalTime,
    ZonedDateTime,
    ZoneOffset,
)
from mcp_acl.expr.el.values import (
    Array,
    Attributes,
    Bean,
    BigDecimal,
    Char,
    ClassRef,
    Codec,
    Context,
    Entry,
    EnumConstant,
    Group,
    Headers,
    Int8,
    Int16,
    Int32,
    JFloat,
    JsonArray,
    JsonText,
    LinkedList,
    MultiMap,
    Opaque,
    RawMap,
)


@dataclass(frozen=True, slots=True, eq=False)
class JavaClass:
    """A class or interface; there is one object for each. `supers` are itself and its ancestors in order of lookup."""

    name: str
    full_name: str
    supers: tuple[str, ...]
    component: str = ""

    def is_a(self, name: str) -> bool:
        """Whether a value of this class is one of the class with that short name."""
        return name in self.supers


_LANG: Final = "java.lang."
_UTIL: Final = "java.util."
_TIME: Final = "java.time."
_CHRONO: Final = "java.time.chrono."
_TEMPORAL: Final = "java.time.temporal."

_ROWS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    (_LANG, "Object", ()),
    (_LANG, "Comparable", ()),
    (_LANG, "CharSequence", ()),
    (_LANG, "Iterable", ()),
    ("java.io.", "Serializable", ()),
    (_LANG, "Number", ("Object", "Serializable")),
    (_LANG, "Enum", ("Object", "Comparable", "Serializable")),
    (_LANG, "String", ("Object", "Serializable", "Comparable", "CharSequence")),
    (_LANG, "Boolean", ("Object", "Serializable", "Comparable")),
    (_LANG, "Character", ("Object", "Serializable", "Comparable")),
    (_LANG, "Integer", ("Number", "Comparable")),
    (_LANG, "Long", ("Number", "Comparable")),
    (_LANG, "Short", ("Number", "Comparable")),
    (_LANG, "Byte", ("Number", "Comparable")),
    (_LANG, "Double", ("Number", "Comparable")),
    (_LANG, "Float", ("Number", "Comparable")),
    ("java.math.", "BigDecimal", ("Number", "Comparable")),
    ("java.math.", "BigInteger", ("Number", "Comparable")),
    (_LANG, "Class", ("Object", "Serializable")),
    (_LANG, "Math", ("Object",)),
    (_LANG, "System", ("Object",)),
    (_UTIL, "Collection", ("Iterable",)),
    (_UTIL, "List", ("Collection",)),
    (_UTIL, "Set", ("Collection",)),
    (_UTIL, "Queue", ("Collection",)),
    (_UTIL, "Deque", ("Queue",)),
    (_UTIL, "Map", ()),
    (_UTIL, "AbstractCollection", ("Object", "Collection")),
    (_UTIL, "AbstractList", ("AbstractCollection", "List")),
    (_UTIL, "ArrayList", ("AbstractList", "List", "Serializable")),
    (_UTIL, "LinkedList", ("AbstractList", "List", "Deque", "Serializable")),
    ("net.minidev.json.", "JSONArray", ("ArrayList", "List", "Serializable")),
    (_UTIL, "AbstractMap", ("Object", "Map")),
    (_UTIL, "HashMap", ("AbstractMap", "Map", "Serializable")),
    (_UTIL, "LinkedHashMap", ("HashMap", "Map")),
    ("io.gravitee.common.util.", "MultiValueMap", ("Map",)),
    ("io.gravitee.common.util.", "LinkedMultiValueMap", ("Object", "MultiValueMap", "Serializable")),
    ("io.gravitee.gateway.api.http.", "HttpHeaders", ("Iterable",)),
    ("io.gravitee.gateway.api.http.", "DefaultHttpHeaders", ("Object", "HttpHeaders", "MultiValueMap")),
    (_UTIL, "Map.Entry", ()),
    (_UTIL, "AbstractMap.Node", ("Object", "Map.Entry")),
    (_UTIL, "Date", ("Object", "Serializable", "Comparable")),
    (_UTIL, "Collections", ("Object",)),
    (_UTIL, "Base64", ("Object",)),
    (_UTIL, "Base64.Decoder", ("Object",)),
    (_UTIL, "Base64.Encoder", ("Object",)),
    (_UTIL, "Random", ("Object", "Serializable")),
    (_UTIL, "UUID", ("Object", "Serializable", "Comparable")),
    ("java.util.stream.", "IntStream", ("Object",)),
    ("java.util.stream.", "Stream", ("Object",)),
    ("java.net.", "URLDecoder", ("Object",)),
    ("java.net.", "URLEncoder", ("Object",)),
    (_TEMPORAL, "TemporalAccessor", ()),
    (_TEMPORAL, "Temporal", ("TemporalAccessor",)),
    (_TEMPORAL, "TemporalAdjuster", ()),
    (_TEMPORAL, "TemporalUnit", ()),
    (_TEMPORAL, "ChronoUnit", ("Enum", "TemporalUnit")),
    (_CHRONO, "ChronoLocalDate", ("Temporal", "TemporalAdjuster", "Comparable")),
    (_CHRONO, "ChronoLocalDateTime", ("Temporal", "TemporalAdjuster", "Comparable")),
    (_CHRONO, "ChronoZonedDateTime", ("Temporal", "Comparable")),
    (_TIME, "LocalDate", ("Object", "ChronoLocalDate", "Serializable")),
    (_TIME, "LocalTime", ("Object", "Temporal", "TemporalAdjuster", "Comparable", "Serializable")),
    (_TIME, "LocalDateTime", ("Object", "ChronoLocalDateTime", "Serializable")),
    (_TIME, "ZonedDateTime", ("Object", "ChronoZonedDateTime", "Serializable")),
    (_TIME, "Instant", ("Object", "Temporal", "TemporalAdjuster", "Comparable", "Serializable")),
    (_TIME, "ZoneId", ("Object", "Serializable")),
    (_TIME, "ZoneOffset", ("ZoneId", "TemporalAccessor", "TemporalAdjuster", "Comparable")),
    (_TIME, "DayOfWeek", ("Enum", "TemporalAccessor", "TemporalAdjuster")),
    (_TIME, "Month", ("Enum", "TemporalAccessor", "TemporalAdjuster")),
    ("java.time.format.", "DateTimeFormatter", ("Object",)),
    ("io.gravitee.gateway.api.el.", "Bean", ("Object",)),
)


def _linked(rows: Sequence[tuple[str, str, tuple[str, ...]]]) -> dict[str, JavaClass]:
    made: dict[str, JavaClass] = {}
    for package, name, parents in rows:
        supers = [name, *(one for parent in parents for one in made[parent].supers)]
        made[name] = JavaClass(name, package + name.replace(".", "$"), tuple(dict.fromkeys(supers)))
    return made


CLASSES: Final[Mapping[str, JavaClass]] = _linked(_ROWS)
"""Every modelled class by its short name."""

OBJECT: Final = CLASSES["Object"]

BY_FULL_NAME: Final[Mapping[str, JavaClass]] = {one.full_name: one for one in CLASSES.values()}

NAMED_ONLY: Final = frozenset(
    [_LANG + name for name in ("Byte", "Character", "Exception", "Package", "Process", "ProcessBuilder", "Record")]
    + [_LANG + name for name in ("Runtime", "Runnable", "StrictMath", "String", "StringBuffer", "StringBuilder")]
    + [_LANG + name for name in ("Thread", "ThreadLocal", "Throwable", "Void", "ClassLoader", "AutoCloseable")]
    + [_UTIL + name for name in ("Arrays", "Calendar", "Comparator", "Currency", "EnumSet", "HashSet", "Iterator")]
    + [_UTIL + name for name in ("LinkedHashSet", "Locale", "Objects", "Optional", "Properties", "Scanner")]
    + [_UTIL + name for name in ("SimpleTimeZone", "StringJoiner", "TimeZone", "TreeMap", "TreeSet", "Vector")]
    + ["java.util.regex.Pattern", "java.util.regex.Matcher", "java.util.stream.Collectors", "java.io.File"]
    + ["java.net.URI", "java.net.URL", "java.nio.file.Files", "java.nio.file.Paths", "java.math.RoundingMode"]
    + ["java.text.DateFormat", "java.text.DecimalFormat", "java.text.Format", "java.text.MessageFormat"]
    + ["java.text.NumberFormat", "java.text.SimpleDateFormat", "java.text.ChoiceFormat"]
    + [_TIME + name for name in ("Clock", "Duration", "OffsetDateTime", "OffsetTime", "Period", "Year", "YearMonth")]
    + [_TEMPORAL + name for name in ("ChronoField", "TemporalAdjusters", "TemporalAmount", "WeekFields")]
)
"""Classes that may be named with `T(…)` but have nothing to call here."""

PRIMITIVES: Final = frozenset(("boolean", "byte", "char", "double", "float", "int", "long", "short", "void"))
"""The names `T(…)` knows without a package that are no classes."""

_ARRAYS: Final[dict[str, JavaClass]] = {}


def array_of(component: str) -> JavaClass:
    """The class of arrays of a class (short name) or primitive."""
    known = _ARRAYS.get(component)
    if known is None:
        name = f"{component}[]"
        known = _ARRAYS[component] = JavaClass(name, name, (name, "Object", "Serializable"), component)
    return known


_BY_TYPE: Final[Mapping[type, JavaClass]] = {
    python: CLASSES[name]
    for python, name in (
        (bool, "Boolean"),
        (int, "Long"),
        (Int32, "Integer"),
        (Int16, "Short"),
        (Int8, "Byte"),
        (float, "Double"),
        (JFloat, "Float"),
        (BigDecimal, "BigDecimal"),
        (str, "String"),
        (JsonText, "String"),
        (Char, "Character"),
        (list, "ArrayList"),
        (tuple, "ArrayList"),
        (LinkedList, "LinkedList"),
        (JsonArray, "JSONArray"),
        (dict, "LinkedHashMap"),
        (RawMap, "LinkedHashMap"),
        (Attributes, "HashMap"),
        (MultiMap, "LinkedMultiValueMap"),
        (Headers, "DefaultHttpHeaders"),
        (Entry, "AbstractMap.Node"),
        (ClassRef, "Class"),
        (Bean, "Bean"),
        (Context, "Bean"),
        (JavaDate, "Date"),
        (LocalDate, "LocalDate"),
        (LocalTime, "LocalTime"),
        (LocalDateTime, "LocalDateTime"),
        (ZonedDateTime, "ZonedDateTime"),
        (Instant, "Instant"),
        (DateTimePattern, "DateTimeFormatter"),
    )
}
_GROUP: Final = JavaClass("Group", "java.util.HashMap$Values", ("Group", *CLASSES["AbstractCollection"].supers))
ENTRY_SET: Final = JavaClass(
    "EntrySet", "java.util.HashMap$EntrySet", ("EntrySet", *CLASSES["AbstractCollection"].supers, "Set")
)
"""What `entrySet()` gives: Spring knows that it holds entries, empty or not, and converts it to no text and no boolean."""

_SET: Final = JavaClass("KeySet", "java.util.HashMap$KeySet", ("KeySet", *CLASSES["AbstractCollection"].supers, "Set"))


def class_of(value: object) -> JavaClass:
    """The class of a value that is not null. An inexact number is of none: an error."""
    return _BY_TYPE.get(type(value)) or _other_class_of(value)


def _other_class_of(value: object) -> JavaClass:
    match value:
        case Array():
            return array_of(value.component)
        case EnumConstant() | Opaque() | Codec():
            return CLASSES[value.owner]
        case ZoneOffset():
            return CLASSES["ZoneOffset" if value.name == value.offset_name else "ZoneId"]
        case Group():
            return ENTRY_SET if value.is_entries else _SET if value.is_set else _GROUP
        case InexactNumber():
            bool(value)
    return _foreign_class_of(value)


def _foreign_class_of(value: object) -> JavaClass:
    """The class of a value that is none of ours: a read-only map, say."""
    for kind, name in ((Mapping, "LinkedHashMap"), (str, "String"), (Sequence, "ArrayList")):
        if isinstance(value, kind):
            return CLASSES[name]
    return OBJECT


def referred_class(reference: ClassRef) -> JavaClass | None:
    """The modelled class a reference names, if it is one."""
    if reference.name.endswith("[]"):
        component = reference.name.removesuffix("[]")
        named = BY_FULL_NAME.get(component)
        return array_of(named.name if named is not None else component)
    return BY_FULL_NAME.get(reference.name)


def find_class(name: str) -> ClassRef | None:
    """What `T(name)` names: `java.lang` is implied, nested classes may be written with a dot or a dollar."""
    if name in PRIMITIVES:
        return ClassRef(name)
    for full_name in (name, _LANG + name, _nested(name)):
        if full_name in BY_FULL_NAME or full_name in NAMED_ONLY:
            return ClassRef(full_name)
    return None


def _nested(name: str) -> str:
    outer, _, inner = name.rpartition(".")
    return f"{outer}${inner}"
