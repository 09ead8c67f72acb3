"""What EL's operators and methods take, and what kinds of values Gravitee's roots give.

Spring compares a list with a text, or a text with a number, and says false; so these are what nobody finds in production.
The roots are those that a request has (`roots`), not those of a fixture.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, reduce
from operator import or_
from typing import Final, TypeAlias

from mcp_acl.expr.el.access import WHITELIST
from mcp_acl.expr.el.classes import CLASSES
from mcp_acl.expr.el.conversions import convert
from mcp_acl.expr.el.operators import BINARY, CONDITION, IS_ABSENT, IS_NULL, LIST, NOT
from mcp_acl.expr.el.values import PREFIX, Array, BigDecimal, Int8, Int16, Int32, JFloat
from mcp_acl.expr.kinds import ANYTHING, NOTHING, OF_TYPE, Fault, Judged, Kind, Language, in_words, may_be_equal
from mcp_acl.expr.nodes import Call, Fact, Node, Value, Variable
from mcp_acl.expr.walk import Outcomes
from mcp_acl.problems import EvalError

_CONSTANTS: Final[Mapping[type, Kind]] = {
    type(None): Kind.NULL,
    bool: Kind.BOOL,
    str: Kind.TEXT,
    list: Kind.LIST,
    dict: Kind.MAP,
    **dict.fromkeys((int, Int8, Int16, Int32, float, JFloat, BigDecimal), Kind.NUMBER),
    Array: Kind.LIST | Kind.OTHER,
}
_FACTS: Final[Mapping[str, Kind]] = {
    "context": Kind.OBJECT,
    "request": Kind.OBJECT,
    "mcp": Kind.OBJECT,
    "api": Kind.OBJECT | Kind.NULL,
    "node": Kind.OBJECT | Kind.NULL,
    "subscription": Kind.OBJECT | Kind.NULL,
    "now": Kind.NUMBER,
}
_TEXT: Final = Kind.TEXT | Kind.NULL
_VALUES: Final = Kind.LIST | Kind.NULL
_JSON: Final = Kind.NULL | Kind.BOOL | Kind.NUMBER | Kind.TEXT | Kind.LIST | Kind.MAP

_ATTRIBUTES: Final[Mapping[str, Kind]] = {
    "jwt": Kind.OBJECT | Kind.NULL,
    "jwt.claims": Kind.MAP | Kind.NULL,
    "user.roles": _VALUES,
    "oauth.payload": _TEXT,
    "oauth.client_id": _TEXT,
}
"""What is made of the token; all other attributes are the gateway's."""

_MEMBERS: Final[Mapping[str, Mapping[str, Kind]]] = {
    "request": {
        **dict.fromkeys(("host", "method", "path", "remoteAddress", "scheme", "uri"), _TEXT),
        "headers": Kind.OBJECT,
        "params": Kind.MAP,
        "timestamp": Kind.NUMBER,
    },
    "mcp": {
        **dict.fromkeys(("feature", "method", "name", "protocol_version", "server"), Kind.TEXT),
        "annotations": Kind.MAP,
    },
    "headers": {},
    "claims": {
        "aud": _JSON & ~Kind.TEXT,
        **dict.fromkeys(("exp", "iat", "nbf"), _JSON & ~Kind.NUMBER | Kind.TIME),
    },
}
"""The members that are of some kind whatever the request: `aud` is a list if it was a text, times are dates if they were numbers."""


def _const(value: Value) -> Kind:
    return _CONSTANTS.get(type(value), ANYTHING)


def _fact(variable: Variable) -> Kind:
    return _FACTS.get(variable.name, OF_TYPE[variable.type])


# ---- what a step reads -----------------------------------------------------------------------------------------------


def _place(node: Node) -> str:
    """Which of the known owners a node is, or `''`."""
    if isinstance(node, Fact):
        return "claims" if node.variable.name == "token" else node.variable.name
    if not isinstance(node, Call) or not isinstance(node.function.key, str):
        return ""
    key, owner = node.function.key.removeprefix(PREFIX), _place(node.args[0])
    if node.function.name == "attribute":
        return {"jwt.claims": "claims", "jwt": "jwt"}.get(key, "")
    return {("request", "headers"): "headers", ("request", "params"): "headers", ("jwt", "claims"): "claims"}.get(
        (owner, key), ""
    )


def _step_kinds(node: Call) -> Kind:
    key = node.function.key
    if not isinstance(key, str):
        return ANYTHING
    if node.function.name == "attribute":
        return _ATTRIBUTES.get(key.removeprefix(PREFIX), ANYTHING)
    owner = _place(node.args[0])
    if owner == "headers":
        return _VALUES
    if (owner, key) == ("jwt", "claims"):
        return Kind.MAP
    return _MEMBERS.get(owner, {}).get(key, ANYTHING)


# ---- methods and properties ------------------------------------------------------------------------------------------

_CLASSES: Final[Mapping[Kind, Sequence[str]]] = {
    Kind.TEXT: ("String",),
    Kind.BOOL: ("Boolean",),
    Kind.NUMBER: ("Integer", "Long", "Double", "Float", "BigDecimal", "Short", "Byte"),
    Kind.LIST: ("ArrayList", "LinkedList"),
    Kind.MAP: ("LinkedHashMap", "LinkedMultiValueMap"),
}
_RESULTS: Final[Mapping[str, Kind]] = {
    "boolean": Kind.BOOL,
    "String": _TEXT,
    **dict.fromkeys(("byte", "double", "float", "int", "long", "short"), Kind.NUMBER),
}


def _method(node: Call) -> str:
    """The method a call is, or `''`."""
    name = node.function.name
    return name[1:-2] if name.startswith(".") and name.endswith("()") else ""


@lru_cache(maxsize=1024)
def _method_kinds(name: str) -> Kind:
    """What any method of that name gives; a safe call may be null."""
    results = [_RESULTS.get(row.result, ANYTHING) for row in WHITELIST.rows() if row.name == name and row.callable]
    return reduce(or_, results, NOTHING if results else ANYTHING) | Kind.NULL


def _has_method(kind: Kind, name: str) -> bool:
    return any(WHITELIST.methods(CLASSES[one], name, static=False) for one in _CLASSES[kind])


def _no_member(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    """A method or key that none of the kinds has. Of what is no text, list, map, boolean or number nothing is said."""
    owner = kinds[0] & ~Kind.NULL if kinds else NOTHING
    known = [kind for kind in _CLASSES if kind & owner]
    if not owner or owner & ~reduce(or_, _CLASSES, NOTHING) or _is_payload(node):
        return None
    name = _method(node)
    if name:
        if any(_has_method(kind, name) for kind in known):
            return None
        message = f"{in_words(owner)} has no method `{name}`"
    else:
        key = node.function.key
        if not isinstance(key, str) or node.function.name != "[…]" or owner & Kind.MAP or _is_place(key):
            return None
        message = f"{in_words(owner)} has no entry `{key[:60]}`"
    outcomes = Outcomes.TRUE | Outcomes.FALSE if kinds[0] & Kind.NULL else Outcomes.ERROR
    hint = "write `[0]` after it for the first value" if owner is Kind.LIST else ""
    return Fault("wrong-operand", f"{message}: it is an error for every request that has it", outcomes, hint)


def _is_place(key: str) -> bool:
    """Whether a text is a number once it is used as an index: ` 0`, `+0` and `0x0` are."""
    try:
        convert(key, "Integer")
    except EvalError:
        return False
    return True


def _is_payload(node: Call) -> bool:
    """The token's payload as text has a finding of its own."""
    owner = node.args[0]
    return isinstance(owner, Call) and owner.function.name == "attribute" and owner.function.key == "oauth.payload"


# ---- operators -------------------------------------------------------------------------------------------------------

_TRUTH: Final = Kind.BOOL | Kind.TEXT | Kind.LIST | Kind.OTHER
_ORDERED: Final = (Kind.BOOL, Kind.NUMBER, Kind.TEXT, Kind.TIME, Kind.OTHER)
_EQUALITIES: Final = {BINARY["=="]: "false", BINARY["!="]: "true"}
ORDERINGS: Final = frozenset(BINARY[one] for one in ("<", "<=", ">", ">="))
"""The operators that put null below everything."""

_FOR_NUMBERS: Final = frozenset(BINARY[one] for one in ("/", "%", "^"))


def _equal(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    word = _EQUALITIES.get(node.function, "false" if _method(node) == "equals" and len(kinds) == 2 else "")
    if not word or may_be_equal(kinds[0], kinds[1]):
        return None
    outcomes = (Outcomes.TRUE if word == "true" else Outcomes.FALSE) | Outcomes.ERROR
    message = f"{in_words(kinds[0])} is never equal to {in_words(kinds[1])}: this is {word} for every request"
    return Fault("never-equal", message, outcomes, _equal_hint(node, kinds))


def _equal_hint(node: Call, kinds: Sequence[Kind]) -> str:
    values = [one for one, kind in zip(node.args, kinds, strict=True) if _may_hold(one, kind)]
    if values and any(kind & Kind.TEXT for kind in kinds):
        return "it holds several values: write `.contains('…')`, or `[0]` for the first one"
    if any(kind & Kind.TEXT for kind in kinds) and any(kind & Kind.NUMBER for kind in kinds):
        return "write the number without quotes, or make a text of it: `(x + '') == '5'`"
    return "write both sides as the same type"


def _may_hold(node: Node, kind: Kind) -> bool:
    """Whether it is a list, if it is there."""
    is_audience = isinstance(node, Call) and node.function.key == "aud"
    return is_audience or bool(kind & Kind.LIST and not kind & (Kind.TEXT | Kind.NUMBER))


def _ordered(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    if node.function not in ORDERINGS or any(kinds[0] & one and kinds[1] & one for one in _ORDERED):
        return None
    left, right = (one & ~Kind.NULL for one in kinds)
    if not left or not right:
        return None
    is_null = kinds[0] & Kind.NULL or kinds[1] & Kind.NULL
    message = (
        f"{in_words(left)} cannot be compared with {in_words(right)}: it is an error for every request that has it"
    )
    return Fault("wrong-operand", message, Outcomes(3) if is_null else Outcomes.ERROR, _order_hint(node))


def _order_hint(node: Call) -> str:
    keys = [one.function.key for one in node.args if isinstance(one, Call)]
    if any(key in _MEMBERS["claims"] and key != "aud" for key in keys):
        return "it is a date: write `.getTime()` after it for milliseconds, or `.after(new java.util.Date())`"
    return "compare numbers with numbers and texts with texts"


def _numbers(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    needed = Kind.NUMBER | Kind.OTHER
    if node.function not in _FOR_NUMBERS or all(one & needed for one in kinds):
        return None
    given = " and ".join(in_words(one) for one in kinds)
    message = f"`{node.function.name}` cannot take {given}: it is an error for every request"
    return Fault("wrong-operand", message, Outcomes.ERROR)


def _boolean(node: Call, kinds: Sequence[Kind]) -> Fault | None:
    """`!x`, and the condition itself, which may be empty."""
    if node.function not in (NOT, CONDITION) or kinds[0] & _TRUTH:
        return None
    if node.function is CONDITION and kinds[0] is Kind.NULL:
        return None  # it is empty, which is false
    message = f"this is {in_words(kinds[0])}, where true or false is needed: it is true for no request"
    outcomes = Outcomes.FALSE | Outcomes.ERROR if node.function is CONDITION else Outcomes.ERROR
    return Fault("wrong-operand", message, outcomes)


_Check: TypeAlias = Callable[[Call, Sequence[Kind]], Fault | None]
_CHECKS: Final[Sequence[_Check]] = (_equal, _ordered, _numbers, _boolean, _no_member)


def _call(node: Call, kinds: Sequence[Kind]) -> Judged:
    if not all(kinds) or node.function in (IS_ABSENT, IS_NULL):
        return Judged(OF_TYPE[node.function.result])
    fault = next((found for check in _CHECKS if (found := check(node, kinds)) is not None), None)
    if node.function is LIST:
        return Judged(Kind.LIST)
    if node.function.key is not None and node.args:
        return Judged(_step_kinds(node), fault)
    method = _method(node)
    return Judged(_method_kinds(method) if method else OF_TYPE[node.function.result], fault)


LANGUAGE: Final = Language(_const, _fact, _call, _TRUTH)
"""EL's kinds."""
