"""Measure one scenario as mcp-acl and other engines decide it: in process, and with `--servers` OPA and Cerbos as servers beside ours.

`python benchmarks/bench_rivals.py [--quick] [--servers] [--check NAME] [--json FILE]`; rivals/README.md says who they are and how they are asked.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final

import timing
from rich.console import Console
from rich.table import Table
from rivals import RIVALS, RivalMissingError, rival
from rivals.scenario import PUBLISH, QUESTIONS, Ask, wrong

OPA: Final = "OPA"
CERBOS: Final = "Cerbos"
SERVERS: Final = (OPA, CERBOS)
"""Those that are servers."""
MISSING: Final = 3
"""The exit code of `--check` if the rival is not installed."""


class WrongAnswersError(Exception):
    """A rival that does not decide as the scenario says. The text says of what."""


@dataclass(frozen=True)
class Form:
    """One way to ask one rival, held to all answers: `each` asks all questions, `one` asks the one with most to read."""

    name: str
    package: str
    each: Callable[[], object]
    one: Callable[[], object] | None = None


@dataclass
class Found:
    """What a run has found: nanoseconds a question, round by round; and what is missing."""

    forms: list[Form] = field(default_factory=list)
    series: Mapping[str, timing.Series] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


# ---- in process -----------------------------------------------------------------------------------------------------


def forms_of(name: str) -> list[Form]:
    """All of one rival's. Raises RivalMissingError, WrongAnswersError."""
    module = rival(name)
    found = [_form(_called(name, form), module.PACKAGE, make()) for form, make in module.FORMS.items()]
    batches: Mapping[str, Callable[[], Callable[[], Sequence[bool]]]] = getattr(module, "BATCHES", {})
    return found + [_batch(_called(name, form), module.PACKAGE, make()) for form, make in batches.items()]


def _called(name: str, form: str) -> str:
    return f"{name}, {form}" if form else name


def _form(name: str, package: str, ask: Ask) -> Form:
    _refuse(name, wrong(ask))
    return Form(name, package, lambda: [ask(question) for question in QUESTIONS], partial(ask, PUBLISH))


def _batch(name: str, package: str, ask: Callable[[], Sequence[bool]]) -> Form:
    answers = zip(QUESTIONS, ask(), strict=True)
    _refuse(name, [question.name for question, answer in answers if answer is not question.allowed])
    return Form(name, package, ask)


def _refuse(name: str, questions: Sequence[str]) -> None:
    if questions:
        raise WrongAnswersError(f"{name} answers otherwise: {', '.join(questions)}")


def in_process(plan: timing.Plan) -> Found:
    """Every form of every rival that is installed, side by side."""
    found = Found()
    for name in RIVALS:
        try:
            found.forms += forms_of(name)
        except RivalMissingError as error:
            found.missing.append(str(error))
    variants = {form.name: timing.Variant(form.each, len(QUESTIONS)) for form in found.forms}
    variants |= {_alone(form): timing.Variant(form.one) for form in found.forms if form.one}
    found.series = timing.run(variants, plan)
    return found


def _alone(form: Form) -> str:
    return f"{form.name} · {PUBLISH.name}"


def table(found: Found) -> Table:
    """A line for each form: over all questions, then the one by itself. `of ours` is CPU, which others on the machine disturb least."""
    made = Table(title="one decision in process, µs, medians of rounds", title_justify="left", title_style="bold")
    for heading in ("engine", "version"):
        made.add_column(heading)
    for heading in ("clock", "least", "greatest", "CPU", "of ours", PUBLISH.name, "CPU"):
        made.add_column(heading, justify="right")
    ours = found.series[found.forms[0].name].cpu
    for form in found.forms:
        every = found.series[form.name]
        figures = [f"{of(every.wall) / 1000:,.1f}" for of in (median, min, max)]
        ratio = f"{median(timing.ratios(every.cpu, ours)):,.2f}"
        alone = found.series.get(_alone(form), timing.Series())
        made.add_row(
            form.name, _version(form.package), *figures, _micro(every.cpu), ratio, _micro(alone.wall), _micro(alone.cpu)
        )
    return made


def _micro(nanoseconds: Sequence[float]) -> str:
    return f"{median(nanoseconds) / 1000:,.1f}" if nanoseconds else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# ---- servers --------------------------------------------------------------------------------------------------------


def servers(rounds: int, seconds: float, envoy: str | None, missing: list[str]) -> Any:
    """Theirs and ours, each asked to publish, and those that know lists for a list, as the results of `mcp_acl.bench`."""
    from rivals import cerbos_server, opa  # noqa: PLC0415

    from mcp_acl.bench.measuring import Loop, Run, load, results_of, versions_in  # noqa: PLC0415 - needs the extra `bench`

    pythons = {"grpcio": sys.executable} | ({"envoy": envoy} if envoy else {})
    before = load()
    with ExitStack() as ending:
        targets: list[Any] = []
        for start in (start for starts in _starts().values() for start in starts):
            try:
                targets += ending.enter_context(start())
            except RivalMissingError as error:
                missing.append(str(error))
        for host, python in pythons.items():
            targets += ending.enter_context(opa.our_service(host, python=python))
            targets.append(ending.enter_context(cerbos_server.our_list(host, python=python)))
        run = Run(targets, Loop(in_flight=32, connections=4, seconds=seconds))
        run.measure(rounds, lambda _: None)
        return results_of(run, sys.argv, before, versions_in(sys.executable))


# ---- what was found -------------------------------------------------------------------------------------------------


def check(name: str) -> int:
    """Hold one rival to the answers, and time nothing."""
    try:
        forms = _servers(name) if name in SERVERS else [form.name for form in forms_of(name)]
    except RivalMissingError as error:
        print(f"not installed: {error}")
        return MISSING
    except (WrongAnswersError, AssertionError) as error:
        print(error)
        return 1
    print("\n".join(forms))
    return 0


def _starts() -> Mapping[str, Sequence[Callable[[], AbstractContextManager[Sequence[Any]]]]]:
    """Their servers, by who they are."""
    from rivals import cerbos_server, opa  # noqa: PLC0415 - needs the extra `bench`

    return {OPA: (opa.opa, opa.opa_envoy), CERBOS: (cerbos_server.cerbos,)}


def _servers(name: str) -> list[str]:
    """Theirs, each held to the answers when it starts; those that are not there are left out, if not all. Raises RivalMissingError."""
    found, missing = [], []
    for start in _starts()[name]:
        try:
            with start() as targets:
                found += [target.name for target in targets]
        except RivalMissingError as error:
            missing.append(str(error))
    if not found:
        raise RivalMissingError("; ".join(missing))
    return [*found, *missing]


def write(file: Path, found: Found, results: Any) -> None:
    """Write every round of every figure, in nanoseconds; and of the servers what `mcp-acl bench` writes of its own."""
    import msgspec  # noqa: PLC0415 - of mcp-acl's own

    rows = {name: {"wall": one.wall, "cpu": one.cpu} for name, one in found.series.items()}
    versions = {form.package: _version(form.package) for form in found.forms}
    document = {"versions": versions, "load": os.getloadavg(), "missing": found.missing, "ns": rows}
    file.write_text(
        json.dumps(document | ({"servers": msgspec.to_builtins(results)} if results else {}), indent=2) + "\n"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="fewer and shorter rounds; the figures are rough")
    arguments.add_argument("--servers", action="store_true", help="OPA and Cerbos as servers, too, beside ours")
    arguments.add_argument("--envoy", metavar="PYTHON", help="with the extra `envoy`: ours on that host, too")
    arguments.add_argument("--check", choices=(*RIVALS, *SERVERS), help="hold one to the answers, and time nothing")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write every round of every figure")
    chosen = arguments.parse_args()
    if chosen.check:
        return check(chosen.check)
    found = in_process(timing.Plan(rounds=5, samples=3, sample=0.02) if chosen.quick else timing.FULL)
    console = Console(width=max(130, Console().width))
    console.print(table(found))
    results = None
    if chosen.servers:
        from mcp_acl.bench.table import table as servers_table  # noqa: PLC0415 - needs the extra `bench`

        results = servers(*((3, 1.0) if chosen.quick else (5, 3.0)), chosen.envoy, found.missing)
        console.print(servers_table(results))
    for name in found.missing:
        console.print(f"not installed: {name}; see benchmarks/rivals/README.md")
    console.print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if chosen.json:
        write(chosen.json, found, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
