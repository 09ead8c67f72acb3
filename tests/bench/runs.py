"""Runs as tests have them: what a real one looks like, made from a seed."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import TypeAlias

from mcp_acl.bench.histogram import latency_of
from mcp_acl.bench.results import Case, Machine, Results, Round

Facts: TypeAlias = Mapping[str, str | int | float]

COSTS: Mapping[str, float] = {"unary": 60, "stream": 48, "filter": 900, "ext_authz": 75, "ext_proc": 140}
HOSTS: Mapping[str, float] = {"grpcio": 1.0, "envoy": 0.7}
FACTS: Facts = {"host": "grpcio", "interface": "unary", "rules": 100, "payload": 200}


def drawn(seed: int) -> Random:
    """The same again for the same seed."""
    return Random(seed)  # noqa: S311 - that is what is wanted


def a_round(draw: Random, cpu: float = 60.0, *, slow: float = 12.0, answers: int = 2_000, wrong: int = 0) -> Round:
    """Latencies are skewed and have a tail, as those of servers are; noise between rounds is 2 %."""
    noise = draw.gauss(1.0, 0.02)
    tail = [
        math.exp(draw.gauss(0.0, 0.2)) * (draw.paretovariate(2.5) if draw.random() < 0.05 else 1.0)
        for _ in range(answers)
    ]
    return Round(
        seconds=answers * max(cpu, 40) * 1.1 / 1e6,
        answers=answers,
        wrong=wrong,
        latency=latency_of(int(cpu * noise * slow * one * 1000) for one in tail),
        server_cpu=cpu * noise,
        client_cpu=9.0 * draw.gauss(1.0, 0.02),
        memory=48.0 + draw.random(),
        parts={"mcp-acl": cpu * noise},
    )


def a_case(  # noqa: PLR0913 - what a test says of it
    *,
    seed: int = 1,
    name: str = "grpcio unary",
    facts: Facts = FACTS,
    cpu: float = 60.0,
    rounds: int = 5,
    wrong: int = 0,
    rate: float = 0.0,
    unit: int = 1,
) -> Case:
    """One case."""
    draw = drawn(seed)
    slow = 12.0 if not rate else 1.5 + 4.0 / max(0.05, 1.05 - rate * cpu / 1e6)
    measured = tuple(a_round(draw, cpu, slow=slow, wrong=wrong) for _ in range(rounds))
    return Case(name=name, facts=dict(facts), rounds=measured, rate=rate, in_flight=32, unit=unit)


def a_run(
    cases: Sequence[Case], *, notes: Sequence[str] = (), seed: int = 1, processor: str = "AMD EPYC 7R13"
) -> Results:
    """A run of such cases."""
    return Results(
        made=datetime(2026, 11, 27, 12, 30, tzinfo=UTC),
        command=("mcp-acl", "bench", "--json", "run.json"),
        seed=seed,
        machine=Machine(system="Linux 6.1", processor=processor, cores=2, python="3.13.1", load=(0.2, 1.4)),
        versions={"mcp-acl": "0.1.0", "grpcio": "1.85.0"},
        cases=tuple(cases),
        notes=tuple(notes),
    )


def hosts_and_interfaces(rounds: int = 5) -> list[Case]:
    """What is measured without options."""
    found: list[Case] = []
    for host, share in HOSTS.items():
        for interface, cost in COSTS.items():
            size: Facts = {"entries": 100} if interface == "filter" else {"payload": 200}
            facts: Facts = {
                "host": host,
                "interface": interface,
                "rules": 100,
                "conditions": "claims",
                **size,
                "denied": 0,
            }
            unit = 100 if interface == "filter" else 1
            name = f"{host} {interface}, 100 rules, conditions claims"
            found.append(a_case(seed=len(found), name=name, facts=facts, cpu=cost * share, rounds=rounds, unit=unit))
    return found


def over(fact: str, numbers: Sequence[int], growth: float = 0.02, interface: str = "unary") -> list[Case]:
    """Cases that differ in one number, with both hosts; costs grow by that share for each power of ten."""
    found: list[Case] = []
    for host, share in HOSTS.items():
        for number in numbers:
            unit = number if fact == "entries" else 1
            cpu = COSTS[interface] * share * (1 + growth * math.log10(number)) * (unit / 100 if unit > 1 else 1)
            facts: Facts = {"host": host, "interface": interface, "rules": 100, "payload": 200, fact: number}
            found.append(
                a_case(seed=len(found), name=f"{host} {interface}, {fact} {number:,}", facts=facts, cpu=cpu, unit=unit)
            )
    return found


def over_rate(rates: Sequence[float]) -> list[Case]:
    """Cases of an open loop."""
    return [
        a_case(
            seed=round(rate),
            name=f"{host} unary, {rate:,.0f}/s",
            facts={"host": host, "interface": "unary"},
            cpu=60 * share,
            rate=rate,
        )
        for host, share in HOSTS.items()
        for rate in rates
    ]
