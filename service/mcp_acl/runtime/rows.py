"""Each setting as a row: what sources, flags and documentation need to know of it, read off the model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, get_args, get_origin

from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.settings_fields import Metavar

PREFIX: Final = "MCP_ACL_"
_KINDS: Final = (bool, int, float, tuple, Path)


class Row(NamedTuple):
    """One setting. `kind` is what its value is made of: one of bool, int, float, str, Path, and tuple for several texts.

    `example` is its default, or an example where it has none; `default` is None where there is none.
    """

    name: str
    kind: type
    metavar: str
    meaning: str
    required: bool
    default: object
    example: object

    @property
    def flag(self) -> str:
        """The flag that gives it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable that gives it."""
        return PREFIX + self.name.upper()


def _rows() -> Iterator[Row]:
    """What says where and what first, then the groups that are parts of it."""
    fields = sorted(Settings.model_fields.items(), key=lambda one: one[0] not in Settings.__annotations__)
    for name, field in fields:
        types = (field.annotation, get_origin(field.annotation), *get_args(field.annotation))
        kind = next((one for one in _KINDS if one in types), str)
        metavar = next((one.text for one in field.metadata if isinstance(one, Metavar)), "true|false")
        default = None if field.is_required() else field.default
        example = field.examples[0] if field.examples else default
        yield Row(name, kind, metavar, str(field.description), field.is_required(), default, example)


ROWS: Final[Mapping[str, Row]] = {row.name: row for row in _rows()}
