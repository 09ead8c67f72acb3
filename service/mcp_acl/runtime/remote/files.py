"""The policy files among what was fetched: which they are, what their names may be, and how much there may be of them. Opens nothing.

What is looked at is what the service would read in that directory: `*.yaml` in it, and nothing below it. Links are refused, as is
whatever leads out of the directory, wherever in an archive it is: who writes such a thing means no good.
"""

from collections.abc import Mapping
from typing import Final

from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.source import MAX_SIZE
from mcp_acl.problems import Problem, SourceError

MAX_FILES: Final = 2_000
MAX_TOTAL: Final = 64 * 1024 * 1024
"""Bytes of all files together."""
_SUFFIX: Final = ".yaml"
_LONGEST: Final = 255  # bytes of a name, on most file systems

UNREACHABLE: Final = "remote-unreachable"
"""The code of what may pass though nothing changes where the policies come from."""


def refusal(code: str, message: str, hint: str = "") -> SourceError:
    """Why what is elsewhere is not taken."""
    return SourceError([Problem(code, message, hint=hint)])


class Files:
    """What is collected. `within` are the names of the directories that lead to the policy files."""

    def __init__(self, within: tuple[str, ...]) -> None:
        self._within = within
        self._contents: dict[str, bytes] = {}
        self._folded: set[str] = set()
        self._total = 0

    def wants(self, parts: tuple[str, ...]) -> bool:
        """Whether what is at this path would be read as a policy file."""
        return parts[:-1] == self._within and parts[-1].endswith(_SUFFIX) and not parts[-1].startswith(".")

    def add(self, name: str, content: bytes) -> None:
        """Take a file. Raises SourceError if it may not be there."""
        check_name(name)
        if name.casefold() in self._folded:
            raise refusal("remote-content", f"there are two files named {quoted(name)}", "give each a name of its own")
        if len(content) > MAX_SIZE:
            raise refusal("remote-content", f"{quoted(name)} has more than {MAX_SIZE:,} bytes", "split it")
        self._folded.add(name.casefold())
        self._contents[name] = content
        self._total += len(content)
        if len(self._contents) > MAX_FILES or self._total > MAX_TOTAL:
            most = f"there are more than {MAX_FILES:,} policy files, or they have more than {MAX_TOTAL:,} bytes"
            raise refusal("remote-content", most, "merge them, or leave some out")

    def contents(self) -> Mapping[str, bytes]:
        """Each file by its name. Raises SourceError if there is none."""
        if not self._contents:
            where = f"in {quoted('/'.join(self._within))}" if self._within else "at the top"
            hint = "`policies_path` is the directory that holds them"
            raise refusal("remote-content", f"there is no `*{_SUFFIX}` file {where}", hint)
        return self._contents


def check_name(name: str) -> None:
    """Raises SourceError for the name of a file that must not be written."""
    fine = name.isprintable() and name not in {"", ".", ".."} and not {"/", "\\"} & set(name)
    if not fine or len(name.encode(errors="surrogateescape")) > _LONGEST:
        raise refusal("remote-content", f"{quoted(name)} is no name for a policy file", "rename it")


def parts_of(path: str) -> tuple[str, ...]:
    """The names in a path of an archive. Raises SourceError for one that leads out of it, or may on some system."""
    parts = tuple(one for one in path.split("/") if one not in {"", "."})
    if path.startswith("/") or "\\" in path or "\0" in path or ".." in parts or (parts and ":" in parts[0]):
        raise refusal("remote-content", f"the archive holds {quoted(path)}, which leads out of it", "make it anew")
    return parts
