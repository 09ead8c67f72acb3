"""Makes conditions at random, of the parts of EL that are thin in the file of cases: typed mostly, of a wrong type now and then."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

FACTS: Final[Mapping[str, object]] = {
    "user": "alice",
    "word": "Straße 😀 x",
    "csv": "alice, bob,,carol",
    "plan": None,
    "n": 7,
    "big": 9_007_199_254_740_991,
    "user.roles": ["read", "write", "admin"],
    "jwt.claims": {
        "sub": "alice",
        "role": "admin",
        "scope": "openid tools:read",
        "groups": ["eng", "ops", "eng"],
        "aud": ["mcp"],
        "exp": 1_893_456_000,
        "level": 5,
        "share": 0.25,
        "admin": True,
        "nul": None,
        "empty": "",
        "numbers": [3, 1, 2, -4],
        "mixed": [1, "1", None, True, 1.0],
        "teams": [{"id": 1, "name": "a", "on": True}, {"id": 2, "name": "b", "on": False}, {"id": 3}],
        "realm": {"roles": ["r1", "r2"], "deep": {"x": {"y": 1}}},
    },
    "oauth.payload": '{"active":true,"scope":"read write","groups":["g1","g2"],"n":3,"nul":null,"o":[{"a":1,"b":"x"},{"a":2}]}',
}
"""The attributes that conditions read."""

_CLAIMS: Final = "#context.attributes['jwt.claims']"
_TEXTS: Final = (
    "alice",
    "",
    "a",
    "Admin",
    "10",
    "9",
    "-1",
    "é",
    "Ünï",
    "😀",
    "\uffee",
    "z",
    " x ",
    "true",
    "1.5",
    "a,b",
    "tools:read",
)
_INTS: Final = (
    *("0", "1", "2", "3", "5", "7", "10", "100", "-1", "-3", "2147483647", "-2147483648", "2147483648L", "4294967296L"),
    *("9223372036854775807L", "0x1F", "0xFFL", "65536", "1L", "5L", "-7L", "3000000000L"),
)
_REALS: Final = ("0.0", "1.0", "-1.5", "2.5f", "0.1", "1e3", "3.0", "5.0d", "0.25", "1e10", "-0.0", "99.99")
_PATTERNS: Final = (
    *(
        "a.*",
        ".*",
        "[a-z]+",
        "\\d+",
        "\\w*",
        "(a|b)+",
        "^a",
        "e$",
        "\\s",
        "[^,]*",
        "a?b?c?",
        "\\p{L}+",
        "x{2,3}",
        "(?i)ALICE",
    ),
    *("\\bool\\b", ".", "..", "\\D*", "[\\w:]+", "tools:(read|write)", "(?s).*", "[é-ü]", "\\.", "[,; ]+"),
)
_COMPARISONS: Final = ("==", "!=", "<", ">", "<=", ">=", "eq", "ne", "lt", "gt", "le", "ge", "EQ", "Lt")
_ZONES: Final = ("Z", "+02:00", "UTC")
_UNITS: Final = ("DAYS", "HOURS", "MONTHS", "YEARS", "WEEKS", "MINUTES")
_PATHS: Final = (
    *(
        "$.n",
        "$.nope",
        "$.nope.x",
        "$.groups",
        "$.groups[0]",
        "$.groups[9]",
        "$.o[*].a",
        "$..a",
        "$.o[?(@.a > 1)]",
        "$['scope']",
    ),
    *(
        "$.o[?(@.b == 'x')].a",
        "$.o[-1].a",
        "$.groups.length()",
        "$.o[0:1]",
        "$.nul",
        "$",
        "$.o[?(@.b)]",
        "$.o[0,1].a",
        "$.o.a",
    ),
    *(
        "$.o[?(@.a in [1,3])]",
        "$.o[?(!(@.a == 1))].a",
        "$.groups[?(@ =~ /g.*/)]",
        "$.o[?(@.a >= 1 && @.b != 'y')]",
        "$.*",
    ),
)

Rule = Callable[["Maker"], str]


class Maker:
    """One source of conditions; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - draws examples
        self._depth = 0
        self._inside = 0

    def condition(self) -> str:
        """A whole condition, mostly one block."""
        self._depth = self._inside = 0
        if self.rng.random() < 0.06:
            return self._template()
        return "{(" + self.of("bool" if self.rng.random() < 0.7 else self.rng.choice(KINDS)) + ")}"

    def _template(self) -> str:
        blocks = [
            self.rng.choice(("", "a", " ", "tru", "e", "-", "{", "}", "$", "{ }", "{#", "{(", "{{")) for _ in range(3)
        ]
        made = ["{(" + self.of(self.rng.choice(KINDS)) + ")}" for _ in range(self.rng.randint(1, 2))]
        return blocks[0] + blocks[1].join(made) + blocks[2]

    def of(self, kind: str) -> str:
        """An expression that is mostly of that kind."""
        if self.rng.random() < 0.02:
            kind = self.rng.choice(KINDS)
        self._depth += 1
        rules = _RULES[kind] if self.rng.random() * 4 > self._depth - 1 else _LEAVES[kind]
        try:
            made = self.rng.choice(rules)(self)
        finally:
            self._depth -= 1
        is_one = made.isalnum() or (made[0] in "('{#" and " " not in made)
        return made if is_one or self.rng.random() < 0.1 else f"({made})"

    def one(self, words: Sequence[str]) -> str:
        return self.rng.choice(words)

    def dot(self) -> str:
        """How a step is taken: now and then with care for null."""
        return self.rng.choice((".", ".", ".", "?."))

    def quoted(self, text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    def index(self) -> str:
        return str(self.rng.choice((0, 0, 0, 0, 1, 1, 1, 2, 2, 3, -1, 9)))

    def body(self, kind: str) -> str:
        """What stands in the brackets of a selection or projection: there `#this` is an item."""
        self._inside += 1
        try:
            return self.of(kind)
        finally:
            self._inside -= 1


def _f(template: str, *kinds: str) -> Rule:
    """A rule by its text: `{}` are expressions of the kinds given; a kind that is a tuple of words is one of these."""

    def rule(maker: Maker) -> str:
        return template.format(*(maker.of(kind) for kind in kinds))

    return rule


def _w(template: str, *parts: "str | Sequence[str]") -> Rule:
    """The same with words among the parts: a tuple is one of its words, `.` a step, `#` an index, `[kind]` a body."""

    def fill(maker: Maker, part: "str | Sequence[str]") -> str:
        if not isinstance(part, str):
            return maker.one(part)
        if part in (".", "#"):
            return maker.dot() if part == "." else maker.index()
        return maker.body(part[1:-1]) if part.startswith("[") else maker.of(part)

    return lambda maker: template.format(*(fill(maker, part) for part in parts))


def _quoted(words: Sequence[str]) -> tuple[str, ...]:
    return tuple("'" + word.replace("'", "''") + "'" for word in words)


def _this(maker: Maker) -> str:
    return "#this" if maker._inside else maker.one(("null", "'a'", "1", "2L"))


_PLAIN_LEAVES: Final[Mapping[str, Sequence[Rule]]] = {
    "bool": (
        *(_w("{}", ("true", "false", "TRUE")), _w(f"{_CLAIMS}{{}}admin", "."), _w("{} == {}", "text", "text")),
        *(_w("{} {} {}", "num", _COMPARISONS, "num"), _w("{} == null", "any"), _this),
    ),
    "text": (
        _w("{}", _quoted(_TEXTS)),
        _w("{}", ("#context.attributes['user']", "#context.attributes['word']", "#context.attributes['csv']")),
        _w(f"{_CLAIMS}{{}}{{}}", ".", ("role", "scope", "sub", "empty", "role", "sub", "scope", "nope")),
        _this,
    ),
    "num": (
        _w("{}", _INTS),
        _w("{}", _INTS[:9]),
        _w("{}", _INTS[:9]),
        _w("{}", _REALS),
        _w(f"{_CLAIMS}{{}}{{}}", ".", ("level", "share", "level", "share", "level", "nul")),
        _w("#context.attributes['{}']", ("n", "big")),
        _this,
    ),
    "list": (
        _w("{{{}, {}}}", "text", "text"),
        _w("{{{}, {}, {}}}", "num", "num", "num"),
        _w(
            f"{_CLAIMS}{{}}{{}}",
            ".",
            ("groups", "numbers", "mixed", "teams", "aud", "numbers", "groups", "groups", "nope"),
        ),
        _w("{}", ("{}", "#context.attributes['user.roles']", "{1,2,2L,3.0}", "{null, 'a'}", "{'b','a','c'}")),
    ),
    "map": (
        _w("{{a: {}, b: {}}}", "num", "text"),
        _w("{{'{}': {}, {}: 1}}", _TEXTS[:4], "any", ("a", "b", "'x y'", "1")),
        _w(f"{_CLAIMS}{{}}", (".realm", "", ".realm.deep", "['teams'][0]", "['nope']", ".?[true]")),
        _w("{}", ("{:}", "{1: 'a', 2: 'b'}", "{a: {b: 1}}")),
    ),
    "date": (
        _w("T(java.time.LocalDate).parse('{}')", ("2024-02-29", "1999-12-31", "2023-03-01", "2024-13-01")),
        _w(
            "T(java.time.LocalDate).of({}, {}, {})", ("2024", "2023", "1970"), ("1", "2", "12"), ("1", "28", "29", "31")
        ),
        _w("T(java.time.LocalDate).ofEpochDay({})", ("0", "19000", "-1", "5L")),
    ),
    "moment": (
        _w(
            "T(java.time.LocalDateTime).parse('{}')",
            ("2024-02-29T23:59:59", "2020-01-01T00:00", "1999-12-31T12:30:15.5"),
        ),
        _w(
            "T(java.time.ZonedDateTime).parse('2024-05-06T07:08:09{}')",
            _ZONES[:2],
        ),
        _w(
            "T(java.time.LocalDateTime).of(2024, {}, {}, {}, 30)",
            ("1", "2", "12"),
            ("1", "29", "30"),
            ("0", "23", "24"),
        ),
    ),
    "old": (_w(f"{_CLAIMS}.exp"), _w("new java.util.Date({}L)", ("0", "86400000", "1700000000000", "-1"))),
}
_LEAVES: Final[Mapping[str, Sequence[Rule]]] = {
    **_PLAIN_LEAVES,
    "any": tuple(rule for rules in _PLAIN_LEAVES.values() for rule in rules),
}

_DECIMALS: Final = tuple(f"new java.math.BigDecimal('{one}')" for one in ("1.50", "2", "-0.5"))
_DECIMAL: Final = _w(
    "new java.math.BigDecimal('{}')", ("1.50", "0", "-2.5", "100", "1E+3", "0.10", "12345678901234567890")
)

_RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "bool": (
        *(_w("{} {} {}", "num", _COMPARISONS, "num"), _w("{} {} {}", "text", _COMPARISONS, "text")),
        *(_w("{} {} {}", "any", _COMPARISONS[:6], "any"), _w("{} {} {}", "list", ("==", "!="), "list")),
        *(_w("{} {} {}", "map", ("==", "!="), "map"), _w("{} {} {}", "date", _COMPARISONS, "date")),
        *(_w("{} {} {}", "bool", ("&&", "||", "and", "or", "AND"), "bool"), _w("{} ({})", ("!", "not", "!!"), "bool")),
        *(_w("({} ? {} : {})", "bool", "bool", "bool"), _w("({} ?: {})", "bool", "bool")),
        *(_w("{} between {{{}, {}}}", "num", "num", "num"), _w("{} between {{{}, {}}}", "text", "text", "text")),
        _w("{} matches {}", "text", _quoted(_PATTERNS)),
        _w("{} matches {}", "any", _quoted(_PATTERNS)),
        _w("{}{}matches({})", "text", ".", _quoted(_PATTERNS)),
        _w(
            "{} instanceof T({})",
            "any",
            (
                "String",
                "Integer",
                "Long",
                "Double",
                "Number",
                "java.util.List",
                "java.util.Map",
                "Boolean",
                "Comparable",
            ),
        ),
        *(_w("{}{}contains({})", "text", ".", "text"), _w("{}{}contains({})", "list", ".", "any")),
        *(
            _w(
                "{}{}{}({})",
                "text",
                ".",
                ("startsWith", "endsWith", "equals", "equalsIgnoreCase", "contentEquals"),
                "text",
            ),
        ),
        *(
            _w("{}{}isEmpty()", "any", "."),
            _w("{}{}isBlank()", "text", "."),
            _w("{}.startsWith({}, {})", "text", "text", "#"),
        ),
        *(_w("{}{}containsKey({})", "map", ".", "any"), _w("{}{}containsValue({})", "map", ".", "any")),
        _w("{}{}equals({})", "any", ".", "any"),
        _w("T(java.util.Collections).disjoint({}, {})", "list", "list"),
        *(_w("{}.{}({})", "date", ("isAfter", "isBefore", "isEqual", "equals"), "date"), _w("{}.isLeapYear()", "date")),
        *(
            _w("{}.{}({})", "moment", ("isAfter", "isBefore", "equals"), "moment"),
            _w("{}{}{}({})", "old", ".", ("after", "before", "equals"), "old"),
        ),
        *(_w("{} {} {}", "old", _COMPARISONS[:6], "old"), _w("{} {} {}", "moment", _COMPARISONS[:6], "moment")),
        _w("{}.regionMatches({}, {}, 0, {})", "text", ("true", "false"), "#", "text"),
        _w("{}.compareTo({}) {} 0", "text", "text", _COMPARISONS),
        _w("T(Double).isNaN({})", "num"),
        _w("{}.{}.isEmpty()", "map", ("keySet()", "values()", "entrySet()")),
    ),
    "text": (
        *(_w("{} + {}", "text", "any"), _w("({} ?: {})", "text", "text"), _w("({} ? {} : {})", "bool", "text", "text")),
        *(
            _w(
                "{}{}{}()",
                "text",
                ".",
                ("toUpperCase", "toLowerCase", "trim", "strip", "toString", "intern", "stripLeading", "stripTrailing"),
            ),
        ),
        *(_w("{}{}substring({})", "text", ".", "#"), _w("{}{}substring({}, {})", "text", ".", "#", "#")),
        *(_w("{}{}replace({}, {})", "text", ".", "text", "text"), _w("{}{}concat({})", "text", ".", "text")),
        _w(
            "{}{}{}({}, {})",
            "text",
            ".",
            ("replaceAll", "replaceFirst"),
            _quoted(_PATTERNS),
            _quoted(("", "x", "$0", "[$0]", "$1", "\\$")),
        ),
        *(_w("{}{}repeat({})", "text", ".", "#"), _w("{} * {}", "text", "#"), _w("T(String).valueOf({})", "any")),
        *(_w("T(String).join({}, {})", "text", "list"), _w("T(String).join('-', {}, {})", "text", "text")),
        _w(
            "T(String).format({}, {})",
            _quoted(("%s", "%d", "%5s|", "%-4s|", "%05d", "%x", "%.2f", "%,d", "%S", "%b", "%%%s", "%2$s", "%c")),
            "any",
        ),
        *(_w("{}[{}]", "text", "#"), _w("{}.charAt({})", "text", "#"), _w("{}{}toString()", "any", ".")),
        *(
            _w("T(Integer).{}({})", ("toString", "toHexString", "toBinaryString", "toOctalString"), "num"),
            _w("T(Integer).toString({}, {})", "num", ("2", "16", "36")),
        ),
        _w("T(Long).{}({})", ("toString", "toHexString"), "num"),
        _w(
            "{}.format(T(java.time.format.DateTimeFormatter).ofPattern('{}'))",
            "date",
            ("yyyy-MM-dd", "dd/MM/yy", "EEE d MMM uuuu", "D", "MMMM"),
        ),
        _w(
            "{}.format(T(java.time.format.DateTimeFormatter).{})",
            "moment",
            ("ISO_DATE", "ISO_LOCAL_DATE_TIME", "ISO_LOCAL_TIME", "BASIC_ISO_DATE"),
        ),
        _w("#jsonPath(#context.attributes['oauth.payload'], '{}')", tuple(path.replace("'", "''") for path in _PATHS)),
        _w("new String({}.getBytes())", "text"),
        _w("T(java.util.Base64).getEncoder().encodeToString({}.getBytes())", "text"),
        _w("new String(T(java.util.Base64).getDecoder().decode({}))", ("'YQ=='", "'YWxpY2U='", "'!'", "''")),
        _w("T(java.net.URLEncoder).encode({}, 'UTF-8')", "text"),
        _w("T(java.net.URLDecoder).decode({}, 'UTF-8')", ("'a%20b'", "'%C3%A9'", "'+'", "'%'")),
    ),
    "num": (
        *(
            _w("{} {} {}", "num", ("+", "-", "*", "/", "%", "div", "mod", "^"), "num"),
            _w("({} {} {})", "num", ("+", "-", "*", "/", "%"), "num"),
        ),
        *(_w("-{}", "num"), _w("({} ?: {})", "num", "num"), _w("({} ? {} : {})", "bool", "num", "num")),
        *(
            _w("{}{}{}()", "text", ".", ("length", "hashCode")),
            _w("{}{}size()", "list", "."),
            _w("{}{}size()", "map", "."),
        ),
        *(
            _w("{}{}indexOf({})", "text", ".", "text"),
            _w("{}.lastIndexOf({})", "text", "text"),
            _w("{}.indexOf({}, {})", "text", "text", "#"),
        ),
        *(
            _w("{}{}compareTo({})", "text", ".", "text"),
            _w("{}.compareToIgnoreCase({})", "text", "text"),
            _w("{}.codePointAt({})", "text", "#"),
        ),
        _w("T(Integer).{}({})", ("parseInt", "valueOf"), "text"),
        _w("T(Integer).parseInt({}, {})", _quoted(("ff", "10", "z", "-7f")), ("16", "2", "36", "1")),
        _w("T(Long).{}({})", ("parseLong", "valueOf"), "text"),
        _w("T(Double).{}({})", ("parseDouble", "valueOf"), "text"),
        _w(
            "T(Math).{}({})",
            ("abs", "round", "floor", "ceil", "sqrt", "signum", "rint", "negateExact", "toIntExact"),
            "num",
        ),
        _w(
            "T(Math).{}({}, {})",
            ("max", "min", "pow", "addExact", "multiplyExact", "floorMod", "floorDiv", "subtractExact"),
            "num",
            "num",
        ),
        _w("T(Integer).{}({}, {})", ("max", "min", "sum", "compare"), "num", "num"),
        _w("T(Integer).{}({})", ("bitCount", "reverse", "signum", "highestOneBit", "numberOfTrailingZeros"), "num"),
        _w("T(Long).{}({}, {})", ("compare", "sum", "max", "compareUnsigned"), "num", "num"),
        _w("T({}).{}", ("Integer", "Long"), ("MAX_VALUE", "MIN_VALUE")),
        _w("{}.{}()", "num", ("intValue", "longValue", "doubleValue", "hashCode", "byteValue", "shortValue")),
        _w("{}{}compareTo({})", "num", ".", "num"),
        *(_w("{}[{}]", "list", "#"), _w("{}{}get({})", "list", ".", "#"), _w("{}{}length", "text", ".")),
        _w("T(java.util.Collections).{}({})", ("max", "min"), "list"),
        _w("T(java.util.Collections).frequency({}, {})", "list", "any"),
        _w("T(java.util.Collections).indexOfSubList({}, {})", "list", "list"),
        *(
            _w(
                "{}.{}",
                "date",
                (
                    "year",
                    "monthValue",
                    "dayOfMonth",
                    "dayOfYear",
                    "dayOfWeek.value",
                    "lengthOfMonth()",
                    "toEpochDay()",
                    "getYear()",
                ),
            ),
        ),
        _w("{}.{}", "moment", ("hour", "minute", "second", "nano", "year", "dayOfMonth", "getHour()")),
        _w("{}{}{}", "old", ".", ("time", "getTime()", "year", "hours", "day", "month", "date", "hashCode()")),
        _w("{}.until({}, T(java.time.temporal.ChronoUnit).{})", "date", "date", _UNITS),
        *(_DECIMAL, _w("({} {} {})", _DECIMALS, ("+", "-", "*", "/", "%"), "num")),
        _w(
            "{}.{}",
            _DECIMALS,
            (
                "scale()",
                "signum()",
                "intValue()",
                "negate()",
                "precision()",
                "abs()",
                "stripTrailingZeros()",
                "toPlainString()",
                "setScale(1)",
            ),
        ),
        _w("{}.{}({})", _DECIMALS, ("add", "subtract", "multiply", "compareTo", "max", "equals"), _DECIMALS),
    ),
    "list": (
        _w("{}{}?[{}]", "list", ".", "[bool]"),
        _w("{}{}![{}]", "list", ".", "[any]"),
        _w("{}{}?[{}].![{}]", "list", ".", "[bool]", "[text]"),
        _w("{}{}?[#this {} {}]", "list", ".", _COMPARISONS, "num"),
        _w(f"{_CLAIMS}.teams.?[{{}} {{}} {{}}]", ("id", "#this.id", "#this['id']"), _COMPARISONS, "num"),
        _w(f"{_CLAIMS}.teams.![{{}}]", ("name", "id", "#this", "on", "name?.length()", "name + id", "#this.size()")),
        _w(
            f"{_CLAIMS}{{}}teams{{}}?[{{}}].![{{}}]",
            ".",
            ".",
            ("on", "on == true", "name == 'a'", "name matches 'a|b'", "id > 1 and on != null"),
            ("id", "name"),
        ),
        _w(
            "{}{}?[{}]",
            "map",
            ".",
            ("key == 'a'", "value != null", "value == 1", "key.length() > 1", "true", "value instanceof T(String)"),
        ),
        _w("{}{}![{}]", "map", ".", ("key", "value", "key + value", "#this.key", "value?.toString()")),
        *(
            _w("{}{}split({})", "text", ".", _quoted((",", " ", ":", "", "[, ]+", "a", "e|i"))),
            _w("{}{}split({}, {})", "text", ".", _quoted((",", " ", "a")), ("-1", "0", "1", "2")),
        ),
        *(
            _w("({} ?: {})", "list", "list"),
            _w("({} ? {} : {})", "bool", "list", "list"),
            _w("{}.toCharArray()", "text"),
        ),
        *(_w("{{{}}}", "any"), _w("{{{}, {}}}", "any", "any"), _w("{{{}, {}}}", "list", "list")),
        _w("{}.{}", "map", ("keySet()", "values()", "entrySet()")),
        _w("new int[]{{{}, {}}}", "num", "num"),
        _w("new String[]{{{}, {}}}", "text", "any"),
    ),
    "map": (
        _w("{{a: {}, b: {}}}", "any", "any"),
        _w("{}{}?[{}]", "map", ".", ("key != 'a'", "value != null", "value == 1", "false")),
        _w("({} ?: {})", "map", "map"),
        _w("{}{}{}", "map", ".", ("a", "b", "deep", "x", "roles", "['a']")),
    ),
    "date": (
        _w(
            "{}.{}({})",
            "date",
            (
                "plusDays",
                "minusDays",
                "plusMonths",
                "minusMonths",
                "plusYears",
                "minusWeeks",
                "withDayOfMonth",
                "withMonth",
                "withDayOfYear",
            ),
            "num",
        ),
        _w("{}.plus({}, T(java.time.temporal.ChronoUnit).{})", "date", "num", _UNITS),
        _w("{}.toLocalDate()", "moment"),
    ),
    "moment": (
        _w(
            "{}.{}({})",
            "moment",
            ("plusHours", "minusMinutes", "plusDays", "plusSeconds", "withHour", "withMinute", "plusNanos"),
            "num",
        ),
        _w("{}.{}", "date", ("atStartOfDay()", "atTime(10, 30)", "atTime(25, 0)")),
        _w("{}.truncatedTo(T(java.time.temporal.ChronoUnit).{})", "moment", _UNITS),
    ),
    "old": (_w("({} ?: {})", "old", "old"), _w(f"{_CLAIMS}?.exp"), _w("({} ? {} : {})", "bool", "old", "old")),
    "any": (
        *(_f("{}", kind) for kind in ("bool", "text", "num", "list", "map", "date", "moment", "old")),
        *(
            _w("{}{}^[{}]", "list", ".", "[bool]"),
            _w("{}{}$[{}]", "list", ".", "[bool]"),
            _w("{}", ("null", "#nope", "#nope?.x?.y", "#nope.x")),
        ),
        *(_w("{}[{}]", "list", "any"), _w("{}[{}]", "map", "text"), _w("{}{}get({})", "map", ".", "any")),
        *(
            _w("{}{}getOrDefault({}, {})", "map", ".", "any", "any"),
            _w("{}?.[{}]", "list", "#"),
            _w("{}?.['{}']", "map", ("a", "roles", "nope")),
        ),
        *(
            _w("({} ?: {})", "any", "any"),
            _w("({} ? {} : {})", "any", "any", "any"),
            _w("{} + {}", "any", "any"),
            _w("{} {} {}", "any", ("-", "*", "/", "%"), "any"),
        ),
        _w(
            f"{_CLAIMS}?.{{}}?.{{}}?.{{}}",
            ("realm", "nope", "teams[0]"),
            ("deep", "roles", "name", "id"),
            ("x", "y", "length()", "[0]", "size()"),
        ),
    ),
}
KINDS: Final = tuple(_RULES)
