"""Name patterns: which names of tools, prompts and resources a rule means.

Names are compared as they stand: no trimming, case folding or Unicode normalisation, because no MCP server does any. Every
pattern but a literal is an RE2 regex that must match the whole name, so that an index can match many at once.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias

import re2

from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.templates import TemplateError, template_regex
from mcp_acl.problems import Span

PatternKind: TypeAlias = Literal["any", "literal", "regex", "glob", "template"]

MAX_PROGRAM: Final = 10_000
"""Instructions RE2 may need for one pattern."""

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True
_OPTIONS.max_mem = 2 << 20

_MEASURED: Final = 32_768  # patterns whose size is kept while a set is checked

_NOTHING: Final = r"[^\x00-\x{10FFFF}]"
"""Stands for what is not well formed: matches no name."""


@dataclass(frozen=True, slots=True)
class NamePattern:
    """One pattern as it was written; `text` is empty for `any`."""

    kind: PatternKind
    text: str = ""

    @property
    def literal(self) -> str | None:
        """The one name it matches, if it is a literal."""
        return self.text if self.kind == "literal" else None

    @property
    def regex(self) -> str | None:
        """An RE2 regex for the whole name, anchored at both ends; None for `any` and a literal."""
        match self.kind:
            case "regex":
                return _user_regex(self.text)
            case "glob":
                return _glob_regex(self.text)
            case "template":
                return _template_regex(self.text)
        return None

    def matches(self, name: str) -> bool:
        """Whether it matches a name. For single use: a policy set has an index for this. Never raises."""
        regex = self.regex
        if regex is None:
            return self.kind == "any" or self.text == name
        try:
            return _compiled(regex).fullmatch(name) is not None
        except (re2.error, UnicodeEncodeError):  # too large a pattern; a lone surrogate, of which no pattern speaks
            return False

    def __str__(self) -> str:
        return self.kind if self.kind == "any" else f"{self.kind} {quoted(self.text)}"


@lru_cache(maxsize=256)
def _compiled(regex: str) -> "re2._Regexp":
    return re2.compile(regex, _OPTIONS)


# ---- pattern texts → RE2 ------------------------------------------------------------------------------------------

_OPEN_QUOTE: Final = re.compile(r"(?:[^\\]|\\[^Q]|\\Q.*?\\E)*+\\Q", re.DOTALL)


def _user_regex(text: str) -> str:
    r"""What the user wrote, as one group. RE2 ends an open `\Q` with the text, so here it is closed."""
    if _refusal(text):
        return _NOTHING
    end = r"\E" if _OPEN_QUOTE.match(text) else ""
    return rf"\A(?:{text}{end})\z"


def _glob_regex(text: str) -> str:
    """`*` is any run of characters, `?` any one; all else stands for itself. Line breaks are characters too."""
    parts = "".join(_GLOB.get(part[0]) or re.escape(part) for part in _GLOB_PARTS.findall(text))
    return rf"\A{parts}\z"


_GLOB: Final = {"*": "(?s:.)*", "?": "(?s:.)"}
_GLOB_PARTS: Final = re.compile(r"\*+|\?|[^*?]+")


def _template_regex(text: str) -> str:
    try:
        return template_regex(text)
    except TemplateError:
        return _NOTHING


# ---- what is wrong with a pattern ---------------------------------------------------------------------------------


class PatternProblem(NamedTuple):
    """Why a pattern cannot be used: a stable code, what is wrong, what to do, where in its text."""

    code: str
    message: str
    hint: str
    span: Span


def pattern_problem(pattern: NamePattern) -> PatternProblem | None:
    """What is wrong with a pattern's text, or None."""
    if pattern.kind == "regex":
        refusal = _refusal(pattern.text)
        if refusal:
            return _regex_problem(pattern.text, refusal)
    if pattern.kind == "template":
        try:
            template_regex(pattern.text)
        except TemplateError as error:
            return PatternProblem("template", error.message, error.hint, error.span)
    if program_size(pattern) > MAX_PROGRAM:
        hint = "use smaller counts, or several rules"
        return PatternProblem(pattern.kind, "the pattern is too large", hint, Span(0, len(pattern.text)))
    return None


@lru_cache(maxsize=_MEASURED)
def program_size(pattern: NamePattern) -> int:
    """Instructions an index needs for it; none for `any` and a literal. What RE2 cannot hold counts as one too many.

    Measured without the anchor: RE2 keeps what an anchored regex begins with apart, a set of them does not.
    """
    regex = pattern.regex
    try:
        return 0 if regex is None else int(_compiled(regex.removeprefix(r"\A")).programsize)
    except (re2.error, UnicodeEncodeError):
        return MAX_PROGRAM + 1


@lru_cache(maxsize=256)
def _refusal(text: str) -> str:
    """What RE2 says against a regex, or `''`. Too large is not among it."""
    try:
        _compiled(text)
    except re2.error as error:
        said = bytes(error.args[0]).decode(errors="replace")
        return "" if said.startswith("pattern too large") else said
    except UnicodeEncodeError:
        return "lone surrogate"
    return ""


_EXCLUDE: Final = "match the whole name, and exclude names by a deny rule"
_PLAIN: Final = "before a letter or digit, `\\` has the meanings of https://github.com/google/re2/wiki/Syntax only"

_REFUSALS: Final = (
    (r"invalid perl operator: \(\?<?[=!]", "RE2 has no lookahead or lookbehind", _EXCLUDE),
    (r"invalid perl operator: \(\?>", "RE2 has no atomic groups", "write `(?:…)`: RE2 never needs them"),
    (r"invalid perl operator", "an unknown group", "write `(…)`, `(?:…)` or the flags `(?i)`, `(?s)`, `(?m)`, `(?U)`"),
    (r"invalid escape sequence: \\[1-9kg]", "RE2 has no backreferences", "write every alternative out"),
    (r"invalid escape sequence: \\[ZG]", "RE2 does not know this escape", "leave it out: the whole name always matches"),
    (r"invalid escape sequence: \\u", "RE2 does not know this escape", r"write `\x{…}`"),
    (r"invalid escape sequence", "RE2 does not know this escape", _PLAIN),
    (r"missing \)", "a `(` is never closed", r"write `\(` for the character itself"),
    (r"unexpected \)", "a `)` that closes nothing", r"write `\)` for the character itself"),
    (r"missing \]", "a `[` is never closed", r"write `\[` for the character itself"),
    (r"trailing", r"a `\` at the end", r"write `\\` for the character itself"),
    (r"no argument for", "nothing to repeat", "write `.*` for any run of characters, or use a glob"),
    (r"bad repetition operator", "two repetitions in a row", "keep one of them"),
    (r"invalid repetition size", "a count above 1,000, or a range upside down", "use smaller counts"),
    (r"invalid character class range", "an unknown character class or a range upside down", "write the lesser character first"),
    (r"invalid named capture", "a group name that is not closed or not a word", "write `(…)`: names of groups mean nothing here"),
)  # fmt: skip
"""A regex for RE2's message, ours, what to do."""

_REFUSED: Final = ("", "RE2 refuses this regex", "see https://github.com/google/re2/wiki/Syntax")


def _regex_problem(text: str, refusal: str) -> PatternProblem:
    """RE2 quotes the part it stumbled over, or the whole."""
    _, message, hint = next((row for row in _REFUSALS if re.match(row[0], refusal)), _REFUSED)
    quoted_part = refusal.partition(": ")[2]
    at = max(0, text.find(quoted_part))
    return PatternProblem("regex", message, hint, Span(at, at + len(quoted_part) or len(text)))
