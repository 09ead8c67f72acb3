"""Steps to nodes: properties, indexes, methods, selections and projections, one after the other.

Abstract as `names` is. A chain that starts at a root and leads to a fact by fixed names becomes that fact.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from lark import Token, Tree

from mcp_acl.expr.el import access, checks
from mcp_acl.expr.el.names import JSON_ONLY, NULL, Here, Names
from mcp_acl.expr.el.operators import IDENTITY, IS_NULL, PICKED
from mcp_acl.expr.el.regexes import compile_pattern
from mcp_acl.expr.el.roots import PROPERTIES
from mcp_acl.expr.el.syntax import SyntaxProblem, quoted, span_of, subtrees, tokens
from mcp_acl.expr.el.values import ClassRef, Int32, stored_name
from mcp_acl.expr.nodes import Call, Comprehension, Conditional, Const, Fact, Function, Gather, Let, Local, Node
from mcp_acl.problems import EvalError, Severity, Span, nearest

_Tree: TypeAlias = Tree[Token]

_FINDING: Final = Severity.FINDING
_CLOCKS: Final = frozenset(("now", "currentTimeMillis"))
_PATTERN_METHODS: Final = frozenset(("matches", "replaceAll", "replaceFirst", "split"))
_PAYLOAD: Final = "oauth.payload"
_TEXT_PROPERTIES: Final = frozenset(("length", "empty", "isEmpty", "blank", "isBlank", "bytes"))


class Steps(Names):
    """Translates steps."""

    _payload: Node = NULL
    """The node that reads the token's payload as text, once there is one."""

    # ---- compounds ---------------------------------------------------------------------------------------------------

    def compound(self, tree: _Tree, here: Here) -> Node:
        """A start and its steps; a function as the last step is an error in Spring."""
        start, *steps = subtrees(tree)
        current, done = self._from_root(start, steps, here)
        for step in steps[done:]:
            current = self._step(current, step, here, Span(self.span(start).start, self.span(step).end))
        if steps[-1].data == "step" and subtrees(steps[-1])[0].data == "function":
            return self.failing("a function cannot be the last step: write it first", self.span(tree), (current,))
        return current

    def _from_root(self, start: _Tree, steps: Sequence[_Tree], here: Here) -> tuple[Node, int]:
        """The variable and as many steps as lead to a fact: `#request.content`, `#context.attributes['x']`."""
        name = self.variable_name(start) if start.data == "variable" else ""
        first = _constant_name(steps[0], bare=False)
        end = self.span(steps[0]).end
        dotted = f"{name}.{first}"
        if first and dotted in self.environment:
            return Fact(self.environment[dotted], span=Span(self.span(start).start, end)), 1
        root = self.node(start, here)
        if not isinstance(root, Fact) or not first or name not in PROPERTIES:
            return root, 0
        key = (
            _constant_name(steps[1], bare=True)
            if name == "context" and first == "attributes" and len(steps) > 1
            else ""
        )
        if key and not _is_safe(steps[0]):
            span = Span(root.span.start, self.span(steps[1]).end)
            found = Call(access.attribute_of(stored_name(key)), (root,), span=span)
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
            self.report("el-unsupported", "`#request.xmlContent` is not supported", self.span(step), JSON_ONLY)
        else:
            inside = [one.partition(".")[2] for one in self.environment if one.startswith(f"{name}.")]
            hint = nearest(first, [*PROPERTIES[name], *inside])
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
            self.report(
                "el-bare-name",
                f"`{name[:60]}` stands alone: the condition is an error",
                self.span(tree),
                hint,
                _FINDING,
            )
        return _STEPS[tree.data](self, here.active, tree, here, self.span(tree), False)

    def _step(self, target: Node, step: _Tree, here: Here, span: Span) -> Node:
        if step.data == "index_step":
            return self.index_step(target, step, here, span, False)
        dotted = subtrees(step)[0]
        return _STEPS[dotted.data](self, target, dotted, here, span, _is_safe(step))

    def property_step(self, target: Node, tree: _Tree, _here: Here, span: Span, safe: bool) -> Node:
        """A key of a map, a getter of an object, a static field or getter of a class."""
        name = str(tree.children[0])
        if isinstance(target, Const) and isinstance(target.value, ClassRef):
            checks.check_deterministic(name, target, span_of(tree))
            if name in _CLOCKS:
                return self.with_now(access.clock_property_of(name), (target,), span)
        self.report_found(checks.check_property(name, target), span)
        self._check_payload(target, name, span)
        return Call(access.property_of(name, safe=safe), (target,), span=span)

    def _check_payload(self, target: Node, name: str, span: Span) -> None:
        if target is self._payload and target is not NULL and name not in _TEXT_PROPERTIES:
            hint = f"write `#jsonPath(#context.attributes['oauth.payload'], '$.{name[:60]}')`"
            self.report("el-payload-index", "`oauth.payload` is a text: it has no entries", span, hint, _FINDING)

    def index_step(self, target: Node, tree: _Tree, here: Here, span: Span, safe: bool) -> Node:
        """Spring evaluates an index against the root, which is null; a bare name is a key."""
        inner = subtrees(tree)[0]
        name = self.bare_name(inner)
        if name:
            self._check_payload(target, name, span)
            return Call(access.bare_index(name, safe=safe), (target,), span=span)
        key = self.node(inner, Here(NULL, here.scope))
        if isinstance(key, Const) and isinstance(key.value, str | Int32):
            if isinstance(key.value, str):
                self._check_payload(target, key.value, span)
            return Call(access.index_of(key.value, safe=safe), (target,), span=span)
        if not safe:
            return Call(access.INDEX, (target, key), span=span)
        local = Local(self.fresh(), span=target.span)
        found = Call(access.INDEX, (local, key), span=span)
        chosen = Conditional(Call(IS_NULL, (local,), span=span), NULL, found, IDENTITY, span=span)
        return Let(local.name, target, chosen, span=span)

    def method_step(self, target: Node, tree: _Tree, here: Here, span: Span, safe: bool) -> Node:
        """Arguments are evaluated against the scope's object, and before the receiver is found to be null."""
        name = str(tree.children[0])
        args = tuple(self.node(child, Here(here.scope, here.scope)) for child in subtrees(subtrees(tree)[0]))
        checks.check_deterministic(name, target, span_of(tree))
        if target is not NULL:
            self.report_found(checks.check_method(name, len(args), target, safe=safe), span)
        self._check_pattern(name, args)
        if name in _CLOCKS:
            return self.with_now(access.method_of(name, safe=safe, reads_now=True), (target, *args), span)
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

    def variable_step(self, target: Node, tree: _Tree, here: Here, span: Span, _safe: bool) -> Node:
        """`x.#y` is `#y` after `x`; `x.#this` is `x`."""
        if self.variable_name(tree) == "this":
            return target
        return Let(self.fresh(), target, self.variable(tree, here), span=span)

    def function_step(self, target: Node, tree: _Tree, here: Here, span: Span, _safe: bool) -> Node:
        """The arguments of a function are evaluated against the object before it."""
        local = Local(self.fresh(), span=target.span)
        return Let(local.name, target, self.function(tree, Here(local, here.scope)), span=span)

    # ---- selections --------------------------------------------------------------------------------------------------

    def selection_step(self, target: Node, tree: _Tree, _here: Here, span: Span, safe: bool) -> Node:
        """`.?[…]`, `.^[…]`, `.$[…]`. The last evaluates the condition for every element, as in Spring."""
        kind = tokens(tree)[0].type
        item = Local(self.fresh(), span=span)
        condition = self.node(subtrees(tree)[0], Here(item, item))
        gather = Gather.FIRST if kind == "SELECT_FIRST" else Gather.LIST
        return self._loop(target, span, safe, _GATHERED[kind], (gather, item, condition, item))

    def projection_step(self, target: Node, tree: _Tree, _here: Here, span: Span, safe: bool) -> Node:
        """`.![…]`: what the expression makes of each element."""
        item = Local(self.fresh(), span=span)
        result = self.node(subtrees(tree)[0], Here(item, item))
        return self._loop(target, span, safe, access.PROJECTED, (Gather.LIST, item, None, result))

    def _loop(
        self, target: Node, span: Span, safe: bool, made: Function, parts: tuple[Gather, Local, Node | None, Node]
    ) -> Node:
        gather, item, condition, result = parts
        source = Local(self.fresh(), span=target.span)
        items = access.items_of(safe=safe)
        loop = Comprehension(
            gather, (item.name,), source, items, condition, PICKED, result, commutative=False, span=span
        )
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
    "property": Steps.property_step,
    "method": Steps.method_step,
    "index": Steps.index_step,
    "selection": Steps.selection_step,
    "projection": Steps.projection_step,
    "variable": Steps.variable_step,
    "function": Steps.function_step,
}
_GATHERED: Final[Mapping[str, Function]] = {
    "SELECT": access.SELECTED,
    "SELECT_FIRST": access.FIRST,
    "SELECT_LAST": access.LAST,
}
