"""The table: every case on its line, in 110 columns, with colours and without."""

import io
from statistics import median

import msgspec
from rich.console import Console

from mcp_acl.bench import figures as fig
from mcp_acl.bench.results import Results
from mcp_acl.bench.table import table
from tests.bench import runs

WIDTH = 110


def printed(results: Results, *, colours: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=colours, color_system="truecolor" if colours else None)
    console.print(table(results))
    return out.getvalue()


def line_of(text: str, label: str) -> str:
    (line,) = [line for line in text.splitlines() if line.strip().startswith(f"{label} ")]
    return line


def test_each_case_has_a_line_under_what_it_shares_with_others() -> None:
    lines = [line.rstrip() for line in printed(runs.a_run(runs.hosts_and_interfaces())).splitlines()]
    grpcio, envoy = lines.index("grpcio"), lines.index("envoy")
    for start in (grpcio, envoy):
        found = [line.split()[0] for line in lines[start + 1 : start + 6]]
        assert found == ["unary", "stream", "filter", "ext_authz", "ext_proc"]


def test_what_all_cases_share_is_said_once() -> None:
    text = printed(runs.a_run(runs.hosts_and_interfaces()))
    assert text.count("rules 100") == 1
    assert text.count("conditions claims") == 1


def test_it_fits_its_width_whatever_names_are_long() -> None:
    long = runs.a_case(seed=3, name="x" * 300, wrong=7)
    text = printed(runs.a_run([*runs.hosts_and_interfaces(), long, *runs.over("payload", [200, 1024 * 1024])]))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text


def test_long_numbers_fit() -> None:
    cases = [
        runs.a_case(name=f"{host} case", facts={"host": host}, cpu=99_999.0, rate=rate, unit=1000, wrong=9)
        for host in ("grpcio", "envoy")
        for rate in (100.0, 99_000.0)
    ]
    text = printed(runs.a_run(cases))
    assert line_of(text, "case").split()[-3:] == ["max", "answers/s", "MiB"]
    assert text.count(" 100 ms  ") == len(cases)
    assert "…" not in text


def test_figures_are_medians_and_how_far_rounds_are_apart() -> None:
    case = runs.a_case(seed=1, rounds=3)
    rounds = [
        msgspec.structs.replace(one, server_cpu=cpu) for one, cpu in zip(case.rounds, (51.0, 99.0, 55.5), strict=True)
    ]
    text = printed(runs.a_run([msgspec.structs.replace(case, rounds=tuple(rounds))]))
    assert line_of(text, "grpcio unary").split()[2:4] == ["55.5", "86%"]


def test_without_server_cpu_the_spread_is_that_of_the_latency() -> None:
    case = runs.a_case(seed=1)
    rounds = tuple(msgspec.structs.replace(one, server_cpu=None, memory=None) for one in case.rounds)
    text = printed(runs.a_run([msgspec.structs.replace(case, rounds=rounds)]))
    assert "CPU µs" not in text
    assert "MiB" not in text
    assert "most p50 of a round" in text
    found = [one.latency.p50 for one in case.rounds]
    assert f"{(max(found) - min(found)) / median(found):.0%}" in line_of(text, "grpcio unary")


def test_of_a_list_there_is_what_an_entry_costs() -> None:
    lists = runs.a_case(facts={"host": "envoy"}, cpu=880.0, unit=100)
    text = printed(runs.a_run([lists, runs.a_case()]))
    assert "each: the same for each entry of a list" in text
    assert line_of(text, "envoy").split()[2] == fig.number((lists.median(fig.FIGURES["cpu"].of) or 0.0) / 100)
    assert line_of(text, "grpcio").split()[2].endswith("%")
    assert "each:" not in printed(runs.a_run([runs.a_case()]))


def test_wrong_answers_are_red_and_said_without_colours_too() -> None:
    cases = runs.hosts_and_interfaces(rounds=3)
    cases.append(runs.a_case(seed=4, name="broken", wrong=2, rounds=3))
    plain = printed(runs.a_run(cases))
    assert "WRONG: 6 of 6,000 answers of broken" in plain
    assert plain.count("  WRONG ") == 1
    assert "\x1b" not in plain
    assert "\x1b[1;31mWRONG: 6" in printed(runs.a_run(cases), colours=True)


def test_a_run_without_wrong_answers_has_no_word_of_them() -> None:
    assert "wrong" not in printed(runs.a_run(runs.hosts_and_interfaces())).lower()


def test_notes_are_said() -> None:
    assert "note: The machine was busy." in printed(runs.a_run([], notes=["The machine was busy."]))


def test_a_case_without_rounds_has_its_line() -> None:
    assert "grpcio" in printed(runs.a_run([msgspec.structs.replace(runs.a_case(facts={"host": "grpcio"}), rounds=())]))


def test_nothing_in_a_name_reaches_the_terminal_as_a_command() -> None:
    name = "a\x1b[2Jb\n[bold]c[/bold]"
    text = printed(runs.a_run([runs.a_case(seed=1, name=name)], notes=[name]))
    assert "\x1b" not in text
    assert "a\\u001b[2Jb\\u000a[bold]c[/bold]" in text
