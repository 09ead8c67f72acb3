"""JSON texts for properties: values written in every way JSON allows and a few it does not."""

import json

from hypothesis import strategies as st

from mcp_acl.domain import InexactNumber, Json

KEYS = st.sampled_from(["a", "b", "name", "id", "Name", "é", "\0", "1"]) | st.text(max_size=4)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**54), 2**54)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(["12345678901234567", ": 1234567890123456", "\ud800", "{[", "\x7f", "\u2028"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=3).map(tuple),
    max_leaves=8,
)
SPACES = st.sampled_from(["", "", "", " ", "\n\t"])
NUMBERS = st.sampled_from(
    [
        "-0",
        "1e5",
        "1E+2",
        "1e400",
        "-1e400",
        "1e-400",
        "0.0e-999",
        "9007199254740993",
        "1.0",
        "1e16",
        "12345678901234567.5",
    ]
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A JSON text; objects may repeat keys, strings may hold lone surrogates."""
    return _written(draw, draw(VALUES)).encode("utf-8", "surrogatepass")


def _written(draw: st.DrawFn, value: object) -> str:
    space = draw(SPACES)
    if isinstance(value, tuple):
        members = (f"{_string(draw, key)}{space}:{_written(draw, one)}" for key, one in value)
        return f"{{{space}{','.join(members)}}}{space}"
    if isinstance(value, list):
        return f"{space}[{','.join(_written(draw, one) for one in value)}{space}]"
    if isinstance(value, str):
        return space + _string(draw, value)
    if isinstance(value, float | int) and draw(st.integers(0, 4)) == 0:
        return space + draw(NUMBERS)
    return space + json.dumps(value).replace("Infinity", "1e999")


def _string(draw: st.DrawFn, text: str) -> str:
    return json.dumps(text, ensure_ascii=draw(st.booleans()))


def shown(value: Json) -> object:
    """A form that can be compared: types and signs count, and so does the text of an inexact number."""
    if isinstance(value, dict):
        return [(key, shown(one)) for key, one in value.items()]
    if isinstance(value, list):
        return [list, *map(shown, value)]
    return (type(value), value.text) if isinstance(value, InexactNumber) else (type(value), repr(value))
