"""Compile a tree to one Python function.

Strategy: every node is emitted as statements that leave its value in a name of our own making, so nesting in a
policy never becomes nesting of Python expressions. The function is built from `ast` nodes, never from text; strings
and numbers of a policy enter as constants, everything else as globals with generated names; there are no builtins.

The meaning is that of `walk` with nothing unknown. A subtree that would nest more blocks than Python allows becomes a
function of its own.
"""

import ast
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

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
_LATER_FIELDS: Final[dict[str, Any]] = {"type_params": []} if sys.version_info >= (3, 12) else {}
_PLAIN: Final = (str, int, float, bool, type(None))


def compile_node(node: Node) -> Callable[[object], Value]:
    """A function `scope → value`; an error is returned as an `EvalError`, never raised."""
    emitter = _Emitter()
    emitter.define("run", [], node, guarded=True)
    module = ast.fix_missing_locations(ast.Module(body=emitter.functions, type_ignores=[]))
    namespace: dict[str, object] = {"__builtins__": {}, **INLINE_NAMES, **emitter.bound}
    exec(compile(module, "<condition>", "exec"), namespace)  # noqa: S102 - built from ast nodes above
    # Taken out, so that nothing in its globals refers back to them: a condition is freed with its last user.
    return cast(Callable[[object], Value], namespace.pop("run"))


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

    def __init__(self) -> None:
        self.functions: list[ast.stmt] = []
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
            self._assign("n", _call_name("Meter", []) if loops else _const(None))
        self._block.append(ast.Return(self.emit(node)))
        body, self._block, self._depth = self._block, outer, outer_depth
        if guarded:
            caught = ast.Return(_call_name("as_error", [_name("e")]))
            body = [_try([*self.functions, *body], "e", [caught])]
            self.functions = []
        arguments = ["s"] if guarded else ["s", "n", *parameters]
        self.functions.append(
            ast.FunctionDef(
                name=name,
                args=ast.arguments([], [ast.arg(one) for one in arguments], None, [], [], None, []),
                body=body,
                decorator_list=[],
                **_LATER_FIELDS,
            )
        )

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
        return _name(known)

    def _assign(self, name: str, value: ast.expr) -> None:
        self._block.append(_assignment(name, value))

    def _named(self, value: ast.expr) -> ast.expr:
        name = self.fresh()
        self._assign(name, value)
        return _name(name)

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
        return self._named(_call_name(name, [_name(one) for one in ("s", "n", *parameters)]))

    def apply(self, function: Function, nodes: Sequence[Node], args: Sequence[ast.expr]) -> ast.expr:
        """The call in a name: in a loop a metered one, elsewhere its faster form if there is one."""
        metered = function.in_loop(nodes) if self._loops else None
        if metered is not None:
            return self._named(ast.Call(self.bind(metered), [_name("n"), *args], []))
        call = ast.Call(self.bind(function.run), list(args), [])
        faster = function.inline(nodes, args, call) if function.inline is not None else None
        return self._named(faster if faster is not None else call)

    def _pay(self, method: str, *args: ast.expr) -> None:
        self._block.append(ast.Expr(ast.Call(ast.Attribute(_name("n"), method, ast.Load()), list(args), [])))

    def _truth(self, node: Node, truth: Function) -> ast.expr:
        value = self.emit(node)
        return value if is_bool(node) else self.apply(truth, [node], [value])

    # ---- one function per kind of node -------------------------------------------------------------------------

    def const(self, node: Const) -> ast.expr:
        return _const(node.value) if type(node.value) in _PLAIN else self.bind(node.value)

    def fact(self, node: Fact) -> ast.expr:
        return self._named(ast.Attribute(_name("s"), node.variable.attribute, ast.Load()))

    def available(self, node: Available) -> ast.expr:
        name = self.fresh()
        read = ast.Expr(ast.Attribute(_name("s"), node.variable.attribute, ast.Load()))
        found, missing = _assignment(name, _const(True)), _assignment(name, _const(False))
        self._block.append(_try([read, found], None, [missing]))
        return _name(name)

    def local(self, node: Local) -> ast.expr:
        return _name(self._locals[node.name])

    def let(self, node: Let) -> ast.expr:
        name = self.fresh()
        self._assign(name, self.emit(node.value))
        with self._with_locals({node.name: name}):
            return self.emit(node.body)

    def call(self, node: Call) -> ast.expr:
        return self.apply(node.function, node.args, [self.emit(arg) for arg in node.args])

    def logic(self, node: Logic) -> ast.expr:
        """A block left by `break`: at the deciding value, or at its end with an error met on the way or the neutral value."""
        name, error = self.fresh(), self.fresh()
        decided = [_assignment(name, _const(not node.is_and)), ast.Break()]
        block: list[ast.stmt] = []
        for operand in node.operands:
            inner: list[ast.stmt] = []
            with self._into(inner, depth=2):
                value = self._truth(operand, node.truth)
                inner.append(_if_is(value, _const(not node.is_and), decided))
            block += [_keep_first(inner, error)] if node.commutative else inner
        if node.commutative:
            self._assign(error, _const(None))
            block.append(_raise_if(error))
        block += [_assignment(name, _const(node.is_and)), ast.Break()]
        self._block.append(ast.While(_const(True), block, []))
        return _name(name)

    def conditional(self, node: Conditional) -> ast.expr:
        name = self.fresh()
        condition = self._truth(node.condition, node.truth)
        branches: list[list[ast.stmt]] = []
        for branch in (node.then, node.otherwise):
            block: list[ast.stmt] = []
            with self._into(block):
                self._assign(name, self.emit(branch))
            branches.append(block)
        self._block.append(ast.If(_is(condition, _const(True)), *branches))
        return _name(name)

    def comprehension(self, node: Comprehension) -> ast.expr:
        over = self.emit(node.range)
        self._pay("spend", _const(NODE))
        items = self.apply(node.items, [node.range], [over])
        self._pay("visit", _call_name("len", [items]), _const(price(node)))
        if node.gather is Gather.LAST:
            items = self._named(_call_name("reversed", [items]))
        names = {name: self.fresh() for name in node.names}
        self._loops += 1
        with self._with_locals(names):
            loop = _LOOPS[node.gather](self, node)
        targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names.values()]
        loop.target = targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store())
        loop.iter = items
        self._block.append(loop.before)
        self._block.append(loop.build())
        made = _name(loop.result) if node.build is None else self.apply(node.build, [], [_name(loop.result)])
        self._loops -= 1
        return made

    def quantifier(self, node: Comprehension) -> "_Loop":
        is_and = node.gather is Gather.ALL
        loop = _Loop(self.fresh(), _const(is_and))
        assert node.condition is not None
        inner: list[ast.stmt] = []
        error = self.fresh()
        with self._into(inner, depth=2):
            value = self._truth(node.condition, node.truth)
            inner.append(_if_is(value, _const(not is_and), [_assignment(loop.result, _const(not is_and)), ast.Break()]))
        if not node.commutative:
            loop.body = inner
            return loop
        self._assign(error, _const(None))
        loop.body = [_keep_first(inner, error)]
        loop.otherwise = [_raise_if(error)]
        return loop

    def counter(self, node: Comprehension) -> "_Loop":
        """`exists_one`: after the second match only errors still matter, so the loop goes on."""
        loop = _Loop(self.fresh(), _const(False))
        count = self.fresh()
        self._assign(count, _const(0))
        with self._into(loop.body, depth=2):
            more = _assignment(count, ast.BinOp(_name(count), ast.Add(), _const(1)))
            self._picked(node, [more])
        only_one = ast.Compare(_name(count), [ast.Eq()], [_const(1)])
        loop.otherwise = [_assignment(loop.result, only_one)]
        return loop

    def collector(self, node: Comprehension) -> "_Loop":
        loop = _Loop(self.fresh(), ast.List(elts=[], ctx=ast.Load()))
        with self._into(loop.body, depth=2):
            keep: list[ast.stmt] = []
            with self._into(keep):
                assert node.result is not None
                value = self.emit(node.result)
                append = ast.Attribute(_name(loop.result), "append", ast.Load())
                keep.append(ast.Expr(ast.Call(append, [value], [])))
            self._picked(node, keep)
        return loop

    def finder(self, node: Comprehension) -> "_Loop":
        loop = _Loop(self.fresh(), _const(None))
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
            self._block.append(_if_is(self._truth(node.condition, node.truth), _const(True), then))


class _Loop:
    """A `for` being built: `result` starts as `start`, `otherwise` runs when nothing broke the loop off."""

    def __init__(self, result: str, start: ast.expr) -> None:
        self.result = result
        self.before = _assignment(result, start)
        self.body: list[ast.stmt] = []
        self.otherwise: list[ast.stmt] = []
        self.target: ast.expr = _const(None)
        self.iter: ast.expr = _const(None)

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


def _const(value: object) -> ast.expr:
    assert type(value) in _PLAIN
    return ast.Constant(value)  # type: ignore[arg-type]


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _assignment(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _call_name(name: str, args: list[ast.expr]) -> ast.expr:
    return ast.Call(_name(name), args, [])


def _is(left: ast.expr, right: ast.expr) -> ast.expr:
    return ast.Compare(left, [ast.Is()], [right])


def _if_is(left: ast.expr, right: ast.expr, then: list[ast.stmt]) -> ast.stmt:
    return ast.If(_is(left, right), then, [])


def _try(body: list[ast.stmt], name: str | None, handler: list[ast.stmt]) -> ast.stmt:
    return ast.Try(body, [ast.ExceptHandler(_name("Error"), name, handler)], [], [])


def _keep_first(body: list[ast.stmt], error: str) -> ast.stmt:
    keep = _if_is(_name(error), _const(None), [_assignment(error, _name("e"))])
    return _try(body, "e", [keep])


def _raise_if(error: str) -> ast.stmt:
    return ast.If(ast.Compare(_name(error), [ast.IsNot()], [_const(None)]), [ast.Raise(_name(error))], [])
