"""Spans: of what they are made, and that nobody can have more of them made than a bound."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_acl.domain import Http
from mcp_acl.runtime.bound import Bound
from mcp_acl.runtime.gate import Question
from mcp_acl.runtime.load import Load
from mcp_acl.runtime.observed import ObservedGate
from mcp_acl.runtime.otlp import Source, Spans
from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.watching import watching
from tests.collector import Collector, collecting
from tests.runtime.weather import POLICIES, call

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def said(flags: str) -> str:
    return f"00-{TRACE}-{SPAN}-{flags}"


def of_gateway(flags: str = "01") -> Question:
    return Question("weather", call("forecast"), trace=said(flags))


def of_client(flags: str = "01") -> Question:
    return Question("weather", call("forecast"), http=Http(headers={"traceparent": [said(flags)]}))


NOBODYS = Question("weather", call("forecast"))


def sent(
    collector: Collector, *questions: Question, share: float = 0.0, obeys: bool = False, bound: Bound | None = None
) -> list[tuple[str, str]]:
    """The trace and the parent of each span that is made."""
    collector.spans.clear()
    spans = Spans(Source(collector.url), share, bound or Bound(100))
    gate = ObservedGate([spans], POLICIES, obeys_clients=obeys)
    for question in questions:
        gate.check(question)
    spans.close()
    return [(span.trace_id.hex(), span.parent_span_id.hex()) for _, span in collector.spans]


def test_span_is_made_where_the_gateway_says_so(collector: Collector) -> None:
    assert [(TRACE, SPAN)] == sent(collector, of_gateway(), of_gateway("00"), NOBODYS)
    assert [] == sent(collector, of_gateway("00"), share=1.0)


def test_client_has_none_made_unless_it_is_obeyed(collector: Collector) -> None:
    assert [] == sent(collector, of_client())
    assert [(TRACE, SPAN)] == sent(collector, of_client(), of_client("00"), obeys=True)


def test_share_is_drawn_where_nobody_who_is_believed_has_said(collector: Collector) -> None:
    ours, *theirs = sent(collector, NOBODYS, of_client(), of_client("00"), share=1.0)
    assert ("", False) == (ours[1], ours[0] == TRACE)
    assert [(TRACE, SPAN)] * 2 == theirs


def test_no_more_are_made_in_a_second_than_the_bound(collector: Collector) -> None:
    now = [7.0]
    bound = Bound(3, lambda: now[0])
    assert 3 == len(sent(collector, *[of_gateway()] * 5, bound=bound))
    now[0] = 7.9
    assert 0 == len(sent(collector, of_gateway(), NOBODYS, bound=bound))
    now[0] = 8.1
    assert 3 == len(sent(collector, *[of_gateway()] * 4, bound=bound))
    assert 4 == bound.refused
    assert 0 == len(sent(collector, of_gateway(), bound=Bound(0)))


def test_settings_say_the_bound_and_what_is_beyond_it_is_counted(collector: Collector, tmp_path: Path) -> None:
    settings = Settings(policies=tmp_path, otlp_endpoint=collector.url, trace_most=2)
    with watching(settings, Load()) as observers:
        gate = ObservedGate(observers, POLICIES)
        for _ in range(50):
            gate.check(of_gateway())
    (dropped,) = collector.metrics["mcp_acl.spans.dropped"].sum.data_points
    made = len(collector.spans)
    assert (50, True) == (made + dropped.as_int, 2 <= made < 50)
