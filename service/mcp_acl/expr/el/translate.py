"""Syntax tree to node tree: operators, literals, lists and maps, conditionals. Steps are in `steps`.

Spring evaluates names against an *active* object (inside a selection the element, else null) and method arguments
against the scope's; both are known here, so they become ordinary nodes.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from lark import Token, Tree

from mcp_acl.expr.el.arithmetic import INT_MAX, INT_MIN, LONG_MAX, LONG_MIN
from mcp_acl.expr.el.names import NULL, Here
from mcp_acl.expr.el.operators import (
    BINARY,
    IDENTITY,
    IS_ABSENT,
    LIST,
    MAP,
    MATCHES,
    TRUTH,
    UNARY,
    WORDS,
    matches_pattern,
)
from mcp_acl.expr.el.steps import Steps
from mcp_acl.expr.el.syntax import SyntaxProblem, quoted, span_of, subtrees, tokens
from mcp_acl.expr.el.texts import float32
from mcp_acl.expr.el.values import Int32, JFloat
from mcp_acl.expr.nodes import Call, Conditional, Const, Let, Local, Logic, Node
from mcp_acl.problems import EvalError, Severity

_Tree: TypeAlias = Tree[Token]


class Translator(Steps):
    """Translates the expressions of one block."""

    def translate(self, tree: _Tree) -> Node:
        """The node of a whole expression. Raises `SyntaxProblem`."""
        return self.node(subtrees(tree)[0], Here(NULL, NULL))

    def node(self, tree: _Tree, here: Here) -> Node:
        """The node of a part of an expression."""
        return _HANDLERS[tree.data](self, tree, here)

    def _const(self, value: object, tree: _Tree) -> Node:
        return Const(value, span=self.span(tree))

    # ---- literals ----------------------------------------------------------------------------------------------------

    def text(self, tree: _Tree, _here: Here) -> Node:
        """A quote inside is written twice."""
        return self._const(quoted(str(tree.children[0])), tree)

    def integer(self, tree: _Tree, _here: Here) -> Node:
        """Without `L` a number must fit an Integer."""
        return self._whole(str(tree.children[0]), 10, tree)

    def hexadecimal(self, tree: _Tree, _here: Here) -> Node:
        """`0xFF`: digits of the number itself, not of its bits."""
        return self._whole(str(tree.children[0])[2:], 16, tree)

    def _whole(self, digits: str, radix: int, tree: _Tree) -> Node:
        is_long = digits[-1] in "lL"
        value = int(digits.rstrip("lL"), radix) if len(digits) < 100 else LONG_MAX + 1
        low, high = (LONG_MIN, LONG_MAX) if is_long else (INT_MIN, INT_MAX)
        if not low <= value <= high:
            hint = "" if is_long else "write `L` after a number beyond 2,147,483,647"
            raise SyntaxProblem("el-syntax", "the number is too large", *span_of(tree), hint)
        return self._const(value if is_long else Int32(value), tree)

    def real(self, tree: _Tree, _here: Here) -> Node:
        """A Double, or with `f` the nearest Float."""
        digits = str(tree.children[0])
        value = float(digits.rstrip("fFdD"))
        return self._const(JFloat(float32(value)) if digits[-1] in "fF" else value, tree)

    def true(self, tree: _Tree, _here: Here) -> Node:
        """`true`, in any case."""
        return self._const(True, tree)

    def false(self, tree: _Tree, _here: Here) -> Node:
        """`false`, in any case."""
        return self._const(False, tree)

    def null(self, tree: _Tree, _here: Here) -> Node:
        """`null`, in any case."""
        return self._const(None, tree)

    def list(self, tree: _Tree, here: Here) -> Node:
        """A list of constants is made once."""
        items = tuple(self.node(child, here) for child in subtrees(tree))
        if all(isinstance(item, Const) for item in items):
            return self._const([item.value for item in items if isinstance(item, Const)], tree)
        return Call(LIST, items, span=self.span(tree))

    def map(self, tree: _Tree, here: Here) -> Node:
        """A bare name as a key is a text."""
        parts: list[Node] = []
        for entry in subtrees(tree):
            key, value = subtrees(entry)
            name = self.bare_name(key)
            parts += [Const(name, span=self.span(key)) if name else self.node(key, here), self.node(value, here)]
        return Call(MAP, tuple(parts), span=self.span(tree))

    # ---- operators ---------------------------------------------------------------------------------------------------

    def any_of(self, tree: _Tree, here: Here) -> Node:
        """Left to right, up to the first that is true."""
        return self._logic(False, tree, here)

    def all_of(self, tree: _Tree, here: Here) -> Node:
        """Left to right, up to the first that is false."""
        return self._logic(True, tree, here)

    def _logic(self, is_and: bool, tree: _Tree, here: Here) -> Node:
        operands = tuple(self.node(child, here) for child in subtrees(tree))
        return Logic(is_and, operands, TRUTH, False, span=self.span(tree))

    def binary(self, tree: _Tree, here: Here) -> Node:
        """Both sides are evaluated, left first."""
        left, right = (self.node(child, here) for child in subtrees(tree))
        operator = _word(tokens(tree)[0])
        if operator == "matches":
            return self._match(left, right, tree)
        return Call(BINARY[operator], (left, right), span=self.span(tree))

    def _match(self, left: Node, right: Node, tree: _Tree) -> Node:
        """A pattern known now is compiled now."""
        if isinstance(right, Const) and type(right.value) is str:
            try:
                return Call(matches_pattern(right.value), (left,), span=self.span(tree))
            except EvalError as error:
                self.report("el-regex", error.message, right.span, severity=Severity.FINDING)
        return Call(MATCHES, (left, right), span=self.span(tree))

    def unary(self, tree: _Tree, here: Here) -> Node:
        """The operand of `!` is made a boolean."""
        operand = self.node(subtrees(tree)[0], here)
        return Call(UNARY[_word(tokens(tree)[0])], (operand,), span=self.span(tree))

    def elvis(self, tree: _Tree, here: Here) -> Node:
        """The value, unless it is null or an empty text: then the default."""
        value, default = subtrees(tree)
        name, span = self.fresh(), self.span(tree)
        wanted = Call(IS_ABSENT, (Local(name, span=span),), span=span)
        choice = Conditional(wanted, self.node(default, here), Local(name, span=span), IDENTITY, span=span)
        return Let(name, self.node(value, here), choice, span=span)

    def ternary(self, tree: _Tree, here: Here) -> Node:
        """Only the chosen side is evaluated."""
        condition, then, otherwise = (self.node(child, here) for child in subtrees(tree))
        return Conditional(condition, then, otherwise, TRUTH, span=self.span(tree))

    def parentheses(self, tree: _Tree, here: Here) -> Node:
        """They leave nothing behind."""
        return self.node(subtrees(tree)[0], here)

    def refused_assignment(self, tree: _Tree, _here: Here) -> Node:
        """Spring would change attributes and variables for what follows."""
        hint = "write `==` to compare" if tree.data == "assignment" else ""
        start, end = span_of(tokens(tree)[0])
        raise SyntaxProblem("el-assignment", "a condition may not change anything", start, end, hint)


def _word(token: Token) -> str:
    """An operator as written in symbols, or its word in lower case."""
    return WORDS.get(token.lower(), token.lower())


_Handler: TypeAlias = Callable[[Translator, _Tree, Here], Node]

_HANDLERS: Final[Mapping[str, _Handler]] = {
    "text": Translator.text,
    "integer": Translator.integer,
    "hexadecimal": Translator.hexadecimal,
    "real": Translator.real,
    "true": Translator.true,
    "false": Translator.false,
    "null": Translator.null,
    "list": Translator.list,
    "map": Translator.map,
    "any_of": Translator.any_of,
    "all_of": Translator.all_of,
    "binary": Translator.binary,
    "unary": Translator.unary,
    "elvis": Translator.elvis,
    "ternary": Translator.ternary,
    "parentheses": Translator.parentheses,
    "assignment": Translator.refused_assignment,
    "increment": Translator.refused_assignment,
    "compound": Translator.compound,
    "property": Translator.start,
    "method": Translator.start,
    "index": Translator.start,
    "selection": Translator.start,
    "projection": Translator.start,
    "variable": Translator.variable,
    "function": Translator.function,
    "type": Translator.type,
    "constructor": Translator.constructor,
    "array": Translator.array,
    "bean": Translator.bean,
}
