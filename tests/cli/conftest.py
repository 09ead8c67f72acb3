"""The command line, called in this process on a directory of test policies."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from typer.testing import CliRunner, Result

from mcp_acl.cli import app
from tests.runtime.weather import policies_in

Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return policies_in(tmp_path)


@pytest.fixture
def run() -> Run:
    """Call a subcommand. A traceback is never an answer."""

    def call(*args: object) -> Result:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return call


@pytest.fixture
def ask(run: Run, policies: Path) -> Run:
    """Call a subcommand that decides, on the test policies."""

    def call(command: str, *args: object) -> Result:
        return run(command, "--policies", policies, "--server", "weather", *args)

    return call
