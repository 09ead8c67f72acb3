"""What is certain about an expression before any request: names that are forbidden, not supported or not deterministic.

A finding of severity problem refuses a policy set; the tree stays usable, and the step in question fails when it runs.
"""

from collections.abc import Mapping
from typing import Final

from mcp_acl.expr.el.access import WHITELIST
from mcp_acl.expr.el.classes import CLASSES, JavaClass, class_of, referred_class
from mcp_acl.expr.el.fields import STATIC_FIELDS
from mcp_acl.expr.el.syntax import SyntaxProblem
from mcp_acl.expr.el.values import ClassRef
from mcp_acl.expr.nodes import Const, Node
from mcp_acl.problems import Severity, nearest

NONDETERMINISTIC: Final = frozenset(
    "nanoTime nextBoolean nextBytes nextDouble nextFloat nextGaussian nextInt nextLong random randomUUID".split()
)
"""Methods of Gravitee's whitelist whose answer is not a fact of the request."""

_RANDOM_CLASSES: Final = frozenset(("java.util.Random", "java.util.UUID"))

_UNSUPPORTED_CLASSES: Final = frozenset(
    ["java.util.Calendar", "java.util.TimeZone"]
    + [f"java.text.{name}" for name in ("ChoiceFormat", "DateFormat", "DecimalFormat", "Format", "MessageFormat")]
    + ["java.text.NumberFormat", "java.text.SimpleDateFormat"]
)
_UNSUPPORTED_METHODS: Final = frozenset(
    (
        "UTC IEEEremainder absExact acos adjustInto asin atOffset atan atan2 byteValueExact cbrt clone "
        "codePointBefore codePointCount compareUnsigned copySign cos cosh datesUntil decode decrementExact "
        "describeConstable divide divideAndRemainder divideToIntegralValue divideUnsigned doubleToLongBits "
        "doubleToRawLongBits exp expm1 floatToIntBits floatToRawIntBits fma formatTo from fromEL fromGrant "
        "getChars getChronology getDecimalStyle getEra getExponent getInstance getInteger getLocale getLong "
        "getResolverFields getResolverStyle getTimeZone getTimezoneOffset highestOneBit hypot "
        "incrementExact indent intBitsToFloat intValueExact isSupported localizedBy log log10 log1p "
        "longBitsToDouble longValueExact lowestOneBit minus movePointLeft movePointRight multiplyFull "
        "multiplyHigh negateExact nextAfter nextDown nextUp numberOfLeadingZeros numberOfTrailingZeros "
        "ofEpochSecond ofInstant ofLocal ofLocalizedDate ofLocalizedDateTime ofLocalizedTime ofStrict "
        "ofYearDay offsetByCodePoints parseBest parseUnresolved parseUnsignedInt parseUnsignedLong "
        "parsedExcessDays parsedLeapSecond plus query range remainderUnsigned resolveConstantDesc reverse "
        "reverseBytes rotateLeft rotateRight round scalb scaleByPowerOfTen setDate setHours setMinutes "
        "setMonth setSeconds setTime setYear shortValueExact sin sinh stripIndent tan tanh toBigInteger "
        "toBigIntegerExact toDegrees toEngineeringString toFormat toGMTString toLocaleString "
        "toOffsetDateTime toRadians toUnsignedInt toUnsignedLong toUnsignedString transform "
        "translateEscapes truncatedTo ulp unscaledValue until with withChronology withDayOfYear "
        "withDecimalStyle withEarlierOffsetAtOverlap withFixedOffsetZone withHour withLaterOffsetAtOverlap "
        "withLocale withMinute withNano withResolverFields withResolverStyle withSecond withZone wrap"
    ).split()
)
"""Methods Gravitee allows that are not here."""


class Finding:
    """What to report: code, message, hint, severity; its place is added by whoever knows it."""

    __slots__ = ("code", "hint", "message", "severity")

    def __init__(self, code: str, message: str, hint: str = "", severity: Severity = Severity.PROBLEM) -> None:
        self.code = code
        self.message = message
        self.hint = hint
        self.severity = severity


def _forbidden(message: str, hint: str = "") -> Finding:
    return Finding("el-forbidden", message, hint)


def _unsupported(message: str) -> Finding:
    return Finding("el-unsupported", message, "Gravitee allows it, this engine does not")


def static_class(node: Node) -> tuple[JavaClass, bool] | None:
    """The class of what a node yields if that is certain, and whether it is a reference to that class."""
    if not isinstance(node, Const) or node.value is None:
        return None
    if isinstance(node.value, ClassRef):
        return referred_class(node.value) or CLASSES["Class"], True
    return class_of(node.value), False


def check_deterministic(name: str, receiver: Node, span: tuple[int, int]) -> None:
    """Refuse chance and clocks. Raises `SyntaxProblem`."""
    reference = receiver.value if isinstance(receiver, Const) else None
    random_class = isinstance(reference, ClassRef) and reference.name in _RANDOM_CLASSES
    if random_class or name in NONDETERMINISTIC - {"random"} or (name == "random" and isinstance(reference, ClassRef)):
        raise SyntaxProblem("el-nondeterministic", f"`{name}` is refused: its answer is no fact of the request", *span)


def check_method(name: str, count: int, receiver: Node, *, safe: bool) -> Finding | None:
    """Whether a method call is certain to be refused."""
    known = static_class(receiver)
    if known is not None:
        owner, static = known
        if WHITELIST.methods(owner, name, static=static):
            return None
        shown = (
            receiver.value.name if isinstance(receiver, Const) and isinstance(receiver.value, ClassRef) else owner.name
        )
        return _missing_method(name, f"of `{shown}` ", shown)
    arities = WHITELIST.arities(name)
    if arities is None or count in arities:
        return None
    found = _missing_method(name, "", "") if not arities else _wrong_count(name, arities)
    if safe:
        found.severity = Severity.FINDING
    return found


def _missing_method(name: str, where: str, owner: str) -> Finding:
    if name in _UNSUPPORTED_METHODS or owner in _UNSUPPORTED_CLASSES:
        return _unsupported(f"the method `{name[:60]}` {where}is not supported")
    return _forbidden(f"the method `{name[:60]}` {where}may not be called", _method_hint(name))


def _wrong_count(name: str, arities: frozenset[int]) -> Finding:
    counts = " or ".join(str(count) for count in sorted(arities))
    return _forbidden(f"`{name[:60]}` takes {counts} arguments")


_METHOD_HINTS: Final[Mapping[str, str]] = {
    "containsAll": "write `T(java.util.Collections).indexOfSubList(…)`, or several `contains`",
    "getMethod": "write `#request.method`",
    "getPath": "write `#request.path`",
    "getHeaders": "write `#request.headers`",
    "stream": "write a selection `.?[…]` or a projection `.![…]`",
    "booleanValue": "it is a boolean already",
    "put": "attributes cannot be changed here",
    "length": "write `.length` after an array",
}


def _method_hint(name: str) -> str:
    if name in _METHOD_HINTS:
        return _METHOD_HINTS[name]
    if name.startswith("get") and len(name) > 3:
        return f"write the property `.{name[3].lower()}{name[4:]}`"
    return nearest(name, WHITELIST.names)


def check_property(name: str, receiver: Node) -> Finding | None:
    """Whether a property of a known class is certain to be refused."""
    known = static_class(receiver)
    if known is None:
        return None
    owner, static = known
    row = WHITELIST.property_row(owner, name, static)
    if row is not None or (static and (owner.name, name) in STATIC_FIELDS):
        return None
    return _forbidden(f"the property `{name[:60]}` of `{owner.name}` may not be read")


def check_constructor(name: str, reference: ClassRef | None, span: tuple[int, int]) -> Finding | None:
    """Whether `new X(…)` is certain to be refused. Raises `SyntaxProblem` for what is not deterministic."""
    if reference is None:
        return _forbidden(f"the class `{name[:60]}` may not be used")
    if reference.name in _RANDOM_CLASSES:
        raise SyntaxProblem("el-nondeterministic", f"`{name}` is refused: its answer is no fact of the request", *span)
    if reference.name in _UNSUPPORTED_CLASSES:
        return _unsupported(f"the class `{name[:60]}` is not supported")
    owner = referred_class(reference)
    if owner is None or not WHITELIST.has_constructor(owner):
        return _forbidden(f"`new {name[:60]}` may not be called")
    return None
