"""Text to syntax tree: cel-python's lark grammar, and what to tell a person when a text does not fit it.

Knows no nodes and no names. The grammar file is read without importing its package, which would pull in an evaluator
that is not used, and a parser that is one object for the whole process. LALR keeps its own stack, so nesting costs
memory here, never recursion.
"""

import pkgutil
import re
from importlib.util import find_spec
from typing import Final, TypeAlias

import lark

from mcp_acl.problems import Problem, SourceError, Span, place_in

Tree: TypeAlias = lark.Tree[lark.Token]


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


_PARSER: Final = lark.Lark(
    f"{_cel_python()}\n{_ours()}", parser="lalr", start="expr", propagate_positions=True, maybe_placeholders=False
)

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


def parse_tree(text: str) -> Tree:
    """The syntax tree. Raises `SourceError` with one problem, `cel-syntax`."""
    try:
        return inner(_PARSER.parse(text))
    except lark.UnexpectedInput as error:
        raise SourceError([_problem(text, error)]) from None


def inner(tree: Tree) -> Tree:
    """The first tree that says something, below the levels of precedence and parentheses around it."""
    while tree.data in _CHAINS and len(tree.children) == 1:
        tree = subtree(tree, 0)
    return tree


def subtree(tree: Tree, position: int) -> Tree:
    """A child that is a tree."""
    child = tree.children[position]
    assert isinstance(child, lark.Tree)
    return child


def token(tree: Tree, position: int) -> lark.Token:
    """A child that is a token."""
    child = tree.children[position]
    assert isinstance(child, lark.Token)
    return child


def arguments(tree: Tree) -> list[Tree]:
    """The arguments of a call, whose list is its last child if it has any."""
    last = tree.children[-1]
    return [inner(child) for child in trees(last)] if isinstance(last, lark.Tree) and last.data == "exprlist" else []


def trees(tree: Tree) -> list[Tree]:
    """The children that are trees."""
    return [child for child in tree.children if isinstance(child, lark.Tree)]


def span_of(part: Tree | lark.Token) -> Span:
    """Where a part stands in the text."""
    if isinstance(part, lark.Token):
        return Span(part.start_pos or 0, part.end_pos or 0)
    return Span(part.meta.start_pos, part.meta.end_pos)


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
