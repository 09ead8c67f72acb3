"""Files of results: what was written is read, and what no run can have found is refused before anything is computed of it."""

import json
from typing import Any

import msgspec
import pytest

from mcp_acl.bench.results import Results, ResultsError, read_results
from tests.bench import runs

RUN: Results = runs.a_run([runs.a_case(rounds=1)])


def changed(path: str, value: object) -> bytes:
    """The run as it is written, but for one member."""
    document: Any = json.loads(msgspec.json.encode(RUN))
    *parents, last = path.split(".")
    member = document
    for name in parents:
        member = member[int(name) if name.isdecimal() else name]
    member[last] = value
    return json.dumps(document).encode()


def test_what_was_written_is_read() -> None:
    assert read_results(msgspec.json.encode(RUN), "run.json") == RUN


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cases.0.rounds.0.server_cpu", -1.0),
        ("cases.0.rounds.0.server_cpu", 1e308),
        ("cases.0.rounds.0.server_cpu", float("nan")),
        ("cases.0.rounds.0.server_cpu", float("inf")),
        ("cases.0.rounds.0.latency.p50", -1.0),
        ("cases.0.rounds.0.seconds", -1.0),
        ("cases.0.rounds.0.parts", {"mcp-acl": -1.0}),
        ("cases.0.rounds.0.answers", 10**30),
        ("cases.0.rounds.0.wrong", 2_001),
        ("cases.0.unit", 0),
        ("cases.0.rate", -1.0),
    ],
)
def test_what_no_run_can_have_found_is_refused(path: str, value: object) -> None:
    with pytest.raises(ResultsError, match=r"`run\.json` does not hold the results of a run: "):
        read_results(changed(path, value), "run.json")


def test_another_version_is_named_whatever_else_it_holds() -> None:
    for text in (b'{"version": 2, "cases": 7}', changed("version", 2)):
        with pytest.raises(
            ResultsError, match=r"`run\.json` is of version 2; this mcp-acl reads version 1: measure again"
        ):
            read_results(text, "run.json")
