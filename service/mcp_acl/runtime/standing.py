"""What is in force, since when, and what was refused in its place: one value that changes as a whole. Knows no files."""

from dataclasses import dataclass
from datetime import datetime

from mcp_acl.policy.index import PolicySet
from mcp_acl.problems import Problem


@dataclass(frozen=True, slots=True)
class Refused:
    """A set that is not in force, though it is what the policy files say: when it was refused, and for what."""

    time: datetime
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """The set in force and since when. `refused` is what stands in the files instead, if it cannot be used."""

    policies: PolicySet
    since: datetime
    refused: Refused | None = None
