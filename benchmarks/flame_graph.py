"""A flame graph as one SVG that asks for nothing else: what called stands above what it called, and width is cost. Knows no sampler."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element, tostring

from mcp_acl.bench.markup import raw, tag

_WIDTH: Final = 1200
_ROW: Final = 17
_LEFT: Final = 10
_TOP: Final = 78
_LETTER: Final = 6.1
_FEWEST: Final = 6
"""Letters that still say something."""
_LEAST: Final = 0.003
"""The part of the whole that is still drawn."""
_COLOURS: Final = ("#aeb6c2", "#8fb8de", "#b9a5e3", "#e6b877", "#d8d36c", "#93c98a", "#7fcac3", "#e79a9a")
_STYLE: Final = (
    "svg{background:#fcfcfb}text{font:11px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#17181a;pointer-events:none}"
    ".t{font-size:15px;font-weight:600}.s{fill:#5c6066}rect{stroke:#fcfcfb;stroke-width:.6}g:hover rect{stroke:#17181a}"
    + "".join(f".c{at}{{fill:{colour}}}" for at, colour in enumerate(_COLOURS))
)


@dataclass(slots=True)
class Node:
    """A frame: what it cost with all that it called, and what of it each of these did."""

    name: str
    layer: str = ""
    cost: float = 0.0
    below: "dict[tuple[str, str], Node]" = field(default_factory=dict)

    def add(self, stack: Iterable[tuple[str, str]], cost: float) -> None:
        """Count a stack of names and layers, the outermost first."""
        node = self
        node.cost += cost
        for name, layer in stack:
            node = node.below.setdefault((name, layer), Node(name, layer))
            node.cost += cost

    @property
    def depth(self) -> int:
        """Rows it takes, of what is drawn."""
        return self._depth(self.cost * _LEAST)

    def _depth(self, least: float) -> int:
        return 1 + max((one._depth(least) for one in self.below.values() if one.cost >= least), default=0)  # noqa: SLF001


def svg(title: str, says: str, root: Node, layers: Mapping[str, float], unit: str) -> str:
    """The graph. `layers`: of each, in the order of their colours, what part of the whole it is."""
    colours = {name: at for at, name in enumerate(layers)}
    height = _TOP + root.depth * _ROW + _LEFT
    drawing = tag(
        "svg",
        raw("style", _STYLE),
        tag("title", title),
        _text(_LEFT, 22, title, "t"),
        _text(_LEFT, 40, says, "s"),
        *_legend(layers),
        *_frames(root, _LEFT, _TOP, _Scale((_WIDTH - 2 * _LEFT) / root.cost, root.cost, unit, colours)),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {height}",
        role="img",
    )
    return tostring(drawing, encoding="unicode") + "\n"


@dataclass(frozen=True, slots=True)
class _Scale:
    """How wide a cost is, and how it is said."""

    width: float
    whole: float
    unit: str
    colours: Mapping[str, int]


def _text(x: float, y: float, says: str, class_: str = "") -> Element:
    return tag("text", says, x=x, y=y, **({"class_": class_} if class_ else {}))


def _legend(layers: Mapping[str, float]) -> Iterator[Element]:
    x = float(_LEFT)
    for at, (name, share) in enumerate(layers.items()):
        says = f"{name} {share:.0%}"
        yield tag("rect", x=x, y=52, width=11, height=11, class_=f"c{at}")
        yield _text(x + 16, 62, says)
        x += 16 + (len(says) + 3) * _LETTER


def _frames(node: Node, x: float, y: float, scale: _Scale) -> Iterator[Element]:
    """A frame, and below it what it called, the dearest first."""
    if node.cost < scale.whole * _LEAST:
        return
    width = node.cost * scale.width
    says = f"{node.name}: {node.cost:.1f} {scale.unit}, {node.cost / scale.whole:.1%}"
    said = _fitting(node.name, int((width - 6) / _LETTER))
    label = [_text(round(x + 3, 1), y + 12, said)] if said else []
    colour = scale.colours.get(node.layer, 0)
    box = tag("rect", x=round(x, 1), y=y, width=round(width, 1), height=_ROW - 1, class_=f"c{colour}")
    yield tag("g", tag("title", says), box, *label)
    for one in sorted(node.below.values(), key=lambda one: -one.cost):
        yield from _frames(one, x, y + _ROW, scale)
        x += one.cost * scale.width


def _fitting(name: str, letters: int) -> str:
    """As much of a name as there is room for: of `module:function` the function, if not both."""
    said = name if len(name) <= letters else name.rpartition(":")[2]
    return said[:letters] if letters >= min(len(said), _FEWEST) else ""


def shares(stacks: Sequence[tuple[str, float]], layers: Iterable[str]) -> dict[str, float]:
    """What part of all cost each layer has."""
    whole = sum(cost for _, cost in stacks) or 1.0
    return {name: sum(cost for layer, cost in stacks if layer == name) / whole for name in layers}
