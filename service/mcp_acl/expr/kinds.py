"""What kinds of values each part of a tree may have, and the operations that can never take what they are given.

Strategy: a part's kinds are a set that is certain to hold its value's kind, so an operation that takes none of them is
an error whatever the request brings. What an operation makes of kinds is the language's to say (`Language`); here is how
they pass through a tree. A part that is found is replaced by one that is the error, or false, so that who walks the tree
sees what follows from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Flag, auto
from typing import Final, NamedTuple, NoReturn

from mcp_acl.expr.nodes import (
    Call,
    Comprehension,
    Conditional,
    Const,
    Fact,
    Function,
    Gather,
    Let,
    Local,
    Logic,
    Node,
    Type,
    Value,
    Variable,
)
from mcp_acl.expr.walk import Outcomes
from mcp_acl.problems import EvalError


class Kind(Flag):
    """Kinds of values, as far as operators tell them apart."""

    NULL = auto()
    BOOL = auto()
    INT = auto()
    UINT = auto()
    DOUBLE = auto()
    TEXT = auto()
    BYTES = auto()
    LIST = auto()
    MAP = auto()
    TIME = auto()
    DURATION = auto()
    OBJECT = auto()
    """What is equal to nothing but itself."""

    OTHER = auto()

    NUMBER = INT | UINT | DOUBLE


ANYTHING: Final = ~Kind(0)
NOTHING: Final = Kind(0)

_WORDS: Final = (
    (Kind.NULL, "null"),
    (Kind.BOOL, "a boolean"),
    (Kind.INT, "an int"),
    (Kind.UINT, "a uint"),
    (Kind.DOUBLE, "a double"),
    (Kind.TEXT, "a text"),
    (Kind.BYTES, "bytes"),
    (Kind.LIST, "a list"),
    (Kind.MAP, "a map"),
    (Kind.TIME, "a time"),
    (Kind.DURATION, "a duration"),
    (Kind.OBJECT, "an object"),
    (Kind.OTHER, "something else"),
)


_FEW: Final = 3


def words_of(kinds: Kind) -> list[str]:
    """Each of the kinds in words, null last."""
    words = [word for kind, word in _WORDS if kind & kinds]
    if Kind.NUMBER in kinds:
        words = ["a number", *(word for word in words if word not in _NUMBERS)]
    return sorted(words, key=lambda word: word == "null")


def in_words(kinds: Kind) -> str:
    """`a text or null`; what may be of many kinds is only pointed at."""
    words = words_of(kinds)
    return " or ".join(words) if len(words) <= _FEW else "this value"


_NUMBERS: Final = frozenset(word for kind, word in _WORDS if kind & Kind.NUMBER)


def may_be_equal(left: Kind, right: Kind) -> bool:
    """Whether values of these kinds may be equal: numbers of any kind with each other, all else within its kind."""
    return bool(left & right) or bool(left & Kind.NUMBER and right & Kind.NUMBER)


class Fault(NamedTuple):
    """An operation that can never do what it is written for, and what it can still come to."""

    code: str
    message: str
    outcomes: Outcomes
    hint: str = ""


class Judged(NamedTuple):
    """The kinds of an operation's value, and what is wrong with it, if anything."""

    kinds: Kind
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Language:
    """What a language says of kinds: of a constant, a fact, a call on arguments of some kinds, and what may be true or false.

    `call` gets the call, so that it may look at keys, and the kinds of its arguments.
    """

    const: Callable[[Value], Kind]
    fact: Callable[[Variable], Kind]
    call: Callable[[Call, Sequence[Kind]], Judged]
    truth: Kind


@dataclass(slots=True)
class Findings:
    """The faults of a tree, each with the node, and the tree with each made what it comes to."""

    language: Language
    faults: list[tuple[Node, Fault]] = field(default_factory=list)

    def judge(self, node: Node) -> tuple[Kind, Node]:
        """The kinds of a tree's value, and the tree."""
        return self._judge(node, {})

    def _judge(self, node: Node, local: Mapping[str, Kind]) -> tuple[Kind, Node]:
        match node:
            case Call():
                return self._call(node, local)
            case Let():
                kinds, value = self._judge(node.value, local)
                result, body = self._judge(node.body, {**local, node.name: kinds})
                return result, replace(node, value=value, body=body)
            case Logic():
                return Kind.BOOL, replace(node, operands=tuple(self._truth(one, local) for one in node.operands))
            case Conditional():
                return self._conditional(node, local)
            case Comprehension():
                return self._comprehension(node, local)
        return self._leaf(node, local), node

    def _leaf(self, node: Node, local: Mapping[str, Kind]) -> Kind:
        match node:
            case Const():
                return self.language.const(node.value)
            case Fact():
                return self.language.fact(node.variable)
            case Local():
                return local.get(node.name, ANYTHING)
        return Kind.BOOL

    def _call(self, node: Call, local: Mapping[str, Kind]) -> tuple[Kind, Node]:
        judged = [self._judge(one, local) for one in node.args]
        kinds, fault = self.language.call(node, [kind for kind, _ in judged])
        made = replace(node, args=tuple(one for _, one in judged))
        if fault is None:
            return kinds, made
        self.faults.append((node, fault))
        return ANYTHING, _outcome(made, fault.outcomes)

    def _truth(self, node: Node, local: Mapping[str, Kind]) -> Node:
        kinds, made = self._judge(node, local)
        if kinds & self.language.truth:
            return made
        message = f"this is {in_words(kinds)}, where true or false is needed: it is an error for every request"
        self.faults.append((node, Fault("wrong-operand", message, Outcomes.ERROR)))
        return _outcome(made, Outcomes.ERROR)

    def _conditional(self, node: Conditional, local: Mapping[str, Kind]) -> tuple[Kind, Node]:
        then, otherwise = self._judge(node.then, local), self._judge(node.otherwise, local)
        condition = (
            self._judge(node.condition, local)[1] if node.truth.name == _INNER else self._truth(node.condition, local)
        )
        return then[0] | otherwise[0], replace(node, condition=condition, then=then[1], otherwise=otherwise[1])

    def _comprehension(self, node: Comprehension, local: Mapping[str, Kind]) -> tuple[Kind, Node]:
        kinds, over = self._judge(node.range, local)
        fault = self.language.call(Call(node.items, (node.range,), span=node.range.span), [kinds]).fault
        inner = {**local, **dict.fromkeys(node.names, ANYTHING)}
        if fault is not None:
            self.faults.append((node.range, fault))
            return ANYTHING, _outcome(node, fault.outcomes)
        condition = None if node.condition is None else self._judge(node.condition, inner)[1]
        result = None if node.result is None else self._judge(node.result, inner)[1]
        return _GATHERED.get(node.gather, ANYTHING), replace(node, range=over, condition=condition, result=result)


_INNER: Final = "identity"
"""The truth of what a front end has made itself."""

_GATHERED: Final = {
    Gather.ALL: Kind.BOOL,
    Gather.EXISTS: Kind.BOOL,
    Gather.EXISTS_ONE: Kind.BOOL,
    Gather.LIST: Kind.LIST,
    Gather.MAP: Kind.MAP,
}

OF_TYPE: Final[Mapping[Type, Kind]] = {
    Type.DYN: ANYTHING,
    Type.NULL: Kind.NULL,
    Type.BOOL: Kind.BOOL,
    Type.INT: Kind.INT,
    Type.UINT: Kind.UINT,
    Type.DOUBLE: Kind.DOUBLE,
    Type.STRING: Kind.TEXT,
    Type.BYTES: Kind.BYTES,
    Type.LIST: Kind.LIST,
    Type.MAP: Kind.MAP,
    Type.TIMESTAMP: Kind.TIME,
    Type.DURATION: Kind.DURATION,
    Type.OTHER: ANYTHING & ~Kind.BOOL,
}


# ---- what is put in the place of a part that is found ----------------------------------------------------------------


def _fail(*_: Value) -> NoReturn:
    raise EvalError("it can never take what it is given")


_SAME: Final = Function("bool", lambda value: value, Type.BOOL)
_FAILING: Final = Function("error", _fail)


def _outcome(node: Node, outcomes: Outcomes) -> Node:
    """A part that is an error, or true or false once it is no error; or the part itself."""
    if outcomes is Outcomes.ERROR:
        return Call(_FAILING, (), span=node.span)
    if outcomes & Outcomes.TRUE and outcomes & Outcomes.FALSE:
        return node
    if outcomes & Outcomes.TRUE:
        return Logic(False, (node, Const(True, span=node.span)), _SAME, False, span=node.span)
    return Logic(True, (node, Const(False, span=node.span)), _SAME, False, span=node.span)
