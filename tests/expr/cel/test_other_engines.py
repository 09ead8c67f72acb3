"""Expressions made at random, as two other engines answer them: cel-python, and Google's C++ CEL by `cel-expr-python` if it is there.

`MCP_ACL_EXAMPLES` (600 unless told) is how many expressions are made for each, `MCP_ACL_SEED` which. Where an engine answers
otherwise `_DIFFERENCES` names why; what no row names fails.
"""

import importlib.util
import logging
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import celpy
import pytest
from celpy import celtypes
from celpy.adapter import json_to_cel

from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.cel.values import Duration, Optional, Timestamp, UInt, entries_of, type_of
from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.nodes import Value, Variable
from mcp_acl.problems import EvalError, SourceError
from tests.expr.cel.making import Maker, facts

EXAMPLES: Final = int(os.environ.get("MCP_ACL_EXAMPLES", "600"))
SEED: Final = int(os.environ.get("MCP_ACL_SEED", "0"))
_ENVIRONMENT: Final = {"x": Variable("x", "x")}
_HAS_CPP: Final = importlib.util.find_spec("cel_expr_python") is not None

Plain = tuple[object, ...]
"""A value in a form that can be compared: its kind, and what it is."""

ERROR: Final[Plain] = ("error",)
REFUSED: Final[Plain] = ("error", "refused")
"""An error for good: what is refused when it is loaded is none the better."""


class Case(NamedTuple):
    """One expression, and what each of two engines makes of it. `why` is our error."""

    text: str
    ours: Plain
    theirs: Plain
    why: str
    said: str


# ---- ours ------------------------------------------------------------------------------------------------------------


def _ours(text: str, data: Mapping[str, object]) -> tuple[Plain, str]:
    try:
        node = parse_cel(text, _ENVIRONMENT).node
    except SourceError as refused:
        return ERROR, refused.problems[0].message
    value = compile_node(node)(SimpleNamespace(x=data))
    return (ERROR, value.message) if isinstance(value, EvalError) else (_plain(value), "")


def _plain(value: Value) -> Plain:
    if isinstance(value, list | tuple):
        return ("list", *(_plain(one) for one in value))
    kind = type_of(value).name
    if kind == "map":
        return _map((_key(key), _plain(one)) for key, one in entries_of(value))  # type: ignore[arg-type]
    if isinstance(value, Timestamp):
        return "timestamp", value.nanos // 1000
    if isinstance(value, Duration):
        return "duration", abs(value.nanos) // 1000 * (1 if value.nanos > 0 else -1)
    return (
        _scalar(kind, value.value if isinstance(value, UInt) else value)
        if not isinstance(value, Optional)
        else ("optional",)
    )


def _key(value: Value) -> object:
    return value.value if isinstance(value, UInt) else value


def _map(entries: "Iterator[tuple[object, Plain]] | Sequence[tuple[object, Plain]]") -> Plain:
    """By keys as Python has them, where 1 is True: one engine gives no others."""
    return ("map", *sorted((repr(key), value) for key, value in {**dict(entries)}.items()))


def _scalar(kind: str, value: object) -> Plain:
    if kind == "type":
        return ("type",)
    return (kind.removesuffix("_type"), repr(float(value)) if kind == "double" else value)  # type: ignore[arg-type]


# ---- cel-python ------------------------------------------------------------------------------------------------------

_CELPY_KINDS: Final[Sequence[tuple[type, str, Callable[[Any], object]]]] = (
    *((celtypes.BoolType, "bool", bool), (celtypes.IntType, "int", int), (celtypes.UintType, "uint", int)),
    *((float, "double", float), (str, "string", str), (bytes, "bytes", bytes)),
)


@cache
def _celpy() -> celpy.Environment:
    logging.getLogger("celpy").setLevel(logging.CRITICAL)  # it fails while it logs some errors
    return celpy.Environment()


def _by_celpy(text: str, data: Mapping[str, object]) -> tuple[Plain, str]:
    try:
        program = _celpy().program(_celpy().compile(text))
        return _from_celpy(program.evaluate({"x": json_to_cel(data)})), ""  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - it raises whatever Python does
        return ERROR, f"{type(error).__name__} {error}"


def _from_celpy(value: Any) -> Plain:
    if isinstance(value, Exception):
        raise value  # an error in a list or a map stands there like a value
    if isinstance(value, list):
        return ("list", *map(_from_celpy, value))
    if isinstance(value, dict):
        return _map([(_bare(key), _from_celpy(one)) for key, one in value.items()])
    if isinstance(value, datetime | timedelta):
        return _moment(value)
    for kind, name, bare in _CELPY_KINDS:
        if isinstance(value, kind):
            return _scalar(name, bare(value))
    if value is None or isinstance(value, bool):
        return ("null", None) if value is None else ("bool", value)
    return ("type",)


def _bare(key: Any) -> object:
    return next((bare(key) for kind, _, bare in _CELPY_KINDS if isinstance(key, kind)), key)


def _moment(value: datetime | timedelta) -> Plain:
    micro = timedelta(microseconds=1)
    if isinstance(value, timedelta):
        micros = value.days * 86_400 * 10**6 + value.seconds * 10**6 + value.microseconds
        return "duration", micros
    return "timestamp", (datetime.fromisoformat(value.isoformat()) - datetime(1970, 1, 1, tzinfo=UTC)) // micro


# ---- C++ CEL ---------------------------------------------------------------------------------------------------------


@cache
def _cpp() -> Any:
    from cel_expr_python import cel  # noqa: PLC0415 - may be missing
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings  # noqa: PLC0415

    extensions = [
        *(ext_bindings.ExtBindings(), ext_encoders.ExtEncoders(), ext_math.ExtMath(), ext_optional.ExtOptional()),
        ext_strings.ExtStrings(),
    ]
    return cel.NewEnv(variables={"x": cel.Type.DYN}, extensions=extensions)


def _by_cpp(text: str, data: Mapping[str, object]) -> tuple[Plain, str]:
    try:
        return _from_cpp(_cpp().compile(text, disable_check=True).eval(data={"x": data}))
    except Exception as error:  # noqa: BLE001 - it raises what is no value to Python
        return (("optional",) if "Unable to convert" in str(error) else ERROR), str(error)


def _from_cpp(value: Any) -> tuple[Plain, str]:
    kind = value.type().name().split("<")[0].lower()
    bare = value.value()
    if kind == "error":
        return ERROR, str(bare)
    if kind == "list":
        return ("list", *(_from_cpp(one)[0] for one in bare)), ""
    if kind == "map":
        return _map([(key, _from_cpp(one)[0]) for key, one in bare.items()]), ""
    if isinstance(bare, datetime | timedelta):
        return _moment(bare), ""
    return _scalar(kind, bytes(bare) if isinstance(bare, bytearray) else bare), ""


# ---- what differs ------------------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """Expressions that an engine answers otherwise, and why: what must be found in the text, in our error, and in theirs."""

    because: str
    text: str = ""
    why: str = ""
    said: str = ""
    answer: str = ""
    """What must be found in their value."""
    reordered: bool = False
    values: bool = False
    """Whether both must have a value."""

    def names(self, case: Case) -> bool:
        if self.values and ERROR in (case.ours, case.theirs):
            return False
        return (not self.reordered or _in_one_order(case.ours) == _in_one_order(case.theirs)) and all(
            re.search(pattern, found) is not None
            for pattern, found in (
                (self.text, case.text),
                (self.why, case.why),
                (self.said, case.said),
                (self.answer, repr(case.theirs)),
            )
        )


def _in_one_order(value: object) -> object:
    """The value with the items of its lists sorted."""
    if not isinstance(value, tuple):
        return value
    parts = [_in_one_order(one) for one in value]
    return sorted(parts, key=repr) if value[:1] == ("list",) else parts


_UNORDERED: Final = Difference("the entries of a map have no order", text=r"map\(|\+", reordered=True)
_CELPY: Final[Sequence[Difference]] = (
    Difference("cel-python makes no timestamp of an int", text=r"timestamp\(", said="no such overload"),
    Difference(
        "cel-python compares numbers, and anything in a list, of one type only",
        said=r"no matching overload for Token|no such overload",
    ),
    Difference("cel-python has no map with a condition", text=r"\.map\(", said="too many values to unpack"),
    Difference("cel-python takes no double as an index", said=r"no matching overload for _\[_\]"),
    Difference(
        "cel-python takes less than any value for `?:`, `&&` and `||`",
        said=r"no matching overload for _(\?_:_|&&_|\|\|_)",
    ),
    Difference(
        "cel-python stops with an error of Python's",
        said=r"^(TypeError|AttributeError|ValueError|OverflowError|KeyError|IndexError) ",
    ),
    Difference("cel-python has Python's hashes and sizes for ints", said="unhashable|overflow"),
    Difference("cel-python writes a double as Python does", text=r"string\(", values=True),
    Difference("cel-python knows no negative zero when it divides", text="/", values=True),
    Difference("cel-python orders bools among numbers", why=r"no such overload: `[<>]=?` on"),
    Difference(
        "cel-python compares the largest whole numbers with doubles exactly, where the specification's cases do it as doubles",
        text="18446744073709551615|9223372036854775807",
        values=True,
    ),
    Difference("cel-python has an error where doubles are divided by zero", text="/", said="modulus or divide by zero"),
    Difference("cel-python takes true for 1, as Python does", text=r" in |==|!=|\[", values=True),
    Difference("cel-python computes with two types of number, and with bools", why=r"no such overload: `[-+*/%]` on"),
    Difference("cel-python goes over bytes and texts", why=r"no such overload: `comprehension` on (bytes|string)"),
    Difference("cel-python has `in` for texts", why="no such overload: `in` on string"),
    Difference("cel-python forgets nanoseconds", why="timestamp out of range"),
    Difference("cel-python forgets nanoseconds, and they may be compared", text="-1ns", values=True),
    Difference("cel-python converts more to bools and doubles", why=r"no such overload: `(bool|double)` on"),
    Difference("cel-python negates a duration", why="no such overload: `-` on google.protobuf.Duration"),
    Difference(
        "a duration has 64 bits of nanoseconds, 292 years; cel-python has Python's", why="duration out of range"
    ),
    Difference("cel-python takes any value for the bool of a macro", why="the condition is not a bool"),
    Difference("cel-python answers `has` and macros over what is an error with false", text=r"has\(|exists|all\("),
    Difference("cel-python takes any key in a map", why="a map key is"),
    Difference("cel-python makes a bool of any text", why="not a bool"),
    Difference("cel-python counts from the end for a negative index", why="index out of range"),
    Difference("cel-python has all of a duration in milliseconds, not their part of it", text="getMilliseconds"),
    Difference("cel-python drops the fraction before it looks at the sign", text=r"uint\(", why="overflow"),
    Difference("cel-python makes a number of a bool", why=r"no such overload: `u?int` on bool"),
    Difference("cel-python keeps an error in a list or a map like a value until it is read", text=r"[\[{]", why="."),
    Difference("cel-python makes a text of any value", why="no such overload: `string`"),
    Difference("cel-python has a size of null", why="no such overload: `size`"),
    Difference("cel-python makes bytes of a list", why="no such overload: `bytes`"),
)
_CPP: Final[Sequence[Difference]] = (
    Difference("a duration has 64 bits of nanoseconds, 292 years; C++ has 10,000 years", why="duration out of range"),
    Difference("and so the other operand counts", text="3000000h"),
    Difference(
        "C++ writes the fraction of a duration with 3, 6 or 9 digits",
        text=r"string\(.*(duration|timestamp)",
        values=True,
    ),
    Difference("C++ writes a double by `%d` with six digits", text=r"%d'\.format", answer=r"\.000000", values=True),
    Difference("C++ writes a large double with an exponent", text=r"%s.*format|string\(", answer=r"e\+", values=True),
    Difference("C++ has one part, an empty one, of an empty text", text="split", values=True),
    Difference("the sign of negative zero is negative zero", text=r"math\.sign", values=True),
    Difference("the entries of a map have no order, nor what is made of them", text=r"\.map\(.*(join|\[)", values=True),
    Difference("C++ writes infinity otherwise", text=r"string\(|format", answer="inf", values=True),
    Difference("C++ looks for keys of some types only", said="No matching overloads found : @in"),
    Difference("C++ for Python reverses texts alone", said=r"No matching overloads found : \(list\)\.reverse"),
    Difference(
        "C++ finds in the variable of `optMap` what a macro before it went over",
        text=r"optMap\(w, w \+ 1\)",
        said=r"No matching overloads found : _\+_\(string, int64\)",
    ),
    Difference("C++ takes no double as an optional index", text=r"\[\?", said=r"No matching overloads found : _\[_?"),
    Difference("1 and 1u are one key; C++ keeps two entries", why="a map key is given twice"),
    Difference("NaN is neither the least nor the greatest; C++ answers with one of the two", why="NaN has no order"),
    Difference(
        "C++ drops a double negation when it reads it, whatever follows", text="--", why="no such overload: `-`"
    ),
    Difference("a local time before year 1 is an error", why="timestamp out of range"),
    Difference("C++ makes an int of a bool", why="no such overload: `int` on bool"),
    Difference(
        "C++ refuses the end of a text as the end of a part", text="substring", said="greater than <string>.size"
    ),
    Difference("and so the other operand counts, there", text=r"int\(", why="the condition is not a bool"),
    _UNORDERED,
)


def _compare(
    by_other: Callable[[str, Mapping[str, object]], tuple[Plain, str]],
    differences: Sequence[Difference],
    *,
    extensions: bool,
) -> None:
    maker, rng = Maker(SEED, extensions=extensions), random.Random(SEED)  # noqa: S311 - draws examples
    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    unexplained = []
    for _ in range(EXAMPLES):
        text, data = maker.expression(), facts(rng)
        (ours, why), (theirs, said) = _ours(text, data), by_other(text, data)
        kinds["error" if ours == ERROR else "a value"] += 1
        if ours == theirs:
            continue
        case = Case(text, ours, theirs, why, said)
        reason = next((one.because for one in differences if one.names(case)), None)
        reasons[str(reason)] += 1
        if reason is None:
            unexplained.append(case)
    print(*unexplained, sep="\n")  # noqa: T201 - shown with `-s`
    print(dict(kinds), *(f"\n{count:6} {reason}" for reason, count in reasons.most_common()))  # noqa: T201 - shown with `-s`
    assert [] == unexplained


def test_cel_python_answers_the_same() -> None:
    _compare(_by_celpy, _CELPY, extensions=False)


@pytest.mark.skipif(not _HAS_CPP, reason="cel-expr-python is not installed (requirements/bench.txt has it)")
def test_cpp_cel_answers_the_same() -> None:
    _compare(_by_cpp, _CPP, extensions=True)
