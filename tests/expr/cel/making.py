"""Makes CEL expressions at random over JSON-like facts: typed mostly, of a wrong type now and then."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

Rule = Callable[["Maker"], str]

_TEXTS: Final = (
    "",
    "a",
    "alice",
    "Admin",
    "10",
    "-1",
    "é",
    "\U0001f431x",
    "z",
    " x ",
    "true",
    "1.5",
    "a,b",
    "tools:read",
    "aXbXc",
    "%",
)
_INTS: Final = (
    "0",
    "1",
    "2",
    "3",
    "5",
    "-1",
    "-7",
    "10",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "0x1F",
    "4294967296",
)
_UINTS: Final = ("0u", "1u", "2u", "7u", "18446744073709551615u", "0xFFu")
_DOUBLES: Final = (
    "0.0",
    "1.0",
    "-1.5",
    "2.5",
    "0.1",
    "1e3",
    "3.0",
    "1e19",
    "-0.0",
    "1e300",
    "9007199254740993.0",
    "5.5",
)
_PATTERNS: Final = (
    "a.*",
    "^a",
    "e$",
    "[a-z]+",
    "^[0-9]+$",
    "(a|b)c?",
    "\\\\d",
    "x{2}",
    "^$",
    "(?i)ALICE",
    "\\\\bool\\\\b",
    ".",
    "[^a]",
)
_TIMES: Final = (
    *(
        "2024-02-29T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "2020-01-01T00:00:00.5Z",
        "1999-12-31T12:30:15+02:00",
        "9999-12-31T23:59:59Z",
    ),
    *("0001-01-01T00:00:00Z", "2024-13-01T00:00:00Z"),
)
_SPANS: Final = ("1h", "90s", "1.5h", "-2m", "0s", "250ms", "1h30m", "3000000h", "-1ns", "x")
_ORDER: Final = ("<", "<=", ">", ">=")
_EQUAL: Final = ("==", "!=")
_PARTS: Final = (
    "FullYear",
    "Month",
    "Date",
    "DayOfMonth",
    "DayOfWeek",
    "DayOfYear",
    "Hours",
    "Minutes",
    "Seconds",
    "Milliseconds",
)
_ZONES: Final = ("", "", "'UTC'", "'-07:00'", "'+05:30'", "'Europe/Berlin'", "'Nowhere'")


def facts(rng: random.Random) -> dict[str, object]:
    """The variable `x`: a JSON object, its members of one type each."""

    def word() -> str:
        return rng.choice(_TEXTS)

    def number() -> int:
        return rng.choice((0, 1, 2, 3, 5, -1, 7, 100, 2**53))

    return {
        "s": word(),
        "i": number(),
        "d": rng.choice((0.5, 1.0, -2.5, 100.0, 3.0)),
        "b": rng.random() < 0.5,
        "n": None,
        "ss": [word() for _ in range(rng.randint(0, 4))],
        "is": [number() for _ in range(rng.randint(0, 4))],
        "mix": rng.sample([1, "a", None, True, 2.5, [1], {"a": 1}], 3),
        "m": {word(): number() for _ in range(rng.randint(0, 3))},
        "rows": [{"id": number(), "name": word(), "on": rng.random() < 0.5} for _ in range(rng.randint(0, 3))],
        "deep": {"a": {"b": [number(), {"c": word()}]}},
    }


class Maker:
    """One source of expressions; the same seed makes the same. `kinds` are those it may make."""

    def __init__(self, seed: int, *, extensions: bool) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - draws examples
        self._rules = {kind: (*_STANDARD[kind], *(_EXTENDED.get(kind, ()) if extensions else ())) for kind in KINDS}
        self._depth = 0
        self._bound: list[tuple[str, str]] = []

    def expression(self) -> str:
        """A whole expression."""
        self._depth = 0
        self._bound = []
        return self.of(self.rng.choice(("bool", "bool", "bool", *KINDS)))

    def of(self, kind: str) -> str:
        """An expression that is mostly of that kind."""
        if self.rng.random() < 0.02:
            kind = self.rng.choice(KINDS)
        names = [name for name, bound in self._bound if bound in (kind, "any")]
        if names and self.rng.random() < 0.4:
            return self.rng.choice(names)
        self._depth += 1
        try:
            rules = self._rules[kind] if self.rng.random() * 5 > self._depth else _LEAVES[kind]
            made = self.rng.choice(rules)(self)
        finally:
            self._depth -= 1
        return made if made.isalnum() or self.rng.random() < 0.05 else f"({made})"

    def one(self, words: Sequence[str]) -> str:
        return self.rng.choice(words)

    def binding(self, names: Sequence[tuple[str, str]], kind: str) -> str:
        """An expression in which these names stand for something."""
        outer = self._bound
        self._bound = [*outer, *names]
        try:
            return self.of(kind)
        finally:
            self._bound = outer


def _w(template: str, *parts: "str | Sequence[str]") -> Rule:
    """A rule by its text: `{}` are expressions of the kinds given, or words where a tuple of words is given."""

    def rule(maker: Maker) -> str:
        return template.format(*(maker.of(part) if isinstance(part, str) else maker.one(part) for part in parts))

    return rule


def _macro(template: str, over: str, *bodies: str) -> Rule:
    """A macro over items of a kind: `{0}` is what it goes over, `{1}` the name, the others its bodies."""
    of = {"texts": "text", "ints": "int", "rows": "row", "list": "any", "map": "text"}

    def rule(maker: Maker) -> str:
        name = maker.one(("y", "z", "v"))
        made = maker.of(over)
        return template.format(made, name, *(maker.binding([(name, of[over])], body) for body in bodies))

    return rule


def _quoted(words: Sequence[str]) -> tuple[str, ...]:
    return tuple("'" + word + "'" for word in words)


_LEAVES: Final[Mapping[str, Sequence[Rule]]] = {
    "bool": (
        _w("{}", ("true", "false", "x.b")),
        _w("{} {} {}", "int", _ORDER, "int"),
        _w("has(x.{})", ("s", "nope", "m")),
    ),
    "text": (_w("{}", _quoted(_TEXTS)), _w("{}", ("x.s", "x.deep.a.b[1].c", "x['s']", 'r"\\d"'))),
    "int": (_w("{}", _INTS), _w("{}", _INTS[:8]), _w("{}", ("x.i", "x.deep.a.b[0]", "size(x.ss)"))),
    "uint": (_w("{}", _UINTS),),
    "double": (_w("{}", _DOUBLES), _w("{}", ("x.d",))),
    "bytes": (_w("{}", ("b'abc'", "b''", "b'\\xff'", "b'a'")),),
    "texts": (_w("{}", ("x.ss", "['a', 'b']", "['b', 'a', 'c']")),),
    "ints": (_w("{}", ("x.is", "[1, 2, 3]", "[3, 1, 2]", "[1, 1]")),),
    "rows": (_w("{}", ("x.rows", "[{'id': 1, 'name': 'a', 'on': true}]")),),
    "row": (_w("{}", ("{'id': 1, 'name': 'a', 'on': true}", "x.rows[0]")),),
    "list": (_w("{}", ("x.mix", "[]", "[1, 'a']", "[null]", "x.ss", "x.is", "[1, 1.0, 1u]")),),
    "map": (_w("{}", ("x.m", "x.deep", "{}", "{'a': 1, 'b': 2}", "{1: 'a', 2u: 'b'}", "{true: 1}")),),
    "time": (_w("timestamp({})", _quoted(_TIMES)), _w("timestamp({})", ("0", "1700000000"))),
    "span": (_w("duration({})", _quoted(_SPANS)),),
    "any": (_w("{}", ("null", "x.n", "x", "x.nope", "type(1)", "true", "1", "'a'", "1.0", "[1]", "{'a': 1}")),),
}
KINDS: Final = tuple(_LEAVES)
_NUMBERS: Final = ("int", "uint", "double")

_STANDARD: Final[Mapping[str, Sequence[Rule]]] = {
    "bool": (
        *(
            _w("{} {} {}", kind, (*_ORDER, *_EQUAL), kind)
            for kind in ("int", "uint", "double", "text", "bytes", "time", "span")
        ),
        *(_w("{} {} {}", kind, _ORDER, other) for kind in _NUMBERS for other in _NUMBERS if kind != other),
        *(_w("{} {} {}", kind, _EQUAL, other) for kind in _NUMBERS for other in _NUMBERS if kind != other),
        *(_w("{} {} {}", kind, _EQUAL, kind) for kind in ("list", "map", "any", "bool", "texts", "ints")),
        *(
            _w("{} {} {}", "bool", ("&&", "||"), "bool"),
            _w("{} {} {} {} {}", "bool", ("&&", "||"), "any", ("&&", "||"), "bool"),
        ),
        *(_w("!{}", "bool"), _w("{} ? {} : {}", "bool", "bool", "bool")),
        *(
            _w("{} in {}", "any", "list"),
            _w("{} in {}", "text", "texts"),
            _w("{} in {}", "int", "ints"),
            _w("{} in {}", "text", "map"),
        ),
        *(
            _w("{}.{}({})", "text", ("startsWith", "endsWith", "contains"), "text"),
            _w("{}.matches({})", "text", _quoted(_PATTERNS)),
        ),
        *(
            _macro("{0}.{{}}({1}, {2})".replace("{{}}", macro), over, "bool")
            for macro in ("all", "exists", "exists_one")
            for over in ("texts", "ints", "rows", "list", "map")
        ),
        *(
            _w("has({}.{})", "row", ("id", "nope")),
            _w("has({}.a)", "map"),
            _w("type({}) {} type({})", "any", _EQUAL, "any"),
        ),
        _w("bool({})", "text"),
    ),
    "text": (
        *(
            _w("{} + {}", "text", "text"),
            _w("{} ? {} : {}", "bool", "text", "text"),
            _w("{}[{}]", "texts", "int"),
            _w("{}.name", "row"),
        ),
        *(_w("string({})", kind) for kind in ("int", "uint", "double", "text", "bytes", "time", "span", "bool")),
    ),
    "int": (
        *(
            _w("{} {} {}", "int", ("+", "-", "*", "/", "%"), "int"),
            _w("-{}", "int"),
            _w("size({})", "text"),
            _w("{}.size()", "list"),
        ),
        *(
            _w("size({})", "map"),
            _w("int({})", "double"),
            _w("int({})", "text"),
            _w("int({})", "uint"),
            _w("int({})", "time"),
            _w("{}[{}]", "ints", "int"),
        ),
        *(
            _w("{}.get{}({})", "time", _PARTS, _ZONES),
            _w("{}.get{}()", "span", ("Hours", "Minutes", "Seconds", "Milliseconds")),
        ),
        *(
            _w("{} ? {} : {}", "bool", "int", "int"),
            _w("{}.id", "row"),
            _w("{}[{}]", "map", "text"),
            _w("size({})", "bytes"),
        ),
    ),
    "uint": (
        *(
            _w("{} {} {}", "uint", ("+", "-", "*", "/", "%"), "uint"),
            _w("uint({})", "int"),
            _w("uint({})", "double"),
            _w("uint({})", "text"),
        ),
    ),
    "double": (
        *(
            _w("{} {} {}", "double", ("+", "-", "*", "/"), "double"),
            _w("-{}", "double"),
            _w("double({})", "int"),
            _w("double({})", "text"),
            _w("double({})", "uint"),
        ),
    ),
    "bytes": (_w("bytes({})", "text"), _w("{} + {}", "bytes", "bytes")),
    "texts": (
        *(
            _macro("{0}.map({1}, {2})", "texts", "text"),
            _macro("{0}.filter({1}, {2})", "texts", "bool"),
            _w("{} + {}", "texts", "texts"),
            _w("[{}, {}]", "text", "text"),
        ),
        *(_macro("{0}.map({1}, {2})", "rows", "text"), _macro("{0}.map({1}, {2})", "map", "text")),
    ),
    "ints": (
        *(
            _macro("{0}.map({1}, {2})", "ints", "int"),
            _macro("{0}.map({1}, {2}, {3})", "ints", "bool", "int"),
            _macro("{0}.filter({1}, {2})", "ints", "bool"),
        ),
        *(_w("[{}, {}]", "int", "int"), _w("{} + {}", "ints", "ints")),
    ),
    "rows": (_macro("{0}.filter({1}, {2})", "rows", "bool"), _w("[{}]", "row")),
    "row": (_w("{{'id': {}, 'name': {}}}", "int", "text"), _w("{}[{}]", "rows", "int")),
    "list": (
        *(
            _w("[{}, {}]", "any", "any"),
            _w("{} + {}", "list", "list"),
            _macro("{0}.map({1}, {2})", "list", "any"),
            _macro("{0}.filter({1}, {2})", "list", "bool"),
        ),
        _macro("{0}.map({1}, {2})", "map", "any"),
    ),
    "map": (
        _w("{{{}: {}, {}: {}}}", "text", "any", "text", "any"),
        _w("{{{}: {}}}", "any", "any"),
        _w("{{{}: 1, {}: 2}}", "int", "uint"),
    ),
    "time": (_w("{} {} {}", "time", ("+", "-"), "span"), _w("timestamp({})", "text")),
    "span": (_w("{} {} {}", "span", ("+", "-"), "span"), _w("{} - {}", "time", "time"), _w("-{}", "span")),
    "any": (
        *(_w("{}", kind) for kind in KINDS),
        *(
            _w("{}[{}]", "list", "int"),
            _w("{}[{}]", "list", "double"),
            _w("{}[{}]", "map", "any"),
            _w("{}.a", "map"),
            _w("{} ? {} : {}", "bool", "any", "any"),
        ),
        *(
            _w("{} + {}", "any", "any"),
            _w("dyn({})", "any"),
            _w("type({})", "any"),
            _w("-{}", "any"),
            _w("size({})", "any"),
        ),
    ),
}

_EXTENDED: Final[Mapping[str, Sequence[Rule]]] = {
    "bool": (
        *(
            _w("optional.of({}).hasValue()", "any"),
            _w("optional.ofNonZeroValue({}).hasValue()", "any"),
            _w("{}.?a.hasValue()", "map"),
        ),
        *(
            _w("math.{}({})", ("isNaN", "isInf", "isFinite"), "double"),
            _w("optional.of({}) == optional.of({})", "any", "any"),
        ),
    ),
    "text": (
        *(
            _w("{}.charAt({})", "text", "int"),
            _w("{}.{}()", "text", ("lowerAscii", "upperAscii", "trim")),
            _w("{}.reverse()", "text"),
        ),
        *(
            _w("{}.replace({}, {})", "text", "text", "text"),
            _w("{}.replace({}, {}, {})", "text", "text", "text", "int"),
        ),
        *(
            _w("{}.substring({})", "text", "int"),
            _w("{}.substring({}, {})", "text", "int", "int"),
            _w("{}.join({})", "texts", "text"),
            _w("{}.join()", "texts"),
        ),
        *(
            _w("base64.encode({})", "bytes"),
            _w("{}.?name.orValue({})", "row", "text"),
            _w("optional.of({}).orValue({})", "text", "text"),
        ),
        _w("'{}'.format([{}])", ("%s", "a%sb", "%d", "%.2f", "%x", "%X", "%b", "%o", "%e", "%%", "%s%s"), "any"),
        _w("strings.quote({})", "text"),
    ),
    "int": (
        *(
            _w("{}.indexOf({})", "text", "text"),
            _w("{}.lastIndexOf({})", "text", "text"),
            _w("{}.indexOf({}, {})", "text", "text", "int"),
        ),
        *(
            _w("math.{}({})", ("abs", "sign", "bitNot"), "int"),
            _w(
                "math.{}({}, {})",
                ("greatest", "least", "bitAnd", "bitOr", "bitXor", "bitShiftLeft", "bitShiftRight"),
                "int",
                "int",
            ),
        ),
        *(
            _w("math.{}({})", ("greatest", "least"), "ints"),
            _w("cel.bind(w, {}, w + w)", "int"),
            _w("{}[?{}].orValue({})", "ints", "int", "int"),
        ),
        *(_w("{}.?id.optMap(w, w + 1).orValue({})", "row", "int"), _w("optional.none().orValue({})", "int")),
    ),
    "double": (
        _w("math.{}({})", ("ceil", "floor", "round", "trunc", "abs", "sign", "sqrt"), "double"),
        _w("math.{}({}, {})", ("greatest", "least"), "double", "int"),
    ),
    "bytes": (_w("base64.decode({})", ("'YWJj'", "'YQ=='", "'YQ'", "'!'", "''")),),
    "texts": (
        _w("{}.split({})", "text", "text"),
        _w("{}.split({}, {})", "text", "text", "int"),
        _w("[?optional.of({}), ?optional.none()]", "text"),
    ),
    "list": (_w("[?{}.?a, {}]", "map", "any"),),
    "map": (_w("{{?'a': {}.?a, 'b': {}}}", "map", "any"),),
    "any": (
        _w("{}.?a.orValue({})", "map", "any"),
        _w("optional.of({}).value()", "any"),
        _w("{}[?{}].or(optional.of({})).value()", "list", "int", "any"),
    ),
}
"""What C++ CEL for Python has, too: strings, math, encoders, bindings, optionals."""
