"""Decisions on their way to whoever watches: from when on, and between processes."""

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from mcp_acl.domain import RuleRef
from mcp_acl.gateway.passing import Receiver, line_of, seen_of, sender
from mcp_acl.gateway.telling import TellAfter
from mcp_acl.gateway.watching import Seen

TIME = datetime(2026, 11, 27, 12, 30, 15, 123456, UTC)
RULES = (RuleRef("weather", "forecasts", "weather.yaml", 6),)


def seen(decision_id: str = "", **fields: Any) -> Seen:
    given = {"server": "weather", "principal": "ann", "method": "tools/call", "target": "forecast"}
    return Seen(TIME, **{**given, "decision": "allow", "reason": "rule", "decision_id": decision_id, **fields})


@pytest.mark.parametrize(
    "one",
    [
        seen(),
        seen("1", rules=RULES),
        seen(decision="filtered", shown=2, hidden=11),
        seen(target='a\nb\x00\u2028"\\', principal="\ud800 \U0001f600", method=""),
    ],
    ids=repr,
)
def test_decision_arrives_as_it_was_sent(one: Seen) -> None:
    line = line_of(one)
    assert line.isascii()
    assert 1 == line.count(b"\n")
    assert one == seen_of(line)


def test_decisions_come_in_their_order_until_the_other_end_is_closed() -> None:
    receiving, sending = os.pipe()
    found: list[Seen] = []
    receiver = Receiver(receiving, found.append)
    teller = sender(sending)
    for number in range(2000):
        teller(seen(str(number)))
    teller.close()
    os.write(sending, line_of(seen("half"))[:20])
    os.close(sending)
    receiver.close()
    assert [str(number) for number in range(2000)] == [one.decision_id for one in found]


def test_one_that_is_gone_holds_nobody_up() -> None:
    receiving, sending = os.pipe()
    os.close(receiving)
    teller = sender(sending)
    for number in range(20_000):
        teller(seen(str(number)))
    teller.close()


@pytest.mark.parametrize("is_late", [False, True])
def test_what_comes_after_a_decision_is_told_whether_it_has_come_or_not(is_late: bool) -> None:
    found: list[Seen] = []
    tell = TellAfter(found.append)
    tell(seen("0"))
    if is_late:
        tell.after("1")
        tell(seen("1"))
    else:
        tell(seen("1"))
        tell.after("1")
    tell(seen("2"))
    assert ["2"] == [one.decision_id for one in found]


def test_nothing_is_told_before() -> None:
    found: list[Seen] = []
    tell = TellAfter(found.append)
    tell(seen(""))
    tell(seen("0"))
    assert [] == found
