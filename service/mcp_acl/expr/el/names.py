"""Names to nodes: variables, functions, types, constructors and arrays.

Abstract in one method, `node`, which `translate` fills in.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, TypeAlias

from lark import Token, Tree

from mcp_acl.expr.el import access, checks
from mcp_acl.expr.el.classes import PRIMITIVES, find_class, referred_class
from mcp_acl.expr.el.functions import FUNCTIONS, UNSUPPORTED, json_path_of
from mcp_acl.expr.el.jsonpath_parser import compile_path
from mcp_acl.expr.el.operators import WORDS
from mcp_acl.expr.el.roots import NOW
from mcp_acl.expr.el.syntax import SyntaxProblem, span_of, subtrees, tokens
from mcp_acl.expr.el.template import Part
from mcp_acl.expr.el.values import ClassRef, Opaque
from mcp_acl.expr.nodes import Call, Const, Environment, Fact, Function, Node
from mcp_acl.problems import EvalError, Severity, Span, nearest

_Tree: TypeAlias = Tree[Token]

NULL: Final = Const(None)
_METHODS: Final = {name: Opaque("Object") for name in (*FUNCTIONS, *UNSUPPORTED)}
"""What a function is without its arguments: a `java.lang.reflect.Method`."""
_FINDING: Final = Severity.FINDING
JSON_ONLY: Final = "an MCP message is JSON: read it with `#jsonPath(#request.content, '$.…')`"


@dataclass(frozen=True, slots=True)
class Here:
    """What names and method arguments are evaluated against."""

    active: Node
    scope: Node


@dataclass(frozen=True, slots=True)
class Report:
    """A finding at a place of the condition."""

    code: str
    message: str
    span: Span
    hint: str
    severity: Severity


class Names(ABC):
    """Translates names; collects `reports`."""

    def __init__(self, environment: Environment, part: Part, first_local: int) -> None:
        self.environment = environment
        self._part = part
        self.locals = first_local
        self.reports: list[Report] = []

    @abstractmethod
    def node(self, tree: _Tree, here: Here) -> Node:
        """The node of any part of an expression."""

    # ---- helpers -----------------------------------------------------------------------------------------------------

    def span(self, tree: _Tree | Token) -> Span:
        """Where a syntax node stands in the condition."""
        return self._part.span(*span_of(tree))

    def fresh(self) -> str:
        """A new name for a bound value."""
        self.locals += 1
        return f"v{self.locals - 1}"

    def report(
        self, code: str, message: str, span: Span, hint: str = "", severity: Severity = Severity.PROBLEM
    ) -> None:
        """Note a finding."""
        self.reports.append(Report(code, message, span, hint, severity))

    def report_found(self, found: checks.Finding | None, span: Span) -> bool:
        """Note what a check found, if anything; whether it did."""
        if found is not None:
            self.report(found.code, found.message, span, found.hint, found.severity)
        return found is not None

    def failing(self, message: str, span: Span, args: tuple[Node, ...] = ()) -> Node:
        """A node that is an error once its arguments are evaluated."""
        return Call(access.failing(message), args, span=span)

    def bare_name(self, tree: _Tree) -> str:
        """The name, if an expression is nothing but one."""
        while tree.data == "parentheses":
            tree = subtrees(tree)[0]
        return str(tree.children[0]) if tree.data == "property" else ""

    # ---- roots -------------------------------------------------------------------------------------------------------

    def variable(self, tree: _Tree, here: Here) -> Node:
        """An unknown variable is null, a function an object; `#this` is the active object, `#root` null."""
        name = self.variable_name(tree)
        if name == "this":
            return here.active
        if name == "root":
            return NULL
        span = self.span(tree)
        if name in self.environment and name != NOW:
            return Fact(self.environment[name], span=span)
        if name in _METHODS:
            return Const(_METHODS[name], span=span)
        known = [one for one in self.environment if "." not in one and one != NOW]
        hint = nearest(name, known)
        self.report("el-unknown-variable", f"`#{name[:60]}` is not a variable: it is null", span, hint, _FINDING)
        return Const(None, span=span)

    def variable_name(self, tree: _Tree) -> str:
        """The name after `#`. Raises `SyntaxProblem` for a word that is an operator."""
        token = tokens(tree)[1]
        if token.lower() in WORDS:
            raise SyntaxProblem("el-syntax", f"`{token}` is an operator, not a name", *span_of(token))
        return str(token)

    def function(self, tree: _Tree, here: Here) -> Node:
        """What Gravitee registers; the number of arguments is fixed."""
        name, span = self.variable_name(tree), self.span(tree)
        args = tuple(self.node(child, here) for child in subtrees(subtrees(tree)[0]))
        if name not in FUNCTIONS:
            known = name in UNSUPPORTED
            code = "el-unsupported" if known else "el-unknown-function"
            message = f"the function `#{name[:60]}` is not {'supported' if known else 'known'}"
            self.report(code, message, span, JSON_ONLY if known else nearest(name, FUNCTIONS))
            return self.failing(message, span, args)
        count, function = FUNCTIONS[name]
        if len(args) != count:
            message = f"`#{name}` takes {count} argument{'s' * (count > 1)}"
            hint = "write `#jsonPath(text, '$.name')`" if name == "jsonPath" else ""
            self.report("el-arguments", message, span, hint, _FINDING)
            return self.failing(message, span, args)
        return self._json_path(args, span) if name == "jsonPath" else Call(function, args, span=span)

    def _json_path(self, args: tuple[Node, ...], span: Span) -> Node:
        """A path known now is compiled now."""
        path = args[1].value if isinstance(args[1], Const) else None
        if not isinstance(path, str):
            return Call(FUNCTIONS["jsonPath"][1], args, span=span)
        try:
            return Call(json_path_of(compile_path(path)), args, span=span)
        except EvalError as error:
            self.report("el-json-path", error.message, args[1].span, severity=_FINDING)
            return self.failing(error.message, span, args)

    def bean(self, tree: _Tree, _here: Here) -> Node:
        """There is no bean resolver: an error in Gravitee too."""
        span = self.span(tree)
        self.report("el-forbidden", "beans (`@name`) may not be used", span)
        return self.failing("beans may not be used", span)

    # ---- types -------------------------------------------------------------------------------------------------------

    def _qualified(self, tree: _Tree) -> str:
        return "".join(str(token) for token in tokens(subtrees(tree)[0]))

    def type(self, tree: _Tree, _here: Here) -> Node:
        """A class may be named if it is known; what it is asked for decides."""
        name, span = self._qualified(tree), self.span(tree)
        found = find_class(name)
        if found is None:
            self.report("el-forbidden", f"the class `{name[:60]}` may not be used", span)
            return self.failing(f"the class `{name[:60]}` may not be used", span)
        arrays = sum(token.type == "LEFT_SQUARE" for token in tokens(tree))
        return Const(ClassRef(found.name + "[]" * arrays), span=span)

    def constructor(self, tree: _Tree, here: Here) -> Node:
        """Only classes whitelisted whole have constructors."""
        name, span = self._qualified(tree), self.span(tree)
        args = tuple(self.node(child, here) for child in subtrees(subtrees(tree)[1]))
        reference = find_class(name)
        if self.report_found(checks.check_constructor(name, reference, span_of(tree)), span) or reference is None:
            return self.failing(f"`new {name[:60]}` may not be called", span, args)
        reads_now = reference.name == "java.util.Date" and not args
        if not reads_now:
            return Call(access.constructor_of(reference, reads_now=False), args, span=span)
        return self.with_now(access.constructor_of(reference, reads_now=True), args, span)

    def with_now(self, function: Function, args: tuple[Node, ...], span: Span) -> Node:
        """A call that reads the request's time."""
        if NOW not in self.environment:
            self.report("el-unsupported", "the time is not available here", span)
            return self.failing("the time is not available here", span, args)
        return Call(function, (*args, Fact(self.environment[NOW], span=span)), span=span)

    def array(self, tree: _Tree, here: Here) -> Node:
        """`new X[n]` and `new X[] {…}` of one dimension."""
        name, span = self._qualified(tree), self.span(tree)
        parts = subtrees(tree)[1:]
        reference = find_class(name)
        owner = referred_class(reference) if reference is not None else None
        component = name if name in PRIMITIVES else owner.name if owner is not None else ""
        sizes = [self.node(subtrees(part)[0], here) for part in parts if part.data == "dimension" and part.children]
        items = next((part for part in parts if part.data == "list"), None)
        if (
            component not in access.COMPONENTS
            or sum(part.data == "dimension" for part in parts) > 1
            or (not sizes and not items)
        ):
            self.report("el-unsupported", f"the array `{name[:60]}` is not supported", span)
            return self.failing("the array is not supported", span)
        values = tuple(self.node(child, here) for child in subtrees(items)) if items is not None else ()
        function = access.array_of(component, sized=bool(sizes), filled=items is not None)
        return Call(function, (*sizes, *values), span=span)
