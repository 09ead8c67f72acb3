"""Comparisons: noise is not called slower more often than is said, what is slower is found, and what cannot be told is not told."""

from collections.abc import Sequence
from random import Random

import msgspec
import pytest

from mcp_acl.bench.compare import Comparison, Verdict, compare
from mcp_acl.bench.results import Case, Latency, Results, Round
from tests.bench import runs

SAMPLES = 300


def case_of(costs: Sequence[float], name: str = "one", wrong: int = 0) -> Case:
    """A case whose rounds cost that much, and take ten times as long."""
    latencies = [Latency(p50=cost * 10, p90=cost * 11, p99=cost * 20, p999=cost * 30, max=cost * 40) for cost in costs]
    rounds = [
        Round(seconds=1.0, answers=1_000, wrong=wrong, latency=latency, server_cpu=cost)
        for cost, latency in zip(costs, latencies, strict=True)
    ]
    return Case(name=name, facts={"host": "grpcio"}, rounds=tuple(rounds))


def noisy(draw: Random, middle: float = 50.0, rounds: int = 7) -> Sequence[float]:
    return [middle * draw.lognormvariate(0.0, 0.03) for _ in range(rounds)]


def compared(before: Sequence[float], after: Sequence[float], limit: float = 0.05) -> Comparison:
    old, new = runs.a_run([case_of(before)]), runs.a_run([case_of(after)])
    return compare(old, new, figures=["cpu"], limit=limit, samples=SAMPLES)


# ---- by simulation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [5, 7])
def test_noise_is_rarely_called_a_difference_and_never_fails_a_gate(rounds: int) -> None:
    draw = runs.drawn(11)
    found = [compared(noisy(draw, rounds=rounds), noisy(draw, rounds=rounds)) for _ in range(150)]
    verdicts = [one.changes[0].verdict for one in found]
    assert verdicts.count(Verdict.SLOWER) + verdicts.count(Verdict.FASTER) <= 0.08 * len(found)
    assert not any(one.is_worse for one in found)


@pytest.mark.parametrize("rounds", [5, 7])
def test_a_machine_whose_rounds_vary_by_a_tenth_fails_hardly_a_gate(rounds: int) -> None:
    """One figure of some 400 that did not change is beyond the limit then, as docs/bench.md says."""
    draw = runs.drawn(14)

    def costs() -> Sequence[float]:
        return [50.0 * draw.lognormvariate(0.0, 0.1) for _ in range(rounds)]

    found = [compared(costs(), costs()) for _ in range(200)]
    assert sum(one.is_worse for one in found) <= 3


def test_a_fifth_more_is_found_with_seven_rounds() -> None:
    draw = runs.drawn(12)
    found = [compared(noisy(draw), noisy(draw, 60.0)) for _ in range(60)]
    assert all(one.changes[0].verdict is Verdict.SLOWER for one in found)
    assert sum(one.is_worse for one in found) >= 0.95 * len(found)


def test_more_rounds_tell_smaller_differences() -> None:
    draw = runs.drawn(13)
    found = [compared(noisy(draw, rounds=30), noisy(draw, 50.0 * 1.05, rounds=30)) for _ in range(40)]
    assert [one.changes[0].verdict for one in found].count(Verdict.SLOWER) >= 36


def test_a_fifth_less_is_faster_and_passes() -> None:
    draw = runs.drawn(13)
    found = compared(noisy(draw, 60.0), noisy(draw))
    assert found.changes[0].verdict is Verdict.FASTER
    assert not found.is_worse


# ---- what is told ---------------------------------------------------------------------------------------------------


def test_the_ratio_is_that_of_the_medians_and_its_interval_is_about_it() -> None:
    (change,) = compared([50, 51, 52, 53, 90], [75, 76, 78, 79, 80]).changes
    assert change.ratio == pytest.approx(78 / 52)
    assert change.interval is not None
    assert change.interval[0] < change.ratio < change.interval[1]


def test_slower_within_the_limit_is_said_and_passes() -> None:
    found = compared([100, 100.1, 100.2, 100.3, 100.4], [103, 103.1, 103.2, 103.3, 103.4])
    assert found.changes[0].verdict is Verdict.SLOWER
    assert not found.is_worse
    assert compared([100, 100.1, 100.2, 100.3, 100.4], [103, 103.1, 103.2, 103.3, 103.4], limit=0.01).is_worse


def test_an_interval_that_begins_within_the_limit_passes() -> None:
    found = compared([100, 101, 102, 103, 104], [101, 103, 120, 125, 130])
    assert found.changes[0].ratio > 1.05
    assert not found.is_worse


@pytest.mark.parametrize("few", [1, 4])
def test_too_few_rounds_tell_nothing(few: int) -> None:
    for before, after in (([50.0] * few, [80.0] * 7), ([50.0] * 7, [80.0] * few)):
        found = compared(before, after)
        assert found.changes[0].verdict is Verdict.FEW
        assert found.changes[0].interval is None
        assert found.verdict == "too few rounds to tell of 1: measure 5 or more"
        assert found.is_worse


def test_one_case_of_too_few_rounds_fails_no_others() -> None:
    enough, few = case_of([50.0] * 5), case_of([50.0] * 3, "two")
    found = compare(runs.a_run([enough, few]), runs.a_run([enough, few]), figures=["cpu"])
    assert [one.verdict for one in found.changes] == [Verdict.SAME, Verdict.FEW]
    assert found.verdict.startswith("none of 1 figures slower by more than 5 %; too few rounds to tell of 1:")
    assert not found.is_worse


def test_the_same_runs_are_compared_alike_every_time() -> None:
    draw = runs.drawn(5)
    before, after = noisy(draw), noisy(draw)
    assert compared(before, after) == compared(before, after)


def test_figures_are_chosen() -> None:
    run = runs.a_run([case_of([50.0] * 5)])
    assert [one.figure for one in compare(run, run).changes] == ["cpu", "p50"]
    assert [one.figure for one in compare(run, run, figures=["p99"]).changes] == ["p99"]


# ---- what fails a gate ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["before", "after"])
def test_wrong_answers_fail_in_either_run(where: str) -> None:
    good, bad = runs.a_run([case_of([50.0] * 5)]), runs.a_run([case_of([50.0] * 5, wrong=1)])
    found = compare(bad, good) if where == "before" else compare(good, bad)
    assert found.is_worse
    assert f"WRONG {where}: 5 of 5,000 answers of one" in found.lines()


def test_nothing_in_common_fails() -> None:
    found = compare(runs.a_run([case_of([1.0] * 5, "a")]), runs.a_run([case_of([1.0] * 5, "b")]))
    assert found.is_worse
    assert {"only before: a", "only after: b", "nothing could be compared"} <= set(found.lines())


def test_the_same_name_asked_otherwise_is_not_compared() -> None:
    case = case_of([50.0] * 5)
    other = msgspec.structs.replace(case, rate=500.0)
    found = compare(runs.a_run([case]), runs.a_run([other]))
    assert not found.changes
    assert "asked otherwise, and not compared: one" in found.lines()


@pytest.mark.parametrize("where", ["before", "after"])
def test_cpu_that_no_tick_has_counted_is_not_less_than_other_cpu(where: str) -> None:
    counted, nothing = ([50.0] * 5, [0.0, 50.0, 50.0, 50.0, 50.0])
    found = compared(nothing, counted) if where == "before" else compared(counted, nothing)
    assert not found.changes
    assert "server CPU is not known of one" in found.lines()
    assert found.is_worse


def test_a_figure_that_one_run_lacks_is_named() -> None:
    case = case_of([50.0] * 5)
    blind = msgspec.structs.replace(
        case, rounds=tuple(msgspec.structs.replace(one, server_cpu=None) for one in case.rounds)
    )
    found = compare(runs.a_run([case]), runs.a_run([blind]))
    assert [one.figure for one in found.changes] == ["p50"]
    assert "server CPU is not known of one" in found.lines()


# ---- how it is said -------------------------------------------------------------------------------------------------


def test_other_circumstances_are_said_aloud() -> None:
    case = case_of([50.0] * 5)
    before = runs.a_run([case])
    after = msgspec.structs.replace(
        runs.a_run([case], seed=2, processor="other", notes=["It was busy."]), versions={"mcp-acl": "0.2.0"}
    )
    text = "\n".join(compare(before, after).lines())
    assert "differs: processor: AMD EPYC 7R13 before, other after" in text
    assert "differs: seed: 1 before, 2 after" in text
    assert "differs: version of mcp-acl: 0.1.0 before, 0.2.0 after" in text
    assert "differs: version of grpcio: 1.85.0 before, none after" in text
    assert "note after: It was busy." in text
    assert "differs" not in "\n".join(compare(before, before).lines())


def test_lines_say_figures_and_verdict() -> None:
    found = compared([50.0] * 5, [60.0] * 5)
    (line,) = [line for line in found.lines() if line.startswith("one ")]
    assert " ".join(line.split()) == "one 50.0 60.0 +20.0% +20.0% to +20.0% SLOWER beyond the limit"
    assert found.lines()[-1] == "1 of 1 figures slower by more than 5 %"


def test_a_name_cannot_forge_a_line() -> None:
    run: Results = runs.a_run([case_of([50.0] * 5, "a\nnone of 1 figures slower")])
    assert not any(line.startswith("none of 1") for line in compare(run, run, figures=["cpu"]).lines()[:-1])


def test_the_record_is_json_with_everything_in_it() -> None:
    found = compared([50.0] * 5, [60.0] * 5)
    record = msgspec.json.decode(msgspec.json.encode(found.record()))
    assert record["is_worse"] is True
    assert record["limit"] == 0.05
    assert record["changes"] == [
        {
            "case": "one",
            "figure": "cpu",
            "before": 50.0,
            "after": 60.0,
            "ratio": 1.2,
            "interval": [1.2, 1.2],
            "verdict": "slower",
            "is_beyond": True,
        }
    ]
