"""`gateway` takes what says how it is watched by the flags of `serve`, and says what is wrong with them as `serve` does."""

import socket
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SERVER = "weather=http://127.0.0.1:1/mcp"


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--decision-log", "/nowhere/at/all"), "error: --decision-log: `/nowhere/at/all` cannot be written"),
        (("--decision-log", "-"), "error: --decision-log: the gateway shows decisions on standard output"),
        (("--decision-log", "otlp"), "error: --decision-log: `otlp` needs `otlp_endpoint` beside it"),
        (("--trace-most", "many"), "error: --trace-most: it must be a whole number, not `many`"),
        (("--metrics-listen", "0.0.0.0:0"), "error: --metrics-listen: `0.0.0.0:0` can be reached from elsewhere"),
        (("--metrics-listen", "127.0.0.1:{taken}"), "error: --metrics-listen: cannot listen on `127.0.0.1:{taken}`"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_says_why(
    run: Run, policies: Path, flags: tuple[str, str], text: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        given = [one.format(taken=taken) for one in flags]
        usual = ("--policies", policies, "--upstream", SERVER, "--listen", "127.0.0.1:0", "--envoy", sys.executable)
        result = run("gateway", *usual, *given)
    assert (2, True) == (result.exit_code, text.format(taken=taken) in result.stderr), result.stderr
