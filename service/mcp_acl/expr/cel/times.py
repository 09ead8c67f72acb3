"""Timestamps and durations: their texts, and their parts by time zone (CEL standard definitions: date and time).

Named zones come from the tz database that Python finds; what it has is looked up once, and each zone is read once. A name that
it does not have costs nothing: names may come with the call.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from mcp_acl.expr.cel.rows import Row, Style, overloaded
from mcp_acl.expr.cel.values import NANOS, Duration, Timestamp
from mcp_acl.expr.nodes import Type
from mcp_acl.problems import EvalError

# RFC 3339, section 5.6, upper-case `T` and `Z` only, as cel-go reads it.
_RFC_3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(\.[0-9]{1,30})?"
    r"(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DURATION: Final = re.compile(r"([+-]?)((?:(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:h|ms|m|s|us|µs|μs|ns))+)")
_PART: Final = re.compile(r"([0-9.]+)([a-zµμ]+)")
_UNITS: Final = {
    "h": 3600 * NANOS,
    "m": 60 * NANOS,
    "s": NANOS,
    "ms": 10**6,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ns": 1,
}
_OFFSET: Final = re.compile(r"([+-]?)(0[0-9]|1[0-4]):([0-5][0-9])")
_LONGEST: Final = 200


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339 text. What is smaller than a nanosecond is dropped. Raises `EvalError`."""
    found = _RFC_3339.fullmatch(text)
    if found is None:
        raise EvalError(f"not an RFC 3339 timestamp: `{text[:40]}`")
    date, time, fraction, zone = found.groups()
    try:
        seconds = Timestamp.of(datetime.fromisoformat(f"{date}T{time}{zone.replace('Z', '+00:00')}"))
    except ValueError:
        raise EvalError(f"not an RFC 3339 timestamp: `{text[:40]}`") from None
    return Timestamp(seconds.nanos + int(f"{(fraction or '.')[1:]:0<9}"[:9]))


def timestamp_text(moment: Timestamp) -> str:
    """RFC 3339 in UTC, with as many digits of a second as there are."""
    seconds = moment.as_datetime().replace(microsecond=0, tzinfo=None)
    return f"{seconds.isoformat()}{_fraction(moment.nanos % NANOS)}Z"


def parse_duration(text: str) -> Duration:
    """Numbers with units, such as `1h30m` or `-1.5s`, or `0`. Raises `EvalError`."""
    found = _DURATION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        if text in {"0", "+0", "-0"}:
            return Duration(0)
        raise EvalError(f"not a duration: `{text[:40]}`")
    total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _PART.findall(found[2]))
    return Duration(-total if found[1] == "-" else total)


def duration_text(span: Duration) -> str:
    """Seconds, such as `90s` or `-0.5s`."""
    sign = "-" if span.nanos < 0 else ""
    return f"{sign}{abs(span.nanos) // NANOS}{_fraction(abs(span.nanos) % NANOS)}s"


def _fraction(nanos: int) -> str:
    return f".{nanos:09d}".rstrip("0") if nanos else ""


def _zone(name: str) -> tzinfo:
    """A zone by its name in the tz database, or by its offset such as `-07:00`."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        away = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-away if sign == "-" else away)
    if name not in _zone_names():
        raise EvalError(f"not a time zone: `{name[:40]}`")
    return _named_zone(name)


@cache
def _zone_names() -> frozenset[str]:
    """Those of the tz database; the machine's own zone is none of them."""
    return frozenset(available_timezones() - {"localtime"})


@cache
def _named_zone(name: str) -> tzinfo:
    """One that is there; kept for good, as there are some hundreds."""
    return ZoneInfo(name)


def _local(moment: Timestamp, zone: str) -> datetime:
    try:
        return moment.as_datetime().astimezone(_zone(zone))
    except (OverflowError, ValueError):
        raise EvalError("timestamp out of range: years 1 to 9999") from None


class _Part(NamedTuple):
    """One part of a timestamp. `unit`: how many nanoseconds it is of a duration, if it is one; `modulus`: up to what."""

    name: str
    meaning: str
    example: str
    of: Callable[[datetime], int]
    unit: int = 0
    modulus: int = 0


def _row(part: _Part) -> Row:
    overloads: dict[tuple[type, ...], Callable[..., int]] = {
        (Timestamp,): lambda moment: part.of(moment.as_datetime()),
        (Timestamp, str): lambda moment, zone: part.of(_local(moment, zone)),
    }
    signature = f"timestamp.{part.name}() -> int, timestamp.{part.name}(string) -> int"
    if part.unit:
        overloads[Duration,] = lambda span: _truncated(span.nanos, part.unit, part.modulus)
        signature += f", duration.{part.name}() -> int"
    doc = f"{signature}\n{part.meaning}\n{part.example}"
    return overloaded(part.name, Style.METHOD, Type.INT, doc, overloads)


def _truncated(nanos: int, unit: int, modulus: int) -> int:
    whole = abs(nanos) // unit
    whole = whole % modulus if modulus else whole
    return -whole if nanos < 0 else whole


_PARTS: Final = (
    _Part(
        "getFullYear",
        "the year, in UTC or the time zone given",
        "timestamp('2026-07-28T23:30:00Z').getFullYear() == 2026",
        lambda moment: moment.year,
    ),
    _Part(
        "getMonth",
        "the month, from 0",
        "timestamp('2026-07-28T23:30:00Z').getMonth() == 6",
        lambda moment: moment.month - 1,
    ),
    _Part(
        "getDate",
        "the day of the month, from 1",
        "timestamp('2026-07-28T23:30:00Z').getDate('+02:00') == 29",
        lambda moment: moment.day,
    ),
    _Part(
        "getDayOfMonth",
        "the day of the month, from 0",
        "timestamp('2026-07-28T23:30:00Z').getDayOfMonth() == 27",
        lambda moment: moment.day - 1,
    ),
    _Part(
        "getDayOfWeek",
        "the day of the week, from 0 for Sunday",
        "timestamp('2026-07-28T23:30:00Z').getDayOfWeek() == 2",
        lambda moment: moment.isoweekday() % 7,
    ),
    _Part(
        "getDayOfYear",
        "the day of the year, from 0",
        "timestamp('2026-02-01T00:00:00Z').getDayOfYear() == 31",
        lambda moment: moment.timetuple().tm_yday - 1,
    ),
    _Part(
        "getHours",
        "the hour; of a duration all its hours",
        "timestamp('2026-07-28T23:30:00Z').getHours('Europe/Berlin') == 1 && duration('90m').getHours() == 1",
        lambda moment: moment.hour,
        3600 * NANOS,
    ),
    _Part(
        "getMinutes",
        "the minute; of a duration all its minutes",
        "duration('90m').getMinutes() == 90",
        lambda moment: moment.minute,
        60 * NANOS,
    ),
    _Part(
        "getSeconds",
        "the second; of a duration all its seconds",
        "duration('90m').getSeconds() == 5400",
        lambda moment: moment.second,
        NANOS,
    ),
    _Part(
        "getMilliseconds",
        "the milliseconds of the second, of a duration too",
        "duration('1.5s').getMilliseconds() == 500",
        lambda moment: moment.microsecond // 1000,
        10**6,
        1000,
    ),
)

TIME_FUNCTIONS: Final[tuple[Row, ...]] = tuple(_row(part) for part in _PARTS)
