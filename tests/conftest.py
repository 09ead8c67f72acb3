"""What every test shares: where things lie, and how hypothesis draws."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.certificates import Certified

ROOT = Path(__file__).parents[1]

# The same examples on every machine and every run; `HYPOTHESIS_PROFILE=deep` draws new ones, and many.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("same", derandomize=True, max_examples=200, deadline=None, database=None)
settings.register_profile("deep", max_examples=100_000, deadline=None, database=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session", autouse=True)
def _threads_untraced() -> None:
    """Coverage is of main threads: CPython cannot set the tracers of two threads that begin at once, and one of them would never run."""
    threading.settrace(None)


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
