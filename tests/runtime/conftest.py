"""What tests of reloading start from."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime import reload as reload_module
from mcp_acl.runtime.store import Sources, compile_sources
from tests.runtime.watched import Watched, fill


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(fill(tmp_path / "policies", {"a": 1, "b": 1}))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Sources]:
    """What has been compiled."""
    seen: list[Sources] = []

    def spy(sources: Sources) -> PolicySet:
        seen.append(sources)
        return compile_sources(sources)

    monkeypatch.setattr(reload_module, "compile_sources", spy)
    return seen
