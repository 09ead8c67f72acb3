"""Compile a tree to one Python function.

Strategy: every node is emitted as statements that leave its value in a name of our own making, so nesting in a
policy never becomes nesting of Python expressions. The function is built from `ast` nodes, never from text; strings
and numbers of a policy enter as constants, everything else as globals with generated names; there are no builtins.

The meaning is that of `walk` with nothing unknown. A subtree that would nest more blocks than Python allows becomes a
function of its own.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, cast

from mcp_acl.expr import pieces
from mcp_acl.expr.meter import NODE, Meter
from mcp_acl.expr.nodes import (
    Available,
    Call,
    Comprehension,
    Conditional,
    Const,
    Fact,
    Function,
    Gather,
    Let,
    Local,
    Logic,
    Node,
    Type,
    Value,
    descendants,
    price,
)
from mcp_acl.expr.shapes import ANY_TEXT, Maker, Shape, Shapes, shape_of
from mcp_acl.expr.walk import as_eval_error

INLINE_NAMES: Final[Mapping[str, object]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "dict": dict,
    "list": list,
    "len": len,
}
"""The names an `inline` emitter may use."""

_MAX_BLOCKS: Final = 8  # CPython allows 20 nested blocks in a function; a node opens at most two


def compile_node(node: Node, shapes: Shapes | None = None) -> Callable[[object], Value]:
    """A function `scope → value`; an error is returned as an `EvalError`, never raised.

    `shapes` is code to share with other trees, and takes what is made.
    """
    shape = shape_of(node)
    make = None if shapes is None else shapes.get(shape.key)
    if make is None:
        make = _maker(node, shape)
        if shapes is not None:
            shapes[shape.key] = make
    return make(*shape.texts)


def _maker(node: Node, shape: Shape) -> Maker:
    """The function around the one that runs: its parameters are the texts."""
    emitter = _Emitter(shape.places)
    emitter.define("run", [], node, guarded=True)
    body = [*emitter.functions, ast.Return(pieces.name("run"))]
    make = pieces.function("make", [pieces.text_name(place) for place in range(len(shape.texts))], body)
    module = ast.fix_missing_locations(ast.Module(body=[make], type_ignores=[]))
    namespace: dict[str, object] = {"__builtins__": {}, **INLINE_NAMES, **emitter.bound}
    exec(compile(module, "<condition>", "exec"), namespace)  # noqa: S102 - built from ast nodes above
    # Taken out, so that nothing in its globals refers back to them: a condition is freed with its last user.
    return cast(Maker, namespace.pop("make"))


def is_bool(node: Node) -> bool:
    """Whether the value is a bool whenever it is a value."""
    match node:
        case Const():
            return isinstance(node.value, bool)
        case Call():
            return node.function.result is Type.BOOL
        case Logic() | Available():
            return True
        case Comprehension():
            return node.gather in (Gather.ALL, Gather.EXISTS, Gather.EXISTS_ONE)
        case Let():
            return is_bool(node.body)
        case Conditional():
            return is_bool(node.then) and is_bool(node.otherwise)
    return False


class _Emitter:
    """Collects the functions of one condition and what they refer to."""

    def __init__(self, texts: Mapping[tuple[int, int], int]) -> None:
        self.functions: list[ast.stmt] = []
        self._texts = texts
        self.bound: dict[str, object] = {
            "Error": Exception,
            "as_error": as_eval_error,
            "Meter": Meter,
            "reversed": lambda items: items[::-1],
        }
        self._names: dict[int, str] = {}
        self._count = 0
        self._block: list[ast.stmt] = []
        self._depth = 0
        self._loops = 0
        self._locals: dict[str, str] = {}

    def define(self, name: str, parameters: list[str], node: Node, *, guarded: bool) -> None:
        """Emit `def name(s, n, *parameters)` returning the node's value; `run` makes the meter `n`, guards all and holds the others."""
        outer, outer_depth = self._block, self._depth
        self._block, self._depth = [], 0
        if guarded:
            loops = any(isinstance(one, Comprehension) for one in descendants(node))
            self._assign("n", pieces.called("Meter", []) if loops else pieces.const(None))
        self._block.append(ast.Return(self.emit(node)))
        body, self._block, self._depth = self._block, outer, outer_depth
        if guarded:
            caught = ast.Return(pieces.called("as_error", [pieces.name("e")]))
            body = [pieces.tried([*self.functions, *body], "e", [caught])]
            self.functions = []
        arguments = ["s"] if guarded else ["s", "n", *parameters]
        self.functions.append(pieces.function(name, arguments, body))

    def emit(self, node: Node) -> ast.expr:
        """Append what computes the node; the result is a name or a constant."""
        if self._depth > _MAX_BLOCKS and isinstance(node, Logic | Comprehension | Available):
            return self._lift(node)
        return _EMITTERS[type(node)](self, node)

    # ---- names -------------------------------------------------------------------------------------------------

    def fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def bind(self, value: object) -> ast.expr:
        """A global name for a value, the same for the same object."""
        known = self._names.get(id(value))
        if known is None:
            known = self._names[id(value)] = f"k{len(self._names)}"
            self.bound[known] = value
        return pieces.name(known)

    def _assign(self, name: str, value: ast.expr) -> None:
        self._block.append(pieces.assigned(name, value))

    def _named(self, value: ast.expr) -> ast.expr:
        name = self.fresh()
        self._assign(name, value)
        return pieces.name(name)

    @contextmanager
    def _into(self, block: list[ast.stmt], depth: int = 0) -> Iterator[None]:
        outer = self._block
        self._block = block
        self._depth += depth
        yield
        self._block = outer
        self._depth -= depth

    @contextmanager
    def _with_locals(self, names: Mapping[str, str]) -> Iterator[None]:
        outer = self._locals
        self._locals = {**outer, **names}
        yield
        self._locals = outer

    def _lift(self, node: Node) -> ast.expr:
        parameters = sorted(set(self._locals.values()))
        name = f"f{self.fresh()}"
        self.define(name, parameters, node, guarded=False)
        return self._named(pieces.called(name, [pieces.name(one) for one in ("s", "n", *parameters)]))

    def apply(self, function: Function, nodes: Sequence[Node], args: Sequence[ast.expr]) -> ast.expr:
        """The call in a name: in a loop a metered one, elsewhere its faster form if there is one."""
        metered = function.in_loop(nodes) if self._loops else None
        if metered is not None:
            return self._named(ast.Call(self.bind(metered), [pieces.name("n"), *args], []))
        call = ast.Call(self.bind(function.run), list(args), [])
        faster = function.inline(nodes, args, call) if function.inline is not None else None
        return self._named(faster if faster is not None else call)

    def _pay(self, method: str, *args: ast.expr) -> None:
        self._block.append(ast.Expr(ast.Call(ast.Attribute(pieces.name("n"), method, ast.Load()), list(args), [])))

    def _truth(self, node: Node, truth: Function) -> ast.expr:
        value = self.emit(node)
        return value if is_bool(node) else self.apply(truth, [node], [value])

    # ---- one function per kind of node -------------------------------------------------------------------------

    def const(self, node: Const) -> ast.expr:
        return pieces.const(node.value) if type(node.value) in pieces.PLAIN else self.bind(node.value)

    def fact(self, node: Fact) -> ast.expr:
        return self._named(ast.Attribute(pieces.name("s"), node.variable.attribute, ast.Load()))

    def available(self, node: Available) -> ast.expr:
        name = self.fresh()
        read = ast.Expr(ast.Attribute(pieces.name("s"), node.variable.attribute, ast.Load()))
        found, missing = pieces.assigned(name, pieces.const(True)), pieces.assigned(name, pieces.const(False))
        self._block.append(pieces.tried([read, found], None, [missing]))
        return pieces.name(name)

    def local(self, node: Local) -> ast.expr:
        return pieces.name(self._locals[node.name])

    def let(self, node: Let) -> ast.expr:
        name = self.fresh()
        self._assign(name, self.emit(node.value))
        with self._with_locals({node.name: name}):
            return self.emit(node.body)

    def call(self, node: Call) -> ast.expr:
        nodes: list[Node] = []
        args: list[ast.expr] = []
        for index, arg in enumerate(node.args):
            text = self._texts.get((id(node), index))
            nodes.append(arg if text is None else ANY_TEXT)
            args.append(self.emit(arg) if text is None else pieces.name(pieces.text_name(text)))
        return self.apply(node.function, nodes, args)

    def logic(self, node: Logic) -> ast.expr:
        """A block left by `break`: at the deciding value, or at its end with an error met on the way or the neutral value."""
        name, error = self.fresh(), self.fresh()
        decided = [pieces.assigned(name, pieces.const(not node.is_and)), ast.Break()]
        block: list[ast.stmt] = []
        for operand in node.operands:
            inner: list[ast.stmt] = []
            with self._into(inner, depth=2):
                value = self._truth(operand, node.truth)
                inner.append(pieces.if_same(value, pieces.const(not node.is_and), decided))
            block += [pieces.keep_first(inner, error)] if node.commutative else inner
        if node.commutative:
            self._assign(error, pieces.const(None))
            block.append(pieces.raise_if(error))
        block += [pieces.assigned(name, pieces.const(node.is_and)), ast.Break()]
        self._block.append(ast.While(pieces.const(True), block, []))
        return pieces.name(name)

    def conditional(self, node: Conditional) -> ast.expr:
        name = self.fresh()
        condition = self._truth(node.condition, node.truth)
        branches: list[list[ast.stmt]] = []
        for branch in (node.then, node.otherwise):
            block: list[ast.stmt] = []
            with self._into(block):
                self._assign(name, self.emit(branch))
            branches.append(block)
        self._block.append(ast.If(pieces.same(condition, pieces.const(True)), *branches))
        return pieces.name(name)

    def comprehension(self, node: Comprehension) -> ast.expr:
        over = self.emit(node.range)
        self._pay("spend", pieces.const(NODE))
        items = self.apply(node.items, [node.range], [over])
        self._pay("visit", pieces.called("len", [items]), pieces.const(price(node)))
        if node.gather is Gather.LAST:
            items = self._named(pieces.called("reversed", [items]))
        names = {name: self.fresh() for name in node.names}
        self._loops += 1
        with self._with_locals(names):
            loop = _LOOPS[node.gather](self, node)
        targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names.values()]
        loop.target = targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store())
        loop.iter = items
        self._block.append(loop.before)
        self._block.append(loop.build())
        made = (
            pieces.name(loop.result) if node.build is None else self.apply(node.build, [], [pieces.name(loop.result)])
        )
        self._loops -= 1
        return made

    def quantifier(self, node: Comprehension) -> "_Loop":
        is_and = node.gather is Gather.ALL
        loop = _Loop(self.fresh(), pieces.const(is_and))
        assert node.condition is not None
        inner: list[ast.stmt] = []
        error = self.fresh()
        with self._into(inner, depth=2):
            value = self._truth(node.condition, node.truth)
            inner.append(
                pieces.if_same(
                    value,
                    pieces.const(not is_and),
                    [pieces.assigned(loop.result, pieces.const(not is_and)), ast.Break()],
                )
            )
        if not node.commutative:
            loop.body = inner
            return loop
        self._assign(error, pieces.const(None))
        loop.body = [pieces.keep_first(inner, error)]
        loop.otherwise = [pieces.raise_if(error)]
        return loop

    def counter(self, node: Comprehension) -> "_Loop":
        """`exists_one`: after the second match only errors still matter, so the loop goes on."""
        loop = _Loop(self.fresh(), pieces.const(False))
        count = self.fresh()
        self._assign(count, pieces.const(0))
        with self._into(loop.body, depth=2):
            more = pieces.assigned(count, ast.BinOp(pieces.name(count), ast.Add(), pieces.const(1)))
            self._picked(node, [more])
        only_one = ast.Compare(pieces.name(count), [ast.Eq()], [pieces.const(1)])
        loop.otherwise = [pieces.assigned(loop.result, only_one)]
        return loop

    def collector(self, node: Comprehension) -> "_Loop":
        loop = _Loop(self.fresh(), ast.List(elts=[], ctx=ast.Load()))
        with self._into(loop.body, depth=2):
            keep: list[ast.stmt] = []
            with self._into(keep):
                assert node.result is not None
                value = self.emit(node.result)
                append = ast.Attribute(pieces.name(loop.result), "append", ast.Load())
                keep.append(ast.Expr(ast.Call(append, [value], [])))
            self._picked(node, keep)
        return loop

    def finder(self, node: Comprehension) -> "_Loop":
        loop = _Loop(self.fresh(), pieces.const(None))
        with self._into(loop.body, depth=2):
            found: list[ast.stmt] = []
            with self._into(found):
                assert node.result is not None
                self._assign(loop.result, self.emit(node.result))
                found.append(ast.Break())
            self._picked(node, found)
        return loop

    def _picked(self, node: Comprehension, then: list[ast.stmt]) -> None:
        if node.condition is None:
            self._block += then
        else:
            self._block.append(pieces.if_same(self._truth(node.condition, node.truth), pieces.const(True), then))


class _Loop:
    """A `for` being built: `result` starts as `start`, `otherwise` runs when nothing broke the loop off."""

    def __init__(self, result: str, start: ast.expr) -> None:
        self.result = result
        self.before = pieces.assigned(result, start)
        self.body: list[ast.stmt] = []
        self.otherwise: list[ast.stmt] = []
        self.target: ast.expr = pieces.const(None)
        self.iter: ast.expr = pieces.const(None)

    def build(self) -> ast.stmt:
        return ast.For(self.target, self.iter, self.body or [ast.Pass()], self.otherwise)


_LOOPS: Final = {
    Gather.ALL: _Emitter.quantifier,
    Gather.EXISTS: _Emitter.quantifier,
    Gather.EXISTS_ONE: _Emitter.counter,
    Gather.LIST: _Emitter.collector,
    Gather.MAP: _Emitter.collector,
    Gather.FIRST: _Emitter.finder,
    Gather.LAST: _Emitter.finder,
}

_EMITTERS: Final[Mapping[type[Node], Callable[..., ast.expr]]] = {
    Const: _Emitter.const,
    Fact: _Emitter.fact,
    Available: _Emitter.available,
    Local: _Emitter.local,
    Let: _Emitter.let,
    Call: _Emitter.call,
    Logic: _Emitter.logic,
    Conditional: _Emitter.conditional,
    Comprehension: _Emitter.comprehension,
}
