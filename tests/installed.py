"""What tests need beside packages of Python. Where it is missing they fail, unless a variable says to go without: then they are skipped.

`make test` sets the variable, and says so, where there cannot be any: on a platform without Envoy, on a machine without Go.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def needed(file: Path, what: str, variable: str) -> Path:
    """The file, or the end of the test."""
    if not file.exists():
        if os.environ.get(variable):
            pytest.skip(f"there is no {what}, and {variable} is set")
        pytest.fail(f"there is no {what}: run `make setup`, or set {variable}=1")
    return file


def envoy() -> Path:
    """Envoy; another one by TEST_ENVOY=path."""
    found = next(ROOT.glob(".venv-envoy/lib/python*/site-packages/envoy/_bin/envoy"), ROOT / ".venv-envoy")
    return needed(Path(os.environ.get("TEST_ENVOY", found)), "Envoy", "WITHOUT_ENVOY")


def by_go(file: Path) -> Path:
    """What Go makes or fetches."""
    return needed(file, f"`{file.name}`, which needs Go", "WITHOUT_GO")
