"""The page of the clients: what it shows is run against the real service, and fails closed without one.

Where a toolchain or its packages are not there, what needs them is skipped.
"""

import fcntl
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from mcp_acl.gen import acl_pb2 as pb
from tests.serving import Handler, Status, answering, serving

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients" / "README.md"
SHOWN_ADDRESS = "127.0.0.1:9191"
SECONDS = 300

CLAIMS = '{"role": "viewer"}'
CALL = '{"jsonrpc":"2.0","id":"seven","method":"tools/call","params":{"name":"echo"}}'
DONE = '{"jsonrpc":"2.0","id":"seven","result":{"content":[]}}'

OFFLINE = "dial tcp|no such host|i/o timeout|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH"
"""How the package managers say that there is no network."""

ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    # The toolchain that is there, or none.
    "GOTOOLCHAIN": "local",
    # Without a network npm tries for more than a minute.
    "npm_config_fetch_retries": "1",
}


def section(title: str) -> str:
    return PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)


def assert_printed(shown: str, output: str) -> None:
    """`...` in what is shown stands for anything."""
    pattern = r"[^\n]*".join(re.escape(part) for part in shown.strip().split("..."))
    assert re.fullmatch(pattern, output.strip()), output


# ---- Python ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with serving(ROOT / "policies" / "everything") as address:
        yield address


def printed_by(block: str, address: str, names: dict[str, Any]) -> str:
    with redirect_stdout(io.StringIO()) as output:
        exec(compile(block.replace(SHOWN_ADDRESS, address), PAGE, "exec"), names)  # noqa: S102 - our own page
    return output.getvalue()


def test_python_prints_what_is_shown(service: str) -> None:
    programs, outputs = blocks("Python", "python"), blocks("Python", "text")
    assert len(programs) == len(outputs) == 2
    names: dict[str, Any] = {"__name__": "example"}
    for program, output in zip(programs, outputs, strict=True):
        assert_printed(output, printed_by(program, service, names))


def test_python_denies_without_a_service(nobody: str) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    first, second = (printed_by(program, nobody, names) for program in blocks("Python", "python"))
    assert ["DENY unavailable"] * 3 == first.splitlines()[::2]
    assert ["DENY", "unavailable unavailable"] == second.splitlines()


# ---- Go, TypeScript -------------------------------------------------------------------------------------------------


class Example(NamedTuple):
    """A program of the page: its directory, what it needs, what fetches its packages, how it is started."""

    title: str
    tool: str
    fetch: str
    start: list[str]

    @property
    def directory(self) -> Path:
        return ROOT / "docs" / "clients" / self.title.lower()

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return in_directory(self.directory, shlex.join([*self.start, *arguments]))


EXAMPLES = [
    Example("Go", "go", "go mod download", ["build/ask"]),
    Example("TypeScript", "node", "npm ci", ["node", "ask.ts"]),
]


def in_directory(directory: Path, script: str) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-c", script]
    return subprocess.run(
        command, cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@contextmanager
def once(directory: Path) -> Iterator[bool]:
    """True for the first of the processes that run the tests together: what it makes is not made again under the others."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    (directory / "build").mkdir(exist_ok=True)
    with (directory / "build" / "made-by").open("a+") as stamp:
        fcntl.flock(stamp, fcntl.LOCK_EX)
        stamp.seek(0)
        is_first = stamp.read() != run
        yield is_first
        if is_first:
            stamp.truncate(0)
            stamp.write(run)


def typed(block: str) -> tuple[str, str]:
    """The commands of a console block, and what is shown under them."""
    lines = re.findall(r"^\$ ((?:.*\\\n)*.*\n)|^(.*\n)", block, re.MULTILINE)
    return "".join(command for command, _ in lines), "".join(output for _, output in lines)


def make(example: Example) -> None:
    """Fetch the packages, unless they are installed and current, and run the page's own commands. Skips if there is no network."""
    installed, lock = example.directory / "node_modules" / ".package-lock.json", example.directory / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        fetched = in_directory(example.directory, example.fetch)
        if fetched.returncode and (found := re.search(rf".*(?:{OFFLINE}|requires go >=).*", fetched.stderr)):
            pytest.skip(f"`{example.fetch}` does not work here: {found[0].strip()}")
        assert 0 == fetched.returncode, fetched.stderr
    commands = typed(blocks(example.title, "console")[0])[0].replace(f"{example.fetch}\n", "")
    result = in_directory(ROOT, f"set -e\n{commands}")
    assert 0 == result.returncode, result.stdout + result.stderr


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda example: example.title)
def example(request: pytest.FixtureRequest) -> Example:
    one: Example = request.param
    if not shutil.which(one.tool, path=ENVIRONMENT["PATH"]) and os.environ.get("WITHOUT_GO"):
        pytest.skip(f"there is no `{one.tool}`, and WITHOUT_GO is set")
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("no .venv with protoc here: make setup")
    with once(one.directory) as is_first:
        if is_first:
            make(one)
    return one


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_example_prints_what_is_shown(example: Example, service: str) -> None:
    commands, shown = typed(blocks(example.title, "console")[1])
    assert 3 == commands.count(SHOWN_ADDRESS)
    result = in_directory(ROOT, commands.replace(SHOWN_ADDRESS, service))
    assert "" == result.stderr
    assert_printed(shown, result.stdout)


def test_example_says_by_its_exit_code_whether_the_message_may_pass(example: Example, service: str) -> None:
    assert 0 == example.run(service, "everything", CLAIMS, CALL).returncode
    assert 0 == example.run(service, "everything", "", CALL).returncode
    assert 1 == example.run(service, "elsewhere", CLAIMS, CALL).returncode
    assert 2 == example.run(service).returncode


def test_example_denies_what_misuses_the_interface(example: Example, service: str) -> None:
    result = example.run(service, "everything", "[]", CALL, DONE)
    assert_unavailable(result)
    assert "claims_json" in result.stderr


def test_example_denies_without_a_service(example: Example, nobody: str) -> None:
    assert_unavailable(example.run(nobody, "everything", CLAIMS, CALL, DONE))


def test_example_denies_without_an_answer_in_time(example: Example) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert_unavailable(example.run(f"127.0.0.1:{silent.getsockname()[1]}", "everything", CLAIMS, CALL, DONE))


@pytest.mark.parametrize(
    "answer",
    [
        pb.CheckResponse(),
        pb.CheckResponse(reason="granted", context=b"context"),
        pb.CheckResponse(decision=7),  # type: ignore[arg-type]  # of a later version
        pb.CheckResponse(decision="DECISION_DENY", reason="granted"),
    ],
    ids=["nothing", "no decision", "an unknown decision", "a denial without a body"],
)
def test_example_denies_by_what_is_no_decision(example: Example, answer: pb.CheckResponse) -> None:
    with answering(always(Check=answer)) as address:
        assert_unavailable(example.run(address, "everything", CLAIMS, CALL, DONE))


def test_example_asks_again_when_the_service_was_shutting_down(example: Example) -> None:
    asked: list[str] = []

    def answer(path: str, _: Iterator[bytes]) -> Iterator[bytes]:
        asked.append(path)
        if len(asked) == 1:
            raise Status(grpc.StatusCode.UNAVAILABLE, "shutting down")
        yield pb.CheckResponse(decision="DECISION_ALLOW", reason="granted").SerializeToString()

    with answering(answer) as address:
        assert "ALLOW granted\n" == example.run(address, "everything", CLAIMS, CALL).stdout
    assert 2 == len(asked)


@pytest.mark.parametrize("needs", ["RESPONSE_NEEDS_UNSPECIFIED", "RESPONSE_NEEDS_LIST", "RESPONSE_NEEDS_STREAM"])
def test_example_withholds_a_response_that_is_not_filtered(example: Example, needs: str) -> None:
    allowed = pb.CheckResponse(decision="DECISION_ALLOW", reason="granted", response_needs=needs)
    with answering(always(Check=allowed, FilterResponse=pb.FilterResponseResponse())) as address:
        result = example.run(address, "everything", CLAIMS, CALL, DONE)
    allowing, _, body = result.stdout.partition("\n")
    assert (1, "ALLOW granted") == (result.returncode, allowing)
    assert ("seven", -32603) == (json.loads(body)["id"], json.loads(body)["error"]["code"])


def test_example_passes_on_a_response_that_needs_nothing(example: Example) -> None:
    allowed = pb.CheckResponse(decision="DECISION_ALLOW", reason="granted", response_needs="RESPONSE_NEEDS_NONE")
    with answering(always(Check=allowed)) as address:
        assert f"ALLOW granted\n{DONE}\n" == example.run(address, "everything", CLAIMS, CALL, DONE).stdout


def always(**answers: Any) -> Handler:
    """Each method by its name answers the same."""

    def answer(path: str, _: Iterator[bytes]) -> Iterator[bytes]:
        yield answers[path.rpartition("/")[2]].SerializeToString()

    return answer


def assert_unavailable(result: "subprocess.CompletedProcess[str]") -> None:
    decision, _, body = result.stdout.partition("\n")
    assert (1, "DENY unavailable") == (result.returncode, decision), result
    answer = json.loads(body)
    assert ("2.0", "seven", -32603) == (answer["jsonrpc"], answer["id"], answer["error"]["code"])
    assert "" != result.stderr
