"""Steps to nodes: variables and functions, properties, indexes, methods, selections, types and constructors.

Abstract in one method, `node`, which `translate` fills in.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from lark import Token, Tree

from mcp_acl.expr.el import access, checks
from mcp_acl.expr.el.classes import PRIMITIVES, find_class, referred_class
from mcp_acl.expr.el.functions import FUNCTIONS, UNSUPPORTED, json_path_of
from mcp_acl.expr.el.jsonpath_parser import compile_path
from mcp_acl.expr.el.operators import IDENTITY, IS_NULL, PICKED, WORDS
from mcp_acl.expr.el.regexes import compile_pattern
from mcp_acl.expr.el.roots import NOW, PROPERTIES
from mcp_acl.expr.el.syntax import SyntaxProblem, quoted, span_of, subtrees, tokens
from mcp_acl.expr.el.template import Part
from mcp_acl.expr.el.values import PREFIX, ClassRef, Int32
from mcp_acl.expr.nodes import (
    Call,
    Comprehension,
    Conditional,
    Const,
    Environment,
    Fact,
    Function,
    Gather,
    Let,
    Local,
    Node,
)
from mcp_acl.problems import EvalError, Severity, Span, nearest

_Tree: TypeAlias = Tree[Token]

NULL: Final = Const(None)
_FINDING: Final = Severity.FINDING
_CLOCKS: Final = frozenset(("now", "currentTimeMillis"))
_PATTERN_METHODS: Final = frozenset(("matches", "replaceAll", "replaceFirst", "split"))
_PAYLOAD: Final = "oauth.payload"
_TEXT_PROPERTIES: Final = frozenset(("length", "empty", "isEmpty", "blank", "isBlank", "bytes"))


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


class Steps(ABC):
    """Translates steps; collects `reports`."""

    def __init__(self, environment: Environment, part: Part, first_local: int) -> None:
        self._environment = environment
        self._part = part
        self.locals = first_local
        self.reports: list[Report] = []
        self._payload: Node = NULL

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

    def report(self, code: str, message: str, span: Span, hint: str = "", severity: Severity = Severity.PROBLEM) -> None:
        """Note a finding."""
        self.reports.append(Report(code, message, span, hint, severity))

    def _report_found(self, found: checks.Finding | None, span: Span) -> bool:
        if found is not None:
            self.report(found.code, found.message, span, found.hint, found.severity)
        return found is not None

    def _failing(self, message: str, span: Span, args: tuple[Node, ...] = ()) -> Node:
        return Call(access.failing(message), args, span=span)

    def bare_name(self, tree: _Tree) -> str:
        """The name, if an expression is nothing but one."""
        while tree.data == "parentheses":
            tree = subtrees(tree)[0]
        return str(tree.children[0]) if tree.data == "property" else ""

    # ---- roots -------------------------------------------------------------------------------------------------------

    def variable(self, tree: _Tree, here: Here) -> Node:
        name = self._variable_name(tree)
        if name == "this":
            return here.active
        if name == "root":
            return NULL
        span = self.span(tree)
        if name in self._environment and name != NOW:
            return Fact(self._environment[name], span=span)
        known = [one for one in self._environment if "." not in one and one != NOW]
        hint = nearest(name, known)
        self.report("el-unknown-variable", f"`#{name[:60]}` is not a variable: it is null", span, hint, _FINDING)
        return Const(None, span=span)

    def _variable_name(self, tree: _Tree) -> str:
        token = tokens(tree)[1]
        if token.lower() in WORDS:
            raise SyntaxProblem("el-syntax", f"`{token}` is an operator, not a name", *span_of(token))
        return str(token)

    def function(self, tree: _Tree, here: Here) -> Node:
        name, span = self._variable_name(tree), self.span(tree)
        args = tuple(self.node(child, here) for child in subtrees(subtrees(tree)[0]))
        if name not in FUNCTIONS:
            known = name in UNSUPPORTED
            code = "el-unsupported" if known else "el-unknown-function"
            message = f"the function `#{name[:60]}` is not {'supported' if known else 'known'}"
            self.report(code, message, span, nearest(name, FUNCTIONS))
            return self._failing(message, span, args)
        count, function = FUNCTIONS[name]
        if len(args) != count:
            message = f"`#{name}` takes {count} argument{'s' * (count > 1)}"
            hint = "write `#jsonPath(text, '$.name')`" if name == "jsonPath" else ""
            self.report("el-arguments", message, span, hint, _FINDING)
            return self._failing(message, span, args)
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
            return self._failing(error.message, span, args)

    def bean(self, tree: _Tree, _here: Here) -> Node:
        span = self.span(tree)
        self.report("el-forbidden", "beans (`@name`) may not be used", span)
        return self._failing("beans may not be used", span)

    # ---- types -------------------------------------------------------------------------------------------------------

    def _qualified(self, tree: _Tree) -> str:
        return "".join(str(token) for token in tokens(subtrees(tree)[0]))

    def type(self, tree: _Tree, _here: Here) -> Node:
        name, span = self._qualified(tree), self.span(tree)
        found = find_class(name)
        if found is None:
            self.report("el-forbidden", f"the class `{name[:60]}` may not be used", span)
            return self._failing(f"the class `{name[:60]}` may not be used", span)
        arrays = sum(token.type == "LEFT_SQUARE" for token in tokens(tree))
        return Const(ClassRef(found.name + "[]" * arrays), span=span)

    def constructor(self, tree: _Tree, here: Here) -> Node:
        name, span = self._qualified(tree), self.span(tree)
        args = tuple(self.node(child, here) for child in subtrees(subtrees(tree)[1]))
        reference = find_class(name)
        if self._report_found(checks.check_constructor(name, reference, span_of(tree)), span) or reference is None:
            return self._failing(f"`new {name[:60]}` may not be called", span, args)
        reads_now = reference.name == "java.util.Date" and not args
        if not reads_now:
            return Call(access.constructor_of(reference, reads_now=False), args, span=span)
        return self._with_now(access.constructor_of(reference, reads_now=True), args, span)

    def _with_now(self, function: Function, args: tuple[Node, ...], span: Span) -> Node:
        """A call that reads the request's time."""
        if NOW not in self._environment:
            self.report("el-unsupported", "the time is not available here", span)
            return self._failing("the time is not available here", span, args)
        return Call(function, (*args, Fact(self._environment[NOW], span=span)), span=span)

    def array(self, tree: _Tree, here: Here) -> Node:
        """`new X[n]` and `new X[] {…}` of one dimension."""
        name, span = self._qualified(tree), self.span(tree)
        parts = subtrees(tree)[1:]
        reference = find_class(name)
        owner = referred_class(reference) if reference is not None else None
        component = name if name in PRIMITIVES else owner.name if owner is not None else ""
        sizes = [self.node(subtrees(part)[0], here) for part in parts if part.data == "dimension" and part.children]
        items = next((part for part in parts if part.data == "list"), None)
        if component not in access.COMPONENTS or sum(part.data == "dimension" for part in parts) > 1 or (not sizes and not items):
            self.report("el-unsupported", f"the array `{name[:60]}` is not supported", span)
            return self._failing("the array is not supported", span)
        values = tuple(self.node(child, here) for child in subtrees(items)) if items is not None else ()
        function = access.array_of(component, sized=bool(sizes), filled=items is not None)
        return Call(function, (*sizes, *values), span=span)

    # ---- compounds ---------------------------------------------------------------------------------------------------

    def compound(self, tree: _Tree, here: Here) -> Node:
        start, *steps = subtrees(tree)
        current, done = self._from_root(start, steps, here)
        for step in steps[done:]:
            current = self._step(current, step, here, Span(self.span(start).start, self.span(step).end))
        if steps[-1].data == "step" and subtrees(steps[-1])[0].data == "function":
            return self._failing("a function cannot be the last step: write it first", self.span(tree), (current,))
        return current

    def _from_root(self, start: _Tree, steps: Sequence[_Tree], here: Here) -> tuple[Node, int]:
        """The variable and as many steps as lead to a fact: `#request.content`, `#context.attributes['x']`."""
        name = self._variable_name(start) if start.data == "variable" else ""
        first = _constant_name(steps[0], bare=False)
        end = self.span(steps[0]).end
        dotted = f"{name}.{first}"
        if first and dotted in self._environment:
            return Fact(self._environment[dotted], span=Span(self.span(start).start, end)), 1
        root = self.node(start, here)
        if not isinstance(root, Fact) or not first or name not in PROPERTIES:
            return root, 0
        key = _constant_name(steps[1], bare=True) if name == "context" and first == "attributes" and len(steps) > 1 else ""
        if key and not _is_safe(steps[0]):
            span = Span(root.span.start, self.span(steps[1]).end)
            found = Call(access.attribute_of(key.removeprefix(PREFIX)), (root,), span=span)
            self._payload = found if key == _PAYLOAD else self._payload
            return found, 2
        return self._known_property(root, name, first, steps[0])

    def _known_property(self, root: Fact, name: str, first: str, step: _Tree) -> tuple[Node, int]:
        if first in PROPERTIES[name]:
            if _is_safe(step) or name == "context":
                return root, 0
            span = Span(root.span.start, self.span(step).end)
            return Call(access.bean_property_of(first), (root,), span=span), 1
        if f"{name}.{first}" == "request.xmlContent":
            self.report("el-unsupported", "`#request.xmlContent` is not supported", self.span(step))
        else:
            hint = nearest(first, PROPERTIES[name])
            message = f"`#{name}` has no property `{first[:60]}`: the condition is an error"
            self.report("el-unknown-property", message, self.span(step), hint, _FINDING)
        return root, 0

    def start(self, tree: _Tree, here: Here) -> Node:
        """A step at the start of an expression: on the active object."""
        if tree.data == "property" and tree.children[0] == "T":
            raise SyntaxProblem("el-syntax", "`T` needs a class: `T(String)`", *span_of(tree))
        if here.active is NULL and tree.data in ("property", "method"):
            hint = "write `#` before a variable, and quotes around a text"
            name = str(tree.children[0])
            self.report("el-bare-name", f"`{name[:60]}` stands alone: the condition is an error", self.span(tree), hint, _FINDING)
        return _STEPS[tree.data](self, here.active, tree, here, self.span(tree), False)

    def _step(self, target: Node, step: _Tree, here: Here, span: Span) -> Node:
        if step.data == "index_step":
            return self._index(target, step, here, span, False)
        dotted = subtrees(step)[0]
        return _STEPS[dotted.data](self, target, dotted, here, span, _is_safe(step))

    def _property(self, target: Node, tree: _Tree, _here: Here, span: Span, safe: bool) -> Node:
        name = str(tree.children[0])
        if isinstance(target, Const) and isinstance(target.value, ClassRef):
            checks.check_deterministic(name, target, span_of(tree))
            if name in _CLOCKS:
                return self._with_now(access.clock_property_of(name), (target,), span)
        self._report_found(checks.check_property(name, target), span)
        self._check_payload(target, name, span)
        return Call(access.property_of(name, safe=safe), (target,), span=span)

    def _check_payload(self, target: Node, name: str, span: Span) -> None:
        if target is self._payload and target is not NULL and name not in _TEXT_PROPERTIES:
            hint = f"write `#jsonPath(#context.attributes['oauth.payload'], '$.{name[:60]}')`"
            self.report("el-payload-index", "`oauth.payload` is a text: it has no entries", span, hint, _FINDING)

    def _index(self, target: Node, tree: _Tree, here: Here, span: Span, safe: bool) -> Node:
        """Spring evaluates an index against the root, which is null; a bare name is a key."""
        inner = subtrees(tree)[0]
        name = self.bare_name(inner)
        if name:
            self._check_payload(target, name, span)
            return Call(access.bare_index(name, safe=safe), (target,), span=span)
        key = self.node(inner, Here(NULL, here.scope))
        if isinstance(key, Const) and type(key.value) in (str, Int32):
            if isinstance(key.value, str):
                self._check_payload(target, key.value, span)
            return Call(access.index_of(key.value, safe=safe), (target,), span=span)
        if not safe:
            return Call(access.INDEX, (target, key), span=span)
        local = Local(self.fresh(), span=target.span)
        found = Call(access.INDEX, (local, key), span=span)
        chosen = Conditional(Call(IS_NULL, (local,), span=span), NULL, found, IDENTITY, span=span)
        return Let(local.name, target, chosen, span=span)

    def _method(self, target: Node, tree: _Tree, here: Here, span: Span, safe: bool) -> Node:
        name = str(tree.children[0])
        args = tuple(self.node(child, Here(here.scope, here.scope)) for child in subtrees(subtrees(tree)[0]))
        checks.check_deterministic(name, target, span_of(tree))
        if target is not NULL:
            self._report_found(checks.check_method(name, len(args), target, safe=safe), span)
        self._check_pattern(name, args)
        if name in _CLOCKS:
            return self._with_now(access.method_of(name, safe=safe, reads_now=True), (target, *args), span)
        return Call(access.method_of(name, safe=safe), (target, *args), span=span)

    def _check_pattern(self, name: str, args: tuple[Node, ...]) -> None:
        if name not in _PATTERN_METHODS or not args:
            return
        pattern = args[0].value if isinstance(args[0], Const) else None
        if isinstance(pattern, str):
            try:
                compile_pattern(pattern)
            except EvalError as error:
                self.report("el-regex", error.message, args[0].span, severity=_FINDING)

    def _variable_step(self, target: Node, tree: _Tree, here: Here, span: Span, _safe: bool) -> Node:
        """`x.#y` is `#y` after `x`; `x.#this` is `x`."""
        if self._variable_name(tree) == "this":
            return target
        return Let(self.fresh(), target, self.variable(tree, here), span=span)

    def _function_step(self, target: Node, tree: _Tree, here: Here, span: Span, _safe: bool) -> Node:
        local = Local(self.fresh(), span=target.span)
        return Let(local.name, target, self.function(tree, Here(local, here.scope)), span=span)

    # ---- selections --------------------------------------------------------------------------------------------------

    def _selection(self, target: Node, tree: _Tree, _here: Here, span: Span, safe: bool) -> Node:
        kind = tokens(tree)[0].type
        item = Local(self.fresh(), span=span)
        condition = self.node(subtrees(tree)[0], Here(item, item))
        gather = Gather.FIRST if kind == "SELECT_FIRST" else Gather.LIST
        return self._loop(target, span, safe, _GATHERED[kind], (gather, item, condition, item))

    def _projection(self, target: Node, tree: _Tree, _here: Here, span: Span, safe: bool) -> Node:
        item = Local(self.fresh(), span=span)
        result = self.node(subtrees(tree)[0], Here(item, item))
        return self._loop(target, span, safe, access.PROJECTED, (Gather.LIST, item, None, result))

    def _loop(
        self, target: Node, span: Span, safe: bool, made: Function, parts: tuple[Gather, Local, Node | None, Node]
    ) -> Node:
        gather, item, condition, result = parts
        source = Local(self.fresh(), span=target.span)
        items = access.items_of(safe=safe)
        loop = Comprehension(gather, (item.name,), source, items, condition, PICKED, result, commutative=False, span=span)
        return Let(source.name, target, Call(made, (source, loop), span=span), span=span)


def _is_safe(step: _Tree) -> bool:
    return any(token.type == "SAFE" for token in tokens(step))


def _constant_name(step: _Tree, *, bare: bool) -> str:
    """The name a step reads if it is fixed: `.name`, `['name']`, and if `bare` (on a map) `[name]`."""
    inner = subtrees(step)[0]
    if step.data == "step" and inner.data == "property":
        return str(inner.children[0])
    if step.data == "step" and inner.data != "index":
        return ""
    key = inner if step.data == "index_step" else subtrees(inner)[0]
    if key.data == "property" and bare:
        return str(key.children[0])
    return quoted(str(key.children[0])) if key.data == "text" else ""


_StepHandler: TypeAlias = Callable[[Steps, Node, _Tree, Here, Span, bool], Node]

_STEPS: Final[Mapping[str, _StepHandler]] = {
    "property": Steps._property,
    "method": Steps._method,
    "index": Steps._index,
    "selection": Steps._selection,
    "projection": Steps._projection,
    "variable": Steps._variable_step,
    "function": Steps._function_step,
}
_GATHERED: Final[Mapping[str, Function]] = {
    "SELECT": access.SELECTED,
    "SELECT_FIRST": access.FIRST,
    "SELECT_LAST": access.LAST,
}
