"""`bench`: short runs of services of its own and of services that run, what they are told as, and what cannot be measured."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_acl.bench import measuring
from mcp_acl.bench.compare import FEWEST_ROUNDS
from mcp_acl.bench.measuring import Run as BenchRun
from mcp_acl.bench.measuring import Target
from mcp_acl.bench.opening import LineError
from mcp_acl.bench.results import Results, Round, read_results
from mcp_acl.bench.workloads import INTERFACES, Shape, Workload, workload
from mcp_acl.cli import bench, benching
from mcp_acl.cli.bench_flags import Flags
from mcp_acl.gen import acl_pb2 as pb
from tests.certificates import secured
from tests.cli.conftest import Run
from tests.installed import ROOT, needed
from tests.serving import Handler, answering, serving

SHORT = ("--seconds", "0.1", "--warm-up", "0", "--rounds", "2", "--in-flight", "4")
PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nobody-has-it"}}'


def results_in(file: Path) -> Results:
    return read_results(file.read_bytes(), file.name)


def other_python(host: str) -> tuple[str, ...]:
    """The Python that has the extra `envoy`."""
    if host == "grpcio":
        return ()
    return "--python", str(needed(ROOT / ".venv-envoy" / "bin" / "python", "Python with Envoy", "WITHOUT_ENVOY"))


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """That Python has what mcp-acl needs, and not mcp-acl itself."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "service"))


@pytest.mark.parametrize("host", ["grpcio", "envoy"])
def test_every_interface_is_measured_and_every_answer_is_right(run: Run, tmp_path: Path, host: str) -> None:
    file = tmp_path / "run.json"
    result = run("bench", "--host", host, *other_python(host), "--rules", "5", "--list", "10", *SHORT, "--json", file)
    assert (0, "") == (result.exit_code, result.stderr)
    found = results_in(file)
    assert list(INTERFACES) == [case.facts["interface"] for case in found.cases]
    for case in found.cases:
        assert case.name.startswith(f"{host} ")
        assert [0, 0] == [one.wrong for one in case.rounds]
        assert all(one.answers and one.memory and one.server_cpu is not None for one in case.rounds)
    assert {"Python", "protobuf"} <= found.versions.keys()
    assert ("pyvoy" in found.versions) is (host == "envoy")
    assert [] == [one for one in psutil.Process().children(recursive=True) if "serve" in one.cmdline()]


def test_denials_open_loops_and_reloads_are_measured(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    chosen = ("--host", "grpcio", "--interface", "unary", "--rules", "9", "--denied", "--reload", "0.5")
    result = run(
        "bench", *chosen, "--rate", "50", "--seconds", "1.2", "--warm-up", "0", "--rounds", "1", "--json", file
    )
    assert 0 == result.exit_code
    found = results_in(file)
    assert [(9, 0.0), (9, 0.5)] == [(case.facts["rules"], case.facts["reload"]) for case in found.cases]
    assert all(case.rate == 50 and case.facts["denied"] == 1 for case in found.cases)
    assert all(0 < one.answers < 150 and not one.wrong for case in found.cases for one in case.rounds)


def test_answer_that_is_wrong_ends_with_1_and_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misjudged(shape: Shape, seed: int) -> Workload:
        found = workload(shape, seed)
        return replace(found, call=replace(found.call, judges=[lambda _: False]))

    monkeypatch.setattr(measuring, "workload", misjudged)
    file = tmp_path / "run.json"
    result = run("bench", "--host", "grpcio", "--interface", "unary", "--rules", "2", *SHORT, "--json", file)
    assert (1, True) == (result.exit_code, "wrong" in result.stdout)
    found = results_in(file)
    assert all(one.wrong == one.answers > 0 for one in found.cases[0].rounds)
    assert any("answers were wrong" in note for note in found.notes)
    assert 1 == run("bench", "report", file).exit_code


@pytest.mark.parametrize(
    ("error", "note"), [(KeyboardInterrupt(), "interrupted"), (LineError("it is gone"), "it is gone")]
)
def test_what_was_measured_before_the_end_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, note: str
) -> None:
    measured = BenchRun._round
    calls: list[Target] = []

    async def breaking(self: BenchRun, target: Target) -> Round:
        calls.append(target)
        if len(calls) > 2:
            raise error
        return await measured(self, target)

    monkeypatch.setattr(BenchRun, "_round", breaking)
    file = tmp_path / "run.json"
    result = run("bench", "--host", "grpcio", "--interface", "unary", "--rules", "2", *SHORT, "--json", file)
    assert 1 == result.exit_code
    found = results_in(file)
    assert [1] == [len(case.rounds) for case in found.cases]
    assert any(note in one for one in found.notes)
    (pid,) = calls[0].pids
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("interface", ["unary", "stream", "ext_authz"])
def test_service_that_runs_is_asked_and_what_it_says_is_counted(
    run: Run, policies: Path, tmp_path: Path, interface: str
) -> None:
    file = tmp_path / "run.json"
    with serving(policies) as address:
        ask = ("bench", "--target", address, "--interface", interface, "--server", "weather", *SHORT, "--json", file)
        assert 0 == run(*ask, "--message", PING, "--pid", os.getpid()).exit_code
        (case,), (said, *_) = results_in(file).cases, results_in(file).notes
        assert ", 0 no" in said
        assert all(one.answers and not one.wrong and one.server_cpu is not None for one in case.rounds)
        assert 0 == run(*ask, "--message", LIST, "--claims", '{"sub":"ann"}').exit_code
        (case,), (said, *_) = results_in(file).cases, results_in(file).notes
        assert " 0 answers were yes" in said
        assert [None, None] == [one.server_cpu for one in case.rounds]


def test_service_with_tls_is_asked_with_what_it_asks_for(run: Run, tmp_path: Path) -> None:
    credentials, given = secured(tmp_path)
    with answering(allowing(), credentials=credentials) as address:
        ask = ["bench", "--target", address, "--server", "weather", "--message", PING, *SHORT, *given["ca"]]
        shown = [*given["cert"], *given["key"]]
        assert 0 == run(*ask, *shown, "--tls-name", "acl.internal").exit_code
        assert 2 == run(*ask, *shown).exit_code
        assert 0 != run(*ask, "--tls-name", "acl.internal").exit_code
        assert 2 == run(*ask, *given["cert"]).exit_code
        assert 2 == run(*ask, "--tls-key", tmp_path / "cert", *given["cert"]).exit_code


def allowing() -> Handler:
    answer = pb.CheckResponse(decision=pb.DECISION_ALLOW, reason="granted").SerializeToString()

    def handler(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        next(requests)
        yield answer

    return handler


TARGET = ("--target", "127.0.0.1:1", "--server", "x", "--message", PING)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--loop", "open"], "--rate"),
        (["--loop", "sideways"], "closed and open"),
        (["--loop", "closed", "--rate", "5"], "--loop open"),
        (["--rate", "5", "--in-flight", "3"], "--in-flight: an open loop"),
        (["--connections", "40"], "only 32 would ask"),
        (["--rules", "0"], "from 1 to 10000"),
        (["--rules", "10001"], "from 1 to 10000"),
        (["--rules", "5,"], "--rules: `` is not a whole number"),
        (["--payload", "199"], "from 200 to 1048576"),
        (["--list", "1001"], "from 2 to 1000"),
        (["--conditions", "moon"], "none, claims, arguments"),
        (["--interface", "http"], "there are unary"),
        (["--host", "apache"], "grpcio, envoy"),
        (["--denied", "--interface", "filter"], "name another interface"),
        (["--reload", "0.1"], "0.5 s"),
        (["--reload", "1"], "--seconds"),
        (["--server", "x"], "it is for `--target`"),
        (["--tls-name", "x"], "it is for `--target`"),
        (["--rules", ",".join(map(str, range(1, 60)))], "100 or fewer"),
        (["--html", "/nowhere/run.html"], "a directory that exists"),
        (["--python", "/nowhere"], "cannot be run"),
        (["--target", "127.0.0.1:1"], "say `--server` and `--message`"),
        ([*TARGET, "--list", "5"], "--list: with `--target`"),
        ([*TARGET, "--interface", "filter"], "unary, stream, ext_authz"),
        ([*TARGET, "--tls-ca", "nowhere"], "they cannot be used"),
        ([*TARGET, "--pid", str(2**22 + 1)], "there is no process"),
        ([*TARGET], "Connection refused"),
        (["--rules", "5", "report", "x"], "give it without `report`"),
        (["report", "nowhere"], "cannot be read"),
        (["report", __file__], "does not hold the results of a run"),
    ],
)
def test_options_that_cannot_be_used_end_with_2(run: Run, options: list[str], text: str) -> None:
    result = run("bench", *options)
    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("error: ")
    assert text in result.stderr


def test_without_its_extra_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> Any:
        return None

    monkeypatch.setattr(bench, "find_spec", nothing)
    result = run("bench")
    assert (2, "") == (result.exit_code, result.stdout)
    assert "install mcp-acl[bench]" in result.stderr
    assert 0 == run("bench", "--help").exit_code


def test_a_run_is_shown_again(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    first = run("bench", "--host", "grpcio", "--interface", "unary", "--rules", "2", *SHORT, "--json", file)
    assert 0 == first.exit_code
    assert first.stdout == run("bench", "report", file).stdout
    assert 1 == json.loads(file.read_bytes())["version"]


def test_what_is_measured_without_options_is_enough_to_be_compared(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    seen: list[int] = []

    def measure(flags: Flags) -> int:
        seen.append(flags.rounds)
        return 0

    monkeypatch.setattr(benching, "measure", measure)
    assert 0 == run("bench").exit_code
    assert seen[0] >= FEWEST_ROUNDS
