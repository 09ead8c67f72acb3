"""The operators: what each means on Java values, as function rows the tree's calls hold.

Precedence is the grammar's: from loosest to tightest `?: ?`, `||`, `&&`, relations (one, not chained), `+ -`, `* / %`, `^` (one),
unary `! + -`, steps. `&&`, `||`, `?:` and `?` evaluate left to right and no more than needed; they are `Logic` and
`Conditional` nodes, and only what makes an operand a boolean is here.
"""

from collections.abc import Callable, Mapping
from typing import Final

from mcp_acl.expr.el import inline, regexes
from mcp_acl.expr.el.arithmetic import as_number, calculate, minus, power
from mcp_acl.expr.el.classes import PRIMITIVES, class_of, referred_class
from mcp_acl.expr.el.comparing import compare, equal, order
from mcp_acl.expr.el.conversions import as_boolean, as_text, concatenated, is_assignable
from mcp_acl.expr.el.metering import weigh, weigh_search, weighed
from mcp_acl.expr.el.values import ClassRef, Int32, RawMap, check_length, made_text, units
from mcp_acl.expr.meter import CALL, FAST, FLAT, Meter
from mcp_acl.expr.nodes import Function, Type
from mcp_acl.problems import EvalError

MAX_REPEATED: Final = 256
"""How long a text may be that `*` makes of another (Spring's limit), in characters."""

_CONCRETE: Final = frozenset(
    (
        "AbstractCollection AbstractList AbstractMap AbstractMap.Node ArrayList Bean DefaultHttpHeaders HashMap JSONArray "
        "LinkedHashMap LinkedList LinkedMultiValueMap"
    ).split()
)
"""Classes a value may or may not be of, depending on how a gateway made it."""


# ---- booleans --------------------------------------------------------------------------------------------------------


def _condition(value: object) -> object:
    return as_boolean(value)


def _truth(value: object) -> bool:
    made = as_boolean(value)
    if made is None:
        raise EvalError("null is not a boolean: write `?: false` after what may be null")
    return made


def _picked(value: object) -> bool:
    if value is True or value is False:
        return value
    raise EvalError("a selection needs a boolean for each element")


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value)


CONDITION: Final = Function(
    "condition", _condition, inline=inline.is_bool, doc="true, false, or null for empty", pace=FLAT
)
TRUTH: Final = Function("truth", _truth, Type.BOOL, inline.is_bool, "a boolean, or a text for one", pace=FLAT)
PICKED: Final = Function("picked", _picked, Type.BOOL, inline.is_bool, "a boolean and nothing else", pace=FLAT)
NOT: Final = Function("!", lambda value: not _truth(value), Type.BOOL, doc="the opposite of a boolean", pace=FLAT)
IS_ABSENT: Final = Function(
    "?:", _is_absent, Type.BOOL, doc="whether the default is wanted: null or an empty text", pace=FLAT
)
IS_NULL: Final = Function(
    "null?", lambda value: value is None, Type.BOOL, doc="whether a safe step ends here", pace=FLAT
)
IDENTITY: Final = Function("identity", lambda value: value, Type.BOOL, pace=FLAT)


# ---- relations -------------------------------------------------------------------------------------------------------


def _relation(holds: Callable[[int], bool]) -> Callable[[object, object], bool]:
    def run(left: object, right: object) -> bool:
        found = order(left, right)
        return found is not None and holds(found)

    return run


def _between(value: object, bounds: object) -> bool:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise EvalError("`between` needs a list of two bounds: `x between {1, 5}`")
    return compare(value, bounds[0]) >= 0 and compare(value, bounds[1]) <= 0


def _matches(value: object, pattern: object) -> bool:
    text = as_text(value)
    if text is None:
        raise EvalError("`matches` has null on its left")
    if not isinstance(pattern, str):
        raise EvalError("`matches` needs a text on its right")
    return regexes.matches(pattern, text)


def _instance_of(value: object, reference: object) -> bool:
    if not isinstance(reference, ClassRef):
        raise EvalError("`instanceof` needs a class on its right: `x instanceof T(String)`")
    if value is None or reference.name in PRIMITIVES:
        return False
    known = referred_class(reference)
    if known is not None and known.name in _CONCRETE:
        raise EvalError(f"`instanceof {known.name}` depends on the gateway: name an interface such as List or Map")
    return known is not None and is_assignable(class_of(value), known.name)


def _matches_in_loop(meter: Meter, value: object, pattern: object) -> bool:
    meter.spend(CALL)
    weigh(meter, value)
    if isinstance(value, str) and isinstance(pattern, str):
        weigh_search(meter, pattern, value)
    return _matches(value, pattern)


def matches_pattern(text: str) -> Function:
    """`matches` with a pattern known at load time. Raises `EvalError` if it cannot be used."""
    pattern = regexes.compile_pattern(text)

    def run(value: object) -> bool:
        wanted = as_text(value)
        if wanted is None:
            raise EvalError("`matches` has null on its left")
        return pattern.matches(wanted)

    def in_loop(meter: Meter, value: object) -> bool:
        meter.spend(CALL)
        weigh(meter, value)
        meter.spend(pattern.price(value) if isinstance(value, str) else 0)
        return run(value)

    return Function("matches", run, Type.BOOL, doc="whether the pattern matches the whole text", metered=in_loop)


# ---- arithmetic ------------------------------------------------------------------------------------------------------


def _unsupported(operator: str, left: object, right: object) -> EvalError:
    names = ["null" if one is None else class_of(one).name for one in (left, right)]
    return EvalError(f"`{operator}` is not for {names[0]} and {names[1]}")


def _arithmetic(operator: str) -> Callable[[object, object], object]:
    def run(left: object, right: object) -> object:
        first, second = as_number(left), as_number(right)
        if first is None or second is None:
            raise _unsupported(operator, left, right)
        return calculate(operator, first, second)

    return run


def _add(left: object, right: object) -> object:
    first, second = as_number(left), as_number(right)
    if first is not None and second is not None:
        return calculate("+", first, second)
    if not isinstance(left, str) and not isinstance(right, str):
        raise _unsupported("+", left, right)
    return made_text(concatenated(left) + concatenated(right))


def _subtract(left: object, right: object) -> object:
    if isinstance(left, str) and type(right) is Int32 and len(units(left)) == 1:
        return chr((ord(units(left)) - right) % 2**16)
    return _SUBTRACT(left, right)


def _multiply(left: object, right: object) -> object:
    if not isinstance(left, str) or type(right) is not Int32:
        return _MULTIPLY(left, right)
    if right < 0 or len(units(left)) * right > MAX_REPEATED:
        raise EvalError(f"a text repeated may have {MAX_REPEATED} characters at most")
    return made_text(left * right)


_SUBTRACT: Final = _arithmetic("-")
_MULTIPLY: Final = _arithmetic("*")


def _power(left: object, right: object) -> object:
    first, second = as_number(left), as_number(right)
    if first is None or second is None:
        raise _unsupported("^", left, right)
    return power(first, second)


def _minus(value: object) -> object:
    number = as_number(value)
    if number is None:
        raise _unsupported("-", value, None)
    return minus(number)


def _plus(value: object) -> object:
    if as_number(value) is None:
        raise _unsupported("+", value, None)
    return value


# ---- texts and collections -------------------------------------------------------------------------------------------


def _template(*parts: object) -> str:
    made: list[str] = []
    size = 0
    for part in parts:
        made.append(as_text(part) or "")
        size += len(made[-1])
        check_length(size)
    return made_text("".join(made))


def _map(*parts: object) -> RawMap:
    return RawMap(zip(parts[::2], parts[1::2], strict=True))


def _not_equal(left: object, right: object) -> bool:
    return not equal(left, right)


LIST: Final = Function("{…}", lambda *items: list(items), doc="an inline list", pace=FLAT)
MAP: Final = Function("{:}", _map, Type.MAP, doc="an inline map", pace=FLAT)
TEMPLATE: Final = Function(
    "template", _template, Type.STRING, doc="texts and blocks, joined", metered=weighed(_template)
)

EQUAL: Final = Function(
    "==",
    equal,
    Type.BOOL,
    inline.equal,
    "numbers by value, texts by content, lists by their elements",
    flat_beside_constant=True,
    metered=weighed(equal, FAST),
)
MATCHES: Final = Function(
    "matches", _matches, Type.BOOL, doc="whether a pattern matches the whole text", metered=_matches_in_loop
)

BINARY: Final[Mapping[str, Function]] = {
    "==": EQUAL,
    "!=": Function(
        "!=",
        _not_equal,
        Type.BOOL,
        inline.not_equal,
        "the opposite of `==`",
        flat_beside_constant=True,
        metered=weighed(_not_equal, FAST),
    ),
    "<": Function("<", _relation(lambda found: found < 0), Type.BOOL, inline.less, "null is below everything"),
    "<=": Function("<=", _relation(lambda found: found <= 0), Type.BOOL, inline.less_or_equal, "below or equal"),
    ">": Function(">", _relation(lambda found: found > 0), Type.BOOL, inline.greater, "above"),
    ">=": Function(">=", _relation(lambda found: found >= 0), Type.BOOL, inline.greater_or_equal, "above or equal"),
    "between": Function(
        "between", _between, Type.BOOL, doc="within two bounds, both included", metered=weighed(_between)
    ),
    "matches": MATCHES,
    "instanceof": Function("instanceof", _instance_of, Type.BOOL, doc="whether a value is of a class", pace=FLAT),
    "+": Function("+", _add, doc="a sum, or texts joined", metered=weighed(_add)),
    "-": Function("-", _subtract, doc="a difference; a text of one character less a number is an earlier character"),
    "*": Function("*", _multiply, doc="a product, or a text repeated"),
    "/": Function("/", _arithmetic("/"), doc="a quotient; whole for whole numbers"),
    "%": Function("%", _arithmetic("%"), doc="a remainder with the sign of the left side"),
    "^": Function("^", _power, doc="a power"),
}
"""Every operator between two values; `WORDS` has the words for them."""

UNARY: Final[Mapping[str, Function]] = {
    "!": NOT,
    "-": Function("-x", _minus, doc="a number with the other sign"),
    "+": Function("+x", _plus, doc="a number as it is"),
}

WORDS: Final[Mapping[str, str]] = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "div": "/",
    "mod": "%",
    "not": "!",
}
"""Words for operators, in any case; `and` and `or` are the others."""
