"""How large a JSON text may be. Knows nothing of what is in it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one JSON text; each has its own error code, which is the field's name.

    `size`: bytes of the text. `depth`: objects and arrays within one another. `keys`: members of all objects together.
    `items`: elements of all arrays together. `string`: characters of one string or key. `number`: characters of one number.
    """

    size: int = 4 * 1024 * 1024
    depth: int = 64
    keys: int = 100_000
    items: int = 250_000
    string: int = 1024 * 1024
    number: int = 256


DEFAULT_LIMITS: Final = Limits()
