"""Each engine that mcp-acl is compared with gives the scenario's answers, where it is installed: else its figures would say nothing.

They are in an environment of their own (`.venv-bench`), which is asked if it is there; where an engine is in neither, its test is skipped.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PYTHONS: Final = [str(ROOT / ".venv-bench" / "bin" / "python"), sys.executable]
BENCH: Final = ROOT / "benchmarks" / "bench_rivals.py"
NOT_INSTALLED: Final = 3


def held(python: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT / "service"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, str(BENCH), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["mcp-acl", "C++ CEL", "cel-python", "Cedar", "Casbin", "rego-cpp", "OPA", "Cerbos"])
def test_every_rival_that_is_installed_gives_the_answers_of_the_scenario(name: str) -> None:
    for python in PYTHONS:
        if Path(python).exists():
            found = held(python, "--check", name)
            if found.returncode != NOT_INSTALLED:
                assert found.returncode == 0, found.stdout + found.stderr
                return
    pytest.skip(found.stdout.strip())
