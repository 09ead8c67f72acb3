"""The functions written with `#`: `#jsonPath`, `#jsonEscape`, `#xmlEscape`."""

from collections.abc import Mapping
from typing import Final

from mcp_acl.expr.el.conversions import convert
from mcp_acl.expr.el.jsonpath import Path, read_path
from mcp_acl.expr.el.jsonpath_parser import compile_path
from mcp_acl.expr.el.metering import paid, weigh, weighed
from mcp_acl.expr.el.texts import java_text
from mcp_acl.expr.el.values import Attributes, Headers, elements, made_text
from mcp_acl.expr.meter import Meter, size
from mcp_acl.expr.nodes import Function
from mcp_acl.problems import EvalError

_COMPILED: Final = 40
"""What it costs to compile one character of a path."""

UNSUPPORTED: Final = frozenset({"xpath"})
"""Gravitee's functions that are not here."""


def _json_path(document: object, path: object, meter: Meter | None = None) -> object:
    text = convert(path, "String")
    if not isinstance(text, str):
        raise EvalError("the path of `#jsonPath` is null")
    return _read(compile_path(text), document, meter)


def _json_path_in_loop(meter: Meter, document: object, path: object) -> object:
    weigh(meter, path)
    meter.spend(size(path) * _COMPILED)
    return paid(meter, _json_path(document, path, meter))


def _read(path: Path, document: object, meter: Meter | None = None) -> object:
    if isinstance(document, Headers | Attributes):
        raise EvalError("`#jsonPath` does not look into all headers or attributes: name one")
    return read_path(path, document, meter)


def json_path_of(path: Path) -> Function:
    """`#jsonPath` with a path known at load time."""
    return Function(
        "#jsonPath",
        lambda document, _path: _read(path, document),
        metered=lambda meter, document, _path: paid(meter, _read(path, document, meter)),
    )


def _as_one_text(value: object) -> str:
    """What is escaped: a text, the elements of a list joined by spaces, or the text of anything else."""
    items = elements(value)
    if items is None:
        return java_text(value)
    return made_text(" ".join("" if item is None else java_text(item) for item in items))


_JSON: Final = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_XML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}


def _json_char(char: str) -> str:
    if char in _JSON:
        return _JSON[char]
    if " " <= char <= "\x7f":
        return char
    code = char.encode("utf-16-be", "surrogatepass").hex().upper()
    return "".join(f"\\u{code[place : place + 4]}" for place in range(0, len(code), 4))


def _xml_char(char: str) -> str:
    if char in _XML:
        return _XML[char]
    if "\x7f" <= char <= "\x84" or "\x86" <= char <= "\x9f":
        return f"&#{ord(char)};"
    dropped = (char < " " and char not in "\t\n\r") or "\ud800" <= char <= "\udfff" or char in "\ufffe\uffff"
    return "" if dropped else char


def _json_escape(value: object) -> object:
    return None if value is None else made_text("".join(map(_json_char, _as_one_text(value))))


def _xml_escape(value: object) -> object:
    return None if value is None else made_text("".join(map(_xml_char, _as_one_text(value))))


FUNCTIONS: Final[Mapping[str, tuple[int, Function]]] = {
    "jsonPath": (
        2,
        Function(
            "#jsonPath", _json_path, doc="the value at a path in JSON text or a value", metered=_json_path_in_loop
        ),
    ),
    "jsonEscape": (
        1,
        Function(
            "#jsonEscape", _json_escape, doc="a text as it stands in a JSON string", metered=weighed(_json_escape)
        ),
    ),
    "xmlEscape": (
        1,
        Function("#xmlEscape", _xml_escape, doc="a text as it stands in XML", metered=weighed(_xml_escape)),
    ),
}
"""By name: how many arguments, and the function."""
