"""`DateTimeFormatter`: patterns of letters, and writing and reading dates and times with them, in English.

Letters: y and u (year), M, d, H, h, m, s, S (fraction), a, E, D, X, x, and quoted text. Reading takes the numeric ones.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from itertools import pairwise
from typing import Final

from mcp_acl.expr.el.temporal import (
    DAYS,
    MONTHS,
    DateTimePattern,
    LocalDate,
    LocalDateTime,
    LocalTime,
    ZonedDateTime,
    month_length,
    new_date,
    new_time,
)
from mcp_acl.expr.el.values import made_text, shown
from mcp_acl.problems import EvalError

_TOKEN: Final = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z'{}#\[\]]", re.DOTALL)
_ALLOWED: Final[Mapping[str, range]] = {
    "y": range(1, 5),
    "u": range(1, 5),
    "M": range(1, 5),
    "d": range(1, 3),
    "D": range(1, 4),
    "H": range(1, 3),
    "h": range(1, 3),
    "m": range(1, 3),
    "s": range(1, 3),
    "S": range(1, 10),
    "a": range(1, 2),
    "E": range(1, 5),
    "X": range(1, 4),
    "x": range(1, 4),
}


def compile_pattern(text: str) -> DateTimePattern:
    """`DateTimeFormatter.ofPattern(text)`."""
    fields: list[tuple[str, int]] = []
    place = 0
    for match in _TOKEN.finditer(made_text(text)):
        if match.start() != place:
            break
        place = match.end()
        fields.append(_field(match))
    if place != len(text):
        raise EvalError(f"the date pattern `{shown(text)}` is not supported")
    return DateTimePattern(tuple(fields))


def _field(match: re.Match[str]) -> tuple[str, int]:
    written = match.group()
    if match.group(2):
        letter, count = written[0], len(written)
        if count not in _ALLOWED.get(letter, ()) or (letter in "yu" and count == 3):
            raise EvalError(f"`{shown(written)}` in a date pattern is not supported")
        return letter, count
    if not written.startswith("'"):
        return written, 0
    return match.group(1).replace("''", "'") or "'", 0


_DATE_FIELDS: Final = (("y", 4), ("-", 0), ("M", 2), ("-", 0), ("d", 2))
BASIC_DATE: Final = DateTimePattern((("y", 4), ("M", 2), ("d", 2), ("zone", 2)), strict=True)
ISO_DATE: Final = DateTimePattern(_DATE_FIELDS, strict=True)
ISO_TIME: Final = DateTimePattern((("time", 1),), strict=True)
ISO_DATE_TIME: Final = DateTimePattern((*_DATE_FIELDS, ("T", 0), ("time", 1)), strict=True)


class _Fields:
    """The parts of a date, a time or both; asking for one that is not there is an error."""

    def __init__(self, value: object) -> None:
        self._zoned = value if isinstance(value, ZonedDateTime) else None
        local = value.local if isinstance(value, ZonedDateTime) else value
        self._day = local.day if isinstance(local, LocalDate | LocalDateTime) else None
        self._time = local.time if isinstance(local, LocalDateTime) else local if isinstance(local, LocalTime) else None

    def date(self, part: str) -> int:
        if self._day is None:
            raise EvalError("a time has no date to write")
        if part == "weekday":
            return self._day.weekday()
        return self._day.timetuple().tm_yday if part == "yday" else int(getattr(self._day, part))

    def time(self) -> LocalTime:
        if self._time is None:
            raise EvalError("a date has no time to write")
        return self._time

    def zone(self) -> str:
        """The offset as `BASIC_ISO_DATE` ends with it; nothing where there is none."""
        if self._zoned is None:
            return ""
        minutes, seconds = divmod(abs(self._zoned.zone.seconds), 60)
        sign = "-" if self._zoned.zone.seconds < 0 else "+"
        text = f"{sign}{minutes // 60:02}{minutes % 60:02}" + (f"{seconds:02}" if seconds else "")
        return text if minutes or seconds else "Z"

    def offset(self) -> int:
        if self._zoned is None:
            raise EvalError("a time without a zone has no offset to write")
        return self._zoned.zone.seconds


def format_with(pattern: DateTimePattern, value: object) -> str:
    """The value as the pattern writes it."""
    fields = _Fields(value)
    made = (_WRITERS[name](fields, count) if count else name for name, count in pattern.fields)
    return made_text("".join(made))


def _year(fields: _Fields, count: int) -> str:
    year = fields.date("year")
    return f"{year % 100:02}" if count == 2 else f"{year:0{count}}"


def _month(fields: _Fields, count: int) -> str:
    month = fields.date("month")
    return f"{month:0{count}}" if count < 3 else _named(MONTHS[month - 1], count)


def _named(name: str, count: int) -> str:
    return name.title() if count == 4 else name[:3].title()


def _padded(part: Callable[[_Fields], int]) -> Callable[[_Fields, int], str]:
    return lambda fields, count: f"{part(fields):0{count}}"


def _offset(zero: str) -> Callable[[_Fields, int], str]:
    def write(fields: _Fields, count: int) -> str:
        seconds = fields.offset()
        hours, minutes = divmod(abs(seconds) // 60, 60)
        nothing = not hours and not minutes
        if nothing and zero:
            return zero
        sign = "-" if seconds < 0 and not nothing else "+"
        if count == 1:
            return f"{sign}{hours:02}" + (f"{minutes:02}" if minutes else "")
        return f"{sign}{hours:02}{':' if count == 3 else ''}{minutes:02}"

    return write


_WRITERS: Final[Mapping[str, Callable[[_Fields, int], str]]] = {
    "y": _year,
    "u": _year,
    "M": _month,
    "d": _padded(lambda fields: fields.date("day")),
    "D": _padded(lambda fields: fields.date("yday")),
    "H": _padded(lambda fields: fields.time().parts[0]),
    "h": _padded(lambda fields: (fields.time().parts[0] + 11) % 12 + 1),
    "m": _padded(lambda fields: fields.time().parts[1]),
    "s": _padded(lambda fields: fields.time().parts[2]),
    "S": lambda fields, count: f"{fields.time().parts[3]:09}"[:count],
    "a": lambda fields, _count: "AM" if fields.time().parts[0] < 12 else "PM",
    "E": lambda fields, count: _named(DAYS[fields.date("weekday")], count),
    "X": _offset("Z"),
    "x": _offset(""),
    "time": lambda fields, _count: _iso_time(fields.time()),
    "zone": lambda fields, _count: fields.zone(),
}


def _iso_time(time: LocalTime) -> str:
    hour, minute, second, nano = time.parts
    text = f"{hour:02}:{minute:02}:{second:02}"
    return f"{text}.{nano:09}".rstrip("0") if nano else text


_READERS: Final[Mapping[tuple[str, int], str]] = {
    ("y", 4): r"(?P<year>\d{4})",
    ("u", 4): r"(?P<year>\d{4})",
    ("M", 1): r"(?P<month>\d{1,2})",
    ("M", 2): r"(?P<month>\d\d)",
    ("d", 1): r"(?P<day>\d{1,2})",
    ("d", 2): r"(?P<day>\d\d)",
    ("H", 1): r"(?P<hour>\d{1,2})",
    ("H", 2): r"(?P<hour>\d\d)",
    ("m", 1): r"(?P<minute>\d{1,2})",
    ("m", 2): r"(?P<minute>\d\d)",
    ("s", 1): r"(?P<second>\d{1,2})",
    ("s", 2): r"(?P<second>\d\d)",
    ("time", 1): r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<nano>\d{1,9}))?)?",
    ("zone", 2): "",
    **{("S", count): rf"(?P<nano>\d{{{count}}})" for count in range(1, 10)},
}


_TIME_PARTS: Final = ("hour", "minute", "second", "nano")


def parse_with(pattern: DateTimePattern, text: str) -> dict[str, int]:
    """The numbers a text holds where the pattern has fields."""
    readers = [_READERS.get(field) if field[1] else re.escape(field[0]) for field in pattern.fields]
    names = [field[0] for field in pattern.fields if field[1]]
    if None in readers or len(names) != len(set(names)) or _runs_together(pattern):
        raise EvalError("reading with this date pattern is not supported")
    match = re.fullmatch("".join(one for one in readers if one is not None), text, re.ASCII)
    if match is None:
        raise EvalError(f"`{shown(text)}` does not have the form of the date pattern")
    found = {name: digits for name, digits in match.groupdict().items() if digits is not None}
    if "nano" in found:
        found["nano"] = f"{found['nano']:0<9}"
    return {name: int(digits) for name, digits in found.items()}


def _runs_together(pattern: DateTimePattern) -> bool:
    """Whether a number of any length stands beside another: which digits are whose is Java's own rule."""
    return any(left[1] and right[1] and (_is_open(left) or _is_open(right)) for left, right in pairwise(pattern.fields))


def _is_open(field: tuple[str, int]) -> bool:
    return field[1] == 1 and field[0] != "S"


def read_date(text: str, pattern: DateTimePattern) -> LocalDate:
    """A date read with a pattern."""
    return LocalDate(_day(parse_with(pattern, text), pattern))


def _day(found: Mapping[str, int], pattern: DateTimePattern) -> date:
    if not {"year", "month", "day"} <= found.keys():
        raise EvalError("the date pattern has no year, month and day")
    year, month, day = found["year"], found["month"], found["day"]
    return new_date(year, month, day if pattern.strict or day > 31 else min(day, month_length(year, month)))


def read_date_time(text: str, pattern: DateTimePattern) -> LocalDateTime:
    """A date and time read with a pattern."""
    found = parse_with(pattern, text)
    if "hour" not in found or any(part in found and above not in found for above, part in pairwise(_TIME_PARTS)):
        raise EvalError("the date pattern has no hour, or a part of the time without the one above it")
    time = new_time(found["hour"], found.get("minute", 0), found.get("second", 0), found.get("nano", 0))
    return LocalDateTime(_day(found, pattern), time)
