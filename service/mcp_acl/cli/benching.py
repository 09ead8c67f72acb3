"""What `mcp-acl bench` does with its options: cases, runs, and what is told of them. Needs what the extra `bench` installs."""

import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mcp_acl.bench import workloads as work
from mcp_acl.bench.accounting import used_by
from mcp_acl.bench.compare import FIGURES, Comparison, compare
from mcp_acl.bench.measuring import Loop, Run, Step, Target, Told, Wanted, load, results_of, served, versions_in
from mcp_acl.bench.opening import LineError
from mcp_acl.bench.report import html
from mcp_acl.bench.requests import Decisions
from mcp_acl.bench.results import Results, ResultsError, read_results, write_results
from mcp_acl.bench.running import SHORTEST_RELOAD, ServerError
from mcp_acl.bench.table import table
from mcp_acl.cli.bench_flags import Flags
from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import bytes_of, object_of, text_of
from mcp_acl.domain import TokenState
from mcp_acl.runtime.gate import Question

HOSTS: Final = ("grpcio", "envoy")
_WIDTH: Final = 110
_MOST_CASES: Final = 100


# ---- what is wanted -------------------------------------------------------------------------------------------------


class Choice(NamedTuple):
    """What was chosen on the command line, as it was typed."""

    interface: Sequence[str] | None
    host: Sequence[str] | None
    rules: str
    entries: str
    payload: str
    conditions: str
    denied: bool
    reload: float
    python: str


class Security(NamedTuple):
    """How a service that runs is reached, as it was typed."""

    tls: bool = False
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str = ""

    def context(self) -> ssl.SSLContext | None:
        """None: in clear. Raises InputError."""
        if not any(self):
            return None
        if (self.certificate is None) is not (self.key is None):
            raise InputError("--tls-cert, --tls-key: one without the other is of no use; give both")
        try:
            made = ssl.create_default_context(cafile=self.authorities)
            if self.certificate is not None:
                made.load_cert_chain(self.certificate, self.key)
        except (OSError, ValueError) as error:
            raise InputError(f"--tls-ca, --tls-cert, --tls-key: they cannot be used: {error}") from None
        return made


class Asked(NamedTuple):
    """What a service that runs is asked, as it was typed. `pid` is of the process whose CPU is counted."""

    address: str
    interfaces: Sequence[str]
    server: str
    message: str
    claims: str
    pid: int | None
    security: Security


class Files(NamedTuple):
    """Where a run is written to."""

    json: Path | None
    html: Path | None

    def check(self) -> None:
        """Raises InputError for a place that is not there: better now than when everything has been measured."""
        for option, file in (("--json", self.json), ("--html", self.html)):
            if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
                raise InputError(f"{option}: `{file}` cannot be written; name a file in a directory that exists")


def wanted(choice: Choice) -> list[Wanted]:
    """The cases of a run. Raises InputError."""
    chosen = _names("--interface", choice.interface or work.INTERFACES, work.INTERFACES)
    if choice.denied and chosen == ["filter"]:
        raise InputError("--denied: `filter` filters what may be seen, and denies nothing; name another interface")
    if choice.reload and choice.reload < SHORTEST_RELOAD:
        raise InputError(f"--reload: a service takes no changes that come sooner than {SHORTEST_RELOAD:g} s; say more")
    installed = HOSTS if choice.python != sys.executable or find_spec("pyvoy") else HOSTS[:1]
    hosts = _names("--host", choice.host or installed, HOSTS)
    shapes = [shape for interface in chosen for shape in _shapes(interface, choice)]
    reloads = (0.0, choice.reload) if choice.reload else (0.0,)
    found = [Wanted(*one) for one in product(hosts, shapes, reloads)]
    if len(found) > _MOST_CASES:
        raise InputError(f"these are {len(found)} cases, whose services all run at once; name {_MOST_CASES} or fewer")
    return found


def _shapes(interface: str, choice: Choice) -> Iterator[work.Shape]:
    rules = _numbers("--rules", choice.rules, 1, work.MOST_RULES)
    conditions = _names("--conditions", choice.conditions.split(","), tuple(work.CONDITIONS))
    payloads = _numbers("--payload", choice.payload, work.SMALLEST_PAYLOAD, work.LARGEST_PAYLOAD)
    entries = _numbers("--list", choice.entries, 2, work.MOST_ENTRIES)
    for number, condition in product(rules, conditions):
        if interface == "filter":
            yield from (work.Shape(interface, number, condition, entries=one) for one in entries)
        else:
            yield from (work.Shape(interface, number, condition, one, denied=choice.denied) for one in payloads)


def _names(option: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    for one in given:
        if one not in known:
            raise InputError(f"{option}: there is no `{text_of(option, one)}`; there are {', '.join(known)}")
    return list(dict.fromkeys(given))


def _numbers(option: str, given: str, least: int, most: int) -> list[int]:
    found = []
    for one in given.split(","):
        if not (one.isascii() and one.isdigit() and least <= int(one) <= most):
            raise InputError(f"{option}: `{text_of(option, one)}` is not a whole number from {least} to {most}")
        found.append(int(one))
    return list(dict.fromkeys(found))


def _targets(asked: Asked) -> tuple[list[Target], list[Decisions]]:
    """What is asked, and what counts the answers. Raises InputError."""
    if not asked.server or not asked.message:
        raise InputError("--target: say `--server` and `--message`, which are asked about")
    address, message = text_of("--target", asked.address), bytes_of("--message", asked.message)
    claims = object_of("--claims", asked.claims) if asked.claims else {}
    token = TokenState.VALID if claims else TokenState.NONE
    question = Question(text_of("--server", asked.server), message, claims, token, filters_responses=True)
    tls, pids = asked.security.context(), () if asked.pid is None else (asked.pid,)
    if pids and used_by(pids) is None:
        raise InputError(f"--pid: there is no process {asked.pid}, or not one that may be looked at")
    targets, told = [], []
    for interface in _names("--interface", asked.interfaces or work.ASKABLE[:1], work.ASKABLE):
        call, counted = work.any_answer(interface, question)
        facts: dict[str, str | int | float] = {"interface": interface, "address": address}
        name, tls_name = f"{address} {interface}", text_of("--tls-name", asked.security.name)
        targets.append(Target(name, facts, address, call, pids, tls=tls, tls_name=tls_name))
        told.append(counted)
    return targets, told


# ---- what is measured -----------------------------------------------------------------------------------------------


def measure(flags: Flags) -> Exit:
    """Measure services of our own, or one that runs, and tell of it. Raises InputError."""
    files = Files(flags.json_file, flags.html_file)
    files.check()
    what, (loop, rounds) = _what(flags), _how(flags)
    try:
        results, is_whole = _asked(what, loop, rounds) if isinstance(what, Asked) else _served(what, loop, rounds)
    except ServerError as error:
        raise InputError(f"a service did not start: {error}") from None
    except LineError as error:
        raise InputError(str(error)) from None
    found = tell(results, files)
    return found if is_whole else Exit.DENIED


def _what(flags: Flags) -> Choice | Asked:
    if not flags.target:
        return Choice(*[getattr(flags, name) for name in Choice._fields])
    security = Security(flags.tls, flags.tls_ca, flags.tls_cert, flags.tls_key, flags.tls_name)
    named = flags.server, flags.message, flags.claims
    return Asked(flags.target, flags.interface or (), *named, flags.pid, security)


def _how(flags: Flags) -> tuple[Loop, int]:
    """When is asked, and how many rounds."""
    seconds, warm_up, rounds = flags.seconds, flags.warm_up, flags.rounds
    if flags.quick:
        seconds, warm_up, rounds = min(seconds, 0.5), min(warm_up, 0.2), min(rounds, 3)
    return Loop(flags.in_flight, flags.connections, flags.rate, seconds, warm_up, flags.seed), rounds


def _served(choice: Choice, loop: Loop, rounds: int) -> tuple[Results, bool]:
    cases = wanted(choice)
    if choice.reload and 2 * choice.reload > loop.seconds:
        raise InputError(f"--reload: in rounds of {loop.seconds:g} s hardly anything changes; say more `--seconds`")
    with served(cases, loop.seed, choice.python) as targets:
        return _measured(targets, loop, rounds, versions_in(choice.python))


def _asked(asked: Asked, loop: Loop, rounds: int) -> tuple[Results, bool]:
    targets, told = _targets(asked)
    results, is_whole = _measured(targets, loop, rounds, {})
    counts = [
        f"{target.name}: {one.yes:,} answers were yes, {one.no:,} no, before the first round too."
        for target, one in zip(targets, told, strict=True)
    ]
    return msgspec.structs.replace(results, notes=(*counts, *results.notes)), is_whole


def _measured(targets: Sequence[Target], loop: Loop, rounds: int, versions: Mapping[str, str]) -> tuple[Results, bool]:
    before = load()
    found = Run(targets, loop)
    with _progress(found, rounds) as told:
        found.measure(rounds, told)
    return results_of(found, ["mcp-acl", *sys.argv[1:]], before, versions), found.is_whole


@contextmanager
def _progress(run: Run, rounds: int) -> Iterator[Told]:
    """A line that says what is measured, where there is a terminal."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("warming up", total=len(run.targets) * (rounds + 1))

        def told(step: Step) -> None:
            figures = f"{step.round.rate:,.0f}/s, p99 {step.round.latency.p99:,.0f} µs"
            bar.update(task, advance=1, description=f"round {step.number} of {rounds}: {step.name}: {figures}")

        yield told


# ---- what is told ---------------------------------------------------------------------------------------------------


def compared(before: Path, after: Path, figures: Sequence[str], limit: float) -> Comparison:
    """Two runs, held against each other. Raises InputError."""
    return compare(_read(before), _read(after), figures=_names("--figure", figures, tuple(FIGURES)), limit=limit)


def shown(file: Path, html_file: Path | None) -> Exit:
    """A run that was written. Raises InputError."""
    files = Files(None, html_file)
    files.check()
    return tell(_read(file), files)


def _read(file: Path) -> Results:
    try:
        return read_results(bytes_of("FILE", f"@{file}"), str(file))
    except ResultsError as error:
        raise InputError(str(error)) from None


def tell(results: Results, files: Files) -> Exit:
    """Write and print a run. Raises InputError."""
    try:
        if files.json is not None:
            write_results(results, files.json)
        if files.html is not None:
            files.html.write_text(html(results), encoding="utf-8")
    except OSError as error:
        raise InputError(f"`{error.filename}` cannot be written: {error.strerror}") from None
    Console(width=max(_WIDTH, Console().width)).print(table(results))
    is_wrong = any(one.wrong for case in results.cases for one in case.rounds)
    return Exit.DENIED if is_wrong or not results.cases else Exit.FINE
