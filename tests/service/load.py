"""Load on a service from threads of this process, and what its clients saw."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mcp_acl.client import Client, Verdict

Ask = Callable[[Client, int], Verdict]


@dataclass
class Seen:
    """What clients saw until now: verdicts by reason, and how long each took in seconds. `workers`: who answered."""

    reasons: Counter[str] = field(default_factory=Counter)
    revisions: set[str] = field(default_factory=set)
    workers: set[str] = field(default_factory=set)
    causes: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def add(self, verdict: Verdict, seconds: float) -> None:
        self.reasons[verdict.reason] += 1
        self.times.append(seconds)
        if verdict.cause is not None:
            self.causes[verdict.cause.code] += 1
        else:
            self.revisions.add(verdict.revision)
            self.workers.add(verdict.decision_id.partition("-")[0])

    @property
    def total(self) -> int:
        return len(self.times)


@contextmanager
def load(open_client: Callable[[], Client], ask: Ask, threads: int = 4, *, renew: int = 0) -> Iterator[Seen]:
    """Ask without a pause from several threads while this lasts, each with a client of its own.

    With `renew` a thread opens a new client, and with it a new connection, after so many questions.
    """
    seen = Seen()

    def run(number: int, stop: threading.Event) -> None:
        client = open_client()
        while not stop.is_set():
            number += threads
            if renew and number % (renew * threads) < threads:
                client.close()
                client = open_client()
            started = time.perf_counter()
            seen.add(ask(client, number), time.perf_counter() - started)
        client.close()

    with meanwhile(run, threads):
        yield seen


@contextmanager
def meanwhile(run: Callable[[int, threading.Event], None], threads: int) -> Iterator[None]:
    """Run in so many threads while this lasts, each told its number and when to stop. What one raises is raised there, and fails this."""
    stop, failed = threading.Event(), list[BaseException]()

    def noted(number: int) -> None:
        try:
            run(number, stop)
        except BaseException as error:
            failed.append(error)
            raise

    running = [threading.Thread(target=noted, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join()
    assert not failed, failed
