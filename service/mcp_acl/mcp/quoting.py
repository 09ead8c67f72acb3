"""How text of a peer is shown inside an error text. Knows nothing else."""

from typing import Final

_LONGEST: Final = 60


def quoted(text: str) -> str:
    """A peer's text in backticks: one line, at most 60 characters, what cannot be printed and backticks as `?`."""
    cut = "".join(char if char.isprintable() and char != "`" else "?" for char in text[:_LONGEST])
    return f"`{cut}…`" if len(text) > _LONGEST else f"`{cut}`"
