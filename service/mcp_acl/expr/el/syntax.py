"""Text of one expression to a syntax tree, or to problems that say what was meant.

Knows the grammar and its hints, no values and no environment.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from lark import Lark, Token, Tree, UnexpectedInput
from lark.exceptions import UnexpectedEOF, UnexpectedToken

MAX_DEPTH: Final = 120
"""How deep a tree may be."""


class SyntaxProblem(Exception):  # noqa: N818 - carries a problem's parts to where its place is known
    """What is wrong with an expression, at offsets in its text."""

    def __init__(self, code: str, message: str, start: int, end: int, hint: str = "") -> None:
        self.code = code
        self.message = message
        self.start = start
        self.end = end
        self.hint = hint
        super().__init__(message)


@cache
def _parser() -> Lark:
    """Made when there is something to parse: most commands parse nothing."""
    return Lark.open("grammar.lark", rel_to=__file__, parser="lalr", propagate_positions=True, maybe_placeholders=False)


_TOKEN_HINTS: Final[Mapping[str, str]] = {
    "in": "there is no `in`: write `{'a', 'b'}.contains(x)`, or `x == 'a' || x == 'b'`",
    "contains": "there is no operator `contains`: write `x.contains('a')`",
    "like": "there is no `like`: write `x matches 'al.*'`",
    "<>": "there is no `<>`: write `!=`",
    ";": "a condition is one expression: there is no `;`",
    "===": "there is no `===`: write `==`",
    "=~": "there is no `=~`: write `x matches 'pattern'`",
    "\\": "there are no backslash escapes: write the quote twice",
    "|": "write `||`",
    "&": "write `&&`",
    "{": "a block allows one level of braces inside",
    "#": "there are no comments",
    "is": "there is no `is`: write `==`, or `instanceof T(String)`",
    "exists": "there is no `exists`: write `!= null`",
}
_CEL: Final = re.compile(r"\b(?:has\(|size\(|matches\(|startsWith\(|claims\.|mcp\.|attributes\.|variables\.|in \[)")


def parse_expression(text: str) -> Tree[Token]:
    """The syntax tree of one expression. Raises `SyntaxProblem`."""
    _check_characters(text)
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _described(error, text) from None
    _check_depth(tree)
    return tree


_QUOTED: Final = re.compile(r"'[^']*'?|\"[^\"]*\"?")


def _check_characters(text: str) -> None:
    """Names hold letters of the basic plane, digits 0-9, `_` and `$`; quoted text holds anything."""
    plain = _QUOTED.sub(lambda match: " " * len(match.group()), text)
    for place, char in enumerate(plain):
        if not char.isascii() and not (char.isalpha() and char <= "\uffff"):
            raise SyntaxProblem("el-syntax", f"`{char}` cannot stand here", place, place + 1)


def _described(error: UnexpectedInput, text: str) -> SyntaxProblem:
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        return SyntaxProblem("el-syntax", "the expression ends too early", max(len(text) - 1, 0), len(text))
    start = error.pos_in_stream if error.pos_in_stream is not None else 0
    found = _found_at(text, start)
    hint = _hint(text, start, found)
    return SyntaxProblem("el-syntax", f"`{found}` is not expected here", start, start + len(found), hint)


_FOUND: Final = re.compile(r"<>|===|=~|==|!=|<=|>=|&&|\|\||[\w$]+|.", re.DOTALL)


def _found_at(text: str, start: int) -> str:
    match = _FOUND.match(text, start)
    assert match is not None
    return match.group()[:40]


def _hint(text: str, start: int, found: str) -> str:
    before = text[max(0, start - 1) : start]
    for shown in (text[max(0, start - 2) : start] + found, before + found, found.lower()):
        if shown in _TOKEN_HINTS:
            return _TOKEN_HINTS[shown]
    if _CEL.search(text) and "#" not in text:
        return "this looks like CEL: put it under `cel`"
    return ""


def _check_depth(tree: Tree[Token]) -> None:
    pending: list[tuple[Tree[Token], int]] = [(tree, 0)]
    while pending:
        current, depth = pending.pop()
        if depth > MAX_DEPTH:
            start, end = span_of(current)
            raise SyntaxProblem("el-too-deep", f"the expression is nested more than {MAX_DEPTH} deep", start, end)
        pending.extend((child, depth + 1) for child in current.children if isinstance(child, Tree))


def span_of(tree: Tree[Token] | Token) -> tuple[int, int]:
    """Where a node stands in the expression: character offsets."""
    if isinstance(tree, Token):
        return tree.start_pos or 0, tree.end_pos or 0
    return tree.meta.start_pos, tree.meta.end_pos


def subtrees(tree: Tree[Token]) -> Sequence[Tree[Token]]:
    """The children that are nodes."""
    return [child for child in tree.children if isinstance(child, Tree)]


def tokens(tree: Tree[Token]) -> Sequence[Token]:
    """The children that are tokens."""
    return [child for child in tree.children if isinstance(child, Token)]


def quoted(written: str) -> str:
    """The text a quoted text stands for."""
    return written[1:-1].replace(written[0] * 2, written[0])
