"""What the visitor keeps while it makes a tree of nodes: names in scope, problems met, how deep and how large it got.

Knows no grammar rule: they are given to it as a table.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NoReturn, TypeAlias

import lark

from mcp_acl.expr.cel.grammar import Tree, span_of
from mcp_acl.expr.cel.values import TYPES
from mcp_acl.expr.nodes import Call, Const, Environment, Function, Node, Value, children
from mcp_acl.problems import EvalError, Problem, SourceError, Span, place_in

MAX_DEPTH: Final = 120
MAX_NODES: Final = 5_000

KEYWORDS: Final = frozenset({"false", "in", "null", "true"})
"""Words that are no field either (CEL language definition: syntax)."""

RESERVED: Final = KEYWORDS | {
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
}
"""Words that are no variable and no function, though they may be a field or a method."""

Rule: TypeAlias = "Callable[[Builder, Tree], Node]"


class Builder:
    """Makes one tree of nodes. `problems` holds what is wrong with it; if there is anything, the tree is worthless."""

    def __init__(self, text: str, environment: Environment, rules: Mapping[str, Rule], *, open_names: bool) -> None:
        self.text = text
        self.environment = environment
        self.problems: list[Problem] = []
        self.longest_name = max(name.count(".") for name in (*environment, *TYPES))
        """How many dots the longest name of a variable or type has."""
        self._rules = rules
        self._open_names = open_names
        self._scope: Mapping[str, str] = {}
        self._count = 0
        self._depth = 0

    def build(self, tree: Tree) -> Node:
        """The node of a syntax tree. Raises `SourceError` if it is nested too deeply to go on."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._too_deep(span_of(tree))
        node = self._rules[tree.data](self, tree)
        self._depth -= 1
        return node

    def finished(self, node: Node) -> Node:
        """The tree, if there is no problem and it is small enough for those who walk it. Raises `SourceError`."""
        if self.problems:
            raise SourceError(self.problems)
        count = 0
        pending = [(node, 1)]
        while pending:
            current, depth = pending.pop()
            count += 1
            if depth > MAX_DEPTH:
                self._too_deep(current.span)
            pending.extend((child, depth + 1) for child in children(current))
        if count > MAX_NODES:
            message = f"the expression has more than {MAX_NODES:,} parts"
            raise SourceError([Problem("cel-too-large", message, place_in(self.text, node.span), _SPLIT)])
        return node

    def _too_deep(self, span: Span) -> NoReturn:
        message = f"the expression is nested more than {MAX_DEPTH} deep"
        self.problem("cel-too-deep", message, span, _SPLIT)
        raise SourceError(self.problems)

    # ---- problems --------------------------------------------------------------------------------------------------

    def problem(self, code: str, message: str, span: Span, hint: str = "") -> Node:
        """Note a problem; the node only fills its place."""
        self.problems.append(Problem(code, message, place_in(self.text, span), hint))
        return Const(None, span=span)

    def unknown(self, code: str, message: str, span: Span, hint: str = "") -> Node:
        """A problem, or with open names an error when the expression is evaluated."""
        if not self._open_names:
            return self.problem(code, message, span, hint)

        def fail(*_: Value) -> NoReturn:
            raise EvalError(message)

        return Call(Function("error", fail), (), span=span)

    def is_word(self, name: lark.Token, words: frozenset[str]) -> bool:
        """Whether a name is one of the language's own words, which is a problem."""
        if name.type != "IDENT" or str(name) not in words:
            return False
        self.problem("cel-syntax", f"`{name}` is a word of the language", span_of(name), _QUOTE)
        return True

    def nothing(self, tree: Tree) -> Node:
        """A node to fill the place of something that has a problem."""
        return Const(None, span=span_of(tree))

    # ---- local names -----------------------------------------------------------------------------------------------

    def fresh(self) -> str:
        """A name for a local that no other has."""
        self._count += 1
        return f"v{self._count - 1}"

    def local(self, name: str) -> str | None:
        """The local a variable of a macro stands for here."""
        return self._scope.get(name)

    @property
    def locals(self) -> tuple[str, ...]:
        """The variables of the macros around."""
        return tuple(self._scope)

    @contextmanager
    def binding(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Within, the names stand for fresh locals."""
        outer = self._scope
        made = tuple(self.fresh() for _ in names)
        self._scope = {**outer, **dict(zip(names, made, strict=True))}
        yield made
        self._scope = outer


_SPLIT: Final = "split it: give a part a name under `variables`"
_QUOTE: Final = "as a key, write it in brackets and quotes: `e['…']`"
