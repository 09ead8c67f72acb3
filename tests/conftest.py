"""What every test shares: where things lie, and how hypothesis draws."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.certificates import Certified

ROOT = Path(__file__).parents[1]
CORE = {"codes", "engine", "expr", "mcp", "policy", "test_problems.py", "test_scenarios.py"}
"""What by itself must pass through every branch of the core: the tests of its folders, and the scenarios."""

# The same examples on every machine and every run; `HYPOTHESIS_PROFILE=deep` draws new ones, and many.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("same", derandomize=True, max_examples=200, deadline=None, database=None)
settings.register_profile("deep", max_examples=100_000, deadline=None, database=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lines are counted only where a test's folder is about the core."""
    for item in items:
        if item.path.relative_to(ROOT / "tests").parts[0] not in CORE:
            item.add_marker(pytest.mark.untraced)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's top directory."""
    return ROOT


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    """Certificates of a server and of its clients."""
    return Certified(tmp_path)


@pytest.fixture(scope="session")
def cases() -> Path:
    """Where the data of tests lies."""
    return ROOT / "tests" / "cases"
