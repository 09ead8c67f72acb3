"""HTML and SVG as a tree, so that every text in it is escaped. Knows nothing of what it says."""

import json
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element, tostring

from mcp_acl.bench.figures import printable

Child: TypeAlias = "Element | str"

_DOCTYPE: Final = "<!doctype html>\n"


def tag(name: str, /, *children: Child, **attributes: str | float) -> Element:
    """An element. `class_` is `class`, `stroke_width` is `stroke-width`; numbers are written short."""
    made = Element(name)
    for key, value in attributes.items():
        text = value if isinstance(value, str) else f"{value:.6g}"
        made.set(key.rstrip("_").replace("_", "-"), _readable(text))
    for child in children:
        if not isinstance(child, str):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + _readable(child)
        else:
            made.text = (made.text or "") + _readable(child)
    return made


def _readable(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def raw(name: str, text: str, **attributes: str) -> Element:
    """A `script` or a `style`. Its text is our own: it must not hold the element's end."""
    made = tag(name, **attributes)
    made.text = text
    return made


def data(text: bytes, id_: str) -> Element:
    """JSON for programs that read the page; `<` is written so that nothing in it ends the element."""
    written = json.dumps(json.loads(text), ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return raw("script", written, type="application/json", id=id_)


def page(root: Element) -> str:
    """The whole document."""
    return _DOCTYPE + tostring(root, encoding="unicode", method="html") + "\n"
