"""What whoever fetches is told, and what it finds: values that go from one process to another. Opens nothing."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct

from mcp_acl.problems import Problem
from mcp_acl.runtime.remote.source import Remote


class Order(Struct, frozen=True):
    """Where to fetch from, into which directory, and what is known of it: the version seen last, its ETag, the commit in force."""

    remote: Remote
    directory: str
    version: str = ""
    etag: str = ""
    commit: str = ""


class Reply(Struct, frozen=True):
    """What was found. The version that was known: nothing is new. Else `name` is the directory of its set, or `problems` say why there is none.

    Without a version it is not known what is there now.
    """

    version: str = ""
    etag: str = ""
    name: str = ""
    commit: str = ""
    note: str = ""
    problems: tuple[Problem, ...] = ()


class Content(NamedTuple):
    """The policy files of one version. `label` is what its directory is named by, `note` what people should be told of it."""

    label: str
    commit: str
    note: str
    files: Mapping[str, bytes]


class Version(NamedTuple):
    """What is there now. `load` fetches and verifies it; raises SourceError."""

    id: str
    etag: str
    load: Callable[[], Content]
