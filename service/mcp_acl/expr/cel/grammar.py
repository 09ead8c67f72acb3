"""Text to syntax tree: cel-python's lark grammar, and what to tell a person when a text does not fit it.

Knows no nodes and no names. The grammar file is read without importing its package, which would pull in an evaluator
that is not used, and a parser that is one object for the whole process. LALR keeps its own stack, so nesting costs
memory here, never recursion.
"""

import pkgutil
import re
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import lark

from mcp_acl.problems import Problem, SourceError, Span, place_in


class Tree:
    """A rule that says something, with the parts that do: the grammar's own, without punctuation and levels of precedence.

    `start` and `end` are where it stands, the outer ones with the parentheses around it.
    """

    __slots__ = ("children", "data", "end", "outer_end", "outer_start", "start")

    def __init__(self, data: str, children: "list[Tree | lark.Token]", start: int, end: int) -> None:
        self.data = data
        self.children = children
        self.start = self.outer_start = start
        self.end = self.outer_end = end


def _cel_python() -> str:
    """The grammar file of cel-python."""
    spec = find_spec("celpy")
    assert spec is not None
    assert spec.submodule_search_locations
    assert spec.loader is not None
    data: bytes = spec.loader.get_data(f"{spec.submodule_search_locations[0]}/cel.lark")  # type: ignore[attr-defined]
    return data.decode()


def _ours() -> str:
    data = pkgutil.get_data(__package__, "syntax.lark")
    assert data is not None
    return data.decode()


_CHAINS: Final = frozenset(
    {
        "expr",
        "conditionalor",
        "conditionaland",
        "relation",
        "addition",
        "multiplication",
        "unary",
        "member",
        "primary",
        "paren_expr",
    }
)
"""The rules that stand for their only child, if they have but one."""

_SAYING: Final = frozenset(
    {
        *("IDENT", "QUOTED", "INT_LIT", "UINT_LIT", "FLOAT_LIT"),
        *("STRING_LIT", "MLSTRING_LIT", "BYTES_LIT", "BOOL_LIT", "NULL_LIT"),
    }
)
"""The tokens that are no punctuation."""


def _made(data: str, parts: "list[Tree | lark.Token]") -> Tree:
    """What the parser makes of a rule and all of its parts."""
    first, last = parts[0], parts[-1]
    start = first.outer_start if isinstance(first, Tree) else first.start_pos or 0
    end = last.outer_end if isinstance(last, Tree) else last.end_pos or 0
    children = [part for part in parts if isinstance(part, Tree) or part.type in _SAYING]
    if len(children) == 1 and data in _CHAINS:
        (only,) = children
        assert isinstance(only, Tree)
        only.outer_start, only.outer_end = start, end
        return only
    return Tree(data, children, start, end)


_MADE: Final[Any] = _made


@cache
def _parser() -> lark.Lark:
    """Made when there is something to parse: it takes longer than all else that a process does before it serves."""
    return lark.Lark(
        f"{_cel_python()}\n{_ours()}",
        parser="lalr",
        start="expr",
        maybe_placeholders=False,
        keep_all_tokens=True,
        tree_class=_MADE,
    )


def parse_tree(text: str) -> Tree:
    """The syntax tree. Raises `SourceError` with one problem, `cel-syntax`."""
    try:
        tree: Any = _parser().parse(text)
    except lark.UnexpectedInput as error:
        raise SourceError([_problem(text, error)]) from None
    assert isinstance(tree, Tree)
    return tree


def subtree(tree: Tree, position: int) -> Tree:
    """A child that is a tree."""
    child = tree.children[position]
    assert isinstance(child, Tree)
    return child


def token(tree: Tree, position: int) -> lark.Token:
    """A child that is a token."""
    child = tree.children[position]
    assert isinstance(child, lark.Token)
    return child


def arguments(tree: Tree) -> list[Tree]:
    """The arguments of a call, whose list is its last child if it has any."""
    last = tree.children[-1]
    return trees(last) if isinstance(last, Tree) and last.data == "exprlist" else []


def trees(tree: Tree) -> list[Tree]:
    """The children that are trees."""
    return [child for child in tree.children if isinstance(child, Tree)]


def span_of(part: Tree | lark.Token) -> Span:
    """Where a part stands in the text."""
    if isinstance(part, lark.Token):
        return Span(part.start_pos or 0, part.end_pos or 0)
    return Span(part.start, part.end)


def outer_span_of(tree: Tree) -> Span:
    """Where a tree stands with the parentheses around it."""
    return Span(tree.outer_start, tree.outer_end)


# ---- syntax errors -------------------------------------------------------------------------------------------------

_QUOTE: Final = re.compile(r"['\"]")
_WORDS: Final = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_AT: Final = (
    (re.compile(r"=(?!=)"), "compare with `==`"),
    (re.compile(r"&(?!&)"), "write `&&`"),
    (re.compile(r"\|(?!\|)"), "write `||`"),
    (_QUOTE, "close the quote; a string with line breaks stands in triple quotes"),
    (re.compile("[\u2018\u2019\u201c\u201d]"), "use straight quotes"),
    (re.compile(r"`"), "quote fields only, with letters, digits, `_.-/` and spaces between the backticks"),
    *((re.compile(rf"{word}\b"), f"write `{sign}`") for word, sign in _WORDS.items()),
)
"""What a text that goes on like this may have meant."""

_BEFORE: Final = tuple((re.compile(rf"\b{word}\s*$"), f"write `{sign}`") for word, sign in _WORDS.items())
_EL_BLOCK: Final = re.compile(r"\s*\{\s*#")


def _problem(text: str, error: lark.UnexpectedInput) -> Problem:
    span = _unexpected(text, error)
    place = place_in(text, span)
    if _EL_BLOCK.match(text):
        hint = "this is an EL block: it belongs in `condition`, not in `cel`"
        return Problem("cel-syntax", "`{#` does not begin a CEL expression", place, hint)
    return Problem("cel-syntax", _message(text, span), place, _hint(text, span))


def _unexpected(text: str, error: lark.UnexpectedInput) -> Span:
    """Where the text stops making sense; its end if there is too little of it."""
    if isinstance(error, lark.UnexpectedToken) and isinstance(error.token, lark.Token):
        end = len(text.rstrip())
        return Span(end, end) if error.token.type == "$END" else span_of(error.token)
    position: object = error.pos_in_stream
    start = position if isinstance(position, int) else 0
    return Span(start, start + 1)


def _message(text: str, span: Span) -> str:
    if not text.strip():
        return "the expression is empty"
    found = text[span.start : span.end]
    if not found:
        return "the expression ends too early"
    if _QUOTE.match(found) and len(found) == 1:
        return "a quote is not closed"
    shown = found[:40] if found.isprintable() else " ".join(f"U+{ord(char):04X}" for char in found[:1])
    return f"unexpected `{shown}`"


def _hint(text: str, span: Span) -> str:
    for pattern, hint in _AT:
        if pattern.match(text, span.start):
            return hint
    before = text[max(0, span.start - 40) : span.start]
    return next((hint for pattern, hint in _BEFORE if pattern.search(before)), "")
