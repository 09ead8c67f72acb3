"""The methods of Java's dates and times, one row each. Now is the request's time, and the default zone is UTC."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, TypeAlias

from mcp_acl.expr.el.comparing import compare_to
from mcp_acl.expr.el.methods import CONSTRUCTOR, Row
from mcp_acl.expr.el.patterns import compile_pattern, format_with, read_date, read_date_time
from mcp_acl.expr.el.temporal import (
    DAY_NANOS,
    DAYS,
    MONTHS,
    SECOND_NANOS,
    UTC_ZONE,
    Instant,
    JavaDate,
    LocalDate,
    LocalDateTime,
    LocalTime,
    ZonedDateTime,
    ZoneOffset,
    day_at,
    epoch_day,
    epoch_nanos,
    is_leap,
    local_at,
    month_length,
    new_date,
    new_time,
    out_of_range,
    parse_date,
    parse_date_time,
    parse_zone,
    parse_zoned,
    plus_months,
)
from mcp_acl.expr.el.texts import java_text
from mcp_acl.expr.el.values import EnumConstant, Int32
from mcp_acl.problems import EvalError

_Run: TypeAlias = Callable[..., object]
_MILLI_NANOS: Final = 1_000_000


def _row(owner: str, name: str, params: str, result: str, run: _Run, doc: str = "") -> Row:
    return Row(owner, name, tuple(params.split()), result, run, doc)


def _property(owner: str, name: str, result: str, run: _Run) -> Row:
    return Row(owner, name, (), result, run, "as a property only", callable=False)


def _static(owner: str, name: str, params: str, result: str, run: _Run) -> Row:
    return Row(owner, name, tuple(params.split()), result, run, static=True)


def _now(owner: str, name: str, params: str, result: str, run: _Run) -> Row:
    doc = "the request's time"
    return Row(owner, name, tuple(params.split()), result, run, doc, static=True, reads_now=True)


# ---- java.util.Date ------------------------------------------------------------------------------------------------------


def _calendar(part: Callable[[JavaDate], int]) -> _Run:
    return lambda value: Int32(part(value))


def _no_text(_text: str) -> JavaDate:
    raise EvalError("a date cannot be made of a text here: write `T(java.time.LocalDate).parse(…)`")


_DATE: Final = (
    _now("Date", CONSTRUCTOR, "", "Date", JavaDate),
    _static("Date", CONSTRUCTOR, "long", "Date", JavaDate),
    _static("Date", CONSTRUCTOR, "String", "Date", _no_text),
    _row("Date", "getTime", "", "long", lambda value: value.millis, "milliseconds since 1970"),
    _row("Date", "after", "Date", "boolean", lambda value, other: value > _known(other)),
    _row("Date", "before", "Date", "boolean", lambda value, other: value < _known(other)),
    _row("Date", "compareTo", "Date", "int", lambda value, other: Int32(compare_to(value, other))),
    _row("Date", "toInstant", "", "Instant", lambda value: Instant(value.millis * _MILLI_NANOS)),
    _row("Date", "getYear", "", "int", _calendar(lambda value: value.moment().year - 1900)),
    _row("Date", "getMonth", "", "int", _calendar(lambda value: value.moment().month - 1)),
    _row("Date", "getDate", "", "int", _calendar(lambda value: value.moment().day)),
    _row("Date", "getDay", "", "int", _calendar(lambda value: value.moment().isoweekday() % 7)),
    _row("Date", "getHours", "", "int", _calendar(lambda value: value.moment().hour)),
    _row("Date", "getMinutes", "", "int", _calendar(lambda value: value.moment().minute)),
    _row("Date", "getSeconds", "", "int", _calendar(lambda value: value.moment().second)),
)


def _known(value: JavaDate | None) -> JavaDate:
    if value is None:
        raise EvalError("null is no date")
    return value


# ---- what dates and times share --------------------------------------------------------------------------------------------


def _weekday(day: date) -> EnumConstant:
    return EnumConstant("DayOfWeek", DAYS[day.weekday()], day.weekday())


def _month(day: date) -> EnumConstant:
    return EnumConstant("Month", MONTHS[day.month - 1], day.month - 1)


_DATE_PARTS: Final[tuple[tuple[str, str, Callable[[date], object]], ...]] = (
    ("getYear", "int", lambda day: Int32(day.year)),
    ("getMonthValue", "int", lambda day: Int32(day.month)),
    ("getMonth", "Month", _month),
    ("getDayOfMonth", "int", lambda day: Int32(day.day)),
    ("getDayOfYear", "int", lambda day: Int32(day.timetuple().tm_yday)),
    ("getDayOfWeek", "DayOfWeek", _weekday),
)
_TIME_PARTS: Final = (("getHour", 0), ("getMinute", 1), ("getSecond", 2), ("getNano", 3))


def _date_rows(owner: str, day_of: Callable[[object], date]) -> list[Row]:
    def reader(part: Callable[[date], object]) -> _Run:
        return lambda value: part(day_of(value))

    return [_row(owner, name, "", result, reader(part)) for name, result, part in _DATE_PARTS]


def _time_rows(owner: str, time_of: Callable[[object], LocalTime], make: Callable[..., Row] = _row) -> list[Row]:
    def reader(index: int) -> _Run:
        return lambda value: Int32(time_of(value).parts[index])

    if make is _property:
        return [_property(owner, name, "int", reader(index)) for name, index in _TIME_PARTS]
    return [_row(owner, name, "", "int", reader(index)) for name, index in _TIME_PARTS]


def _shift_rows(owner: str, units: tuple[tuple[str, _Run], ...]) -> list[Row]:
    """`plusDays`, `minusDays` and their like: each unit with a function that moves a value by so many."""

    def minus(move: _Run) -> _Run:
        return lambda value, count: move(value, -count)

    rows: list[Row] = []
    for unit, move in units:
        rows.append(_row(owner, f"plus{unit}", "long", owner, move))
        rows.append(_row(owner, f"minus{unit}", "long", owner, minus(move)))
    return rows


def _order_rows(owner: str, other: str) -> list[Row]:
    return [
        _row(owner, "isAfter", other, "boolean", lambda value, against: compare_to(value, against) > 0),
        _row(owner, "isBefore", other, "boolean", lambda value, against: compare_to(value, against) < 0),
        _row(owner, "isEqual", other, "boolean", lambda value, against: compare_to(value, against) == 0),
    ]


def _text_rows(owner: str) -> list[Row]:
    return [
        _row(owner, "toString", "", "String", java_text),
        _row(owner, "format", "DateTimeFormatter", "String", lambda value, pattern: format_with(pattern, value)),
    ]


def _shifted(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise out_of_range() from None


def _moved_months(day: date, months: int) -> date:
    if abs(months) > 120_000:
        raise out_of_range()
    return plus_months(day, months)


def _distance(left: date, right: date) -> Int32:
    """`LocalDate.compareTo`: years, else months, else days apart."""
    return Int32((left.year - right.year) or (left.month - right.month) or (left.day - right.day))


# ---- LocalDate, LocalTime --------------------------------------------------------------------------------------------------


def _day(value: object) -> date:
    assert isinstance(value, LocalDate | LocalDateTime)
    return value.day


_LOCAL_DATE: Final = (
    *_date_rows("LocalDate", _day),
    *_order_rows("LocalDate", "ChronoLocalDate"),
    *_text_rows("LocalDate"),
    *_shift_rows(
        "LocalDate",
        (
            ("Days", lambda value, count: LocalDate(_shifted(value.day, count))),
            ("Weeks", lambda value, count: LocalDate(_shifted(value.day, count * 7))),
            ("Months", lambda value, count: LocalDate(_moved_months(value.day, count))),
            ("Years", lambda value, count: LocalDate(_moved_months(value.day, count * 12))),
        ),
    ),
    _now("LocalDate", "now", "", "LocalDate", lambda now: LocalDate(_local_now(now, UTC_ZONE).day)),
    _now("LocalDate", "now", "ZoneId", "LocalDate", lambda zone, now: LocalDate(_local_now(now, zone).day)),
    _static("LocalDate", "of", "int int int", "LocalDate", lambda y, m, d: LocalDate(new_date(y, m, d))),
    _static("LocalDate", "of", "int Month int", "LocalDate", lambda y, m, d: LocalDate(new_date(y, m.ordinal + 1, d))),
    _static("LocalDate", "ofEpochDay", "long", "LocalDate", lambda days: LocalDate(day_at(days))),
    _static("LocalDate", "parse", "CharSequence", "LocalDate", parse_date),
    _static("LocalDate", "parse", "CharSequence DateTimeFormatter", "LocalDate", read_date),
    _row("LocalDate", "isLeapYear", "", "boolean", lambda value: is_leap(value.day.year)),
    _row("LocalDate", "lengthOfMonth", "", "int", lambda value: Int32(month_length(value.day.year, value.day.month))),
    _row("LocalDate", "lengthOfYear", "", "int", lambda value: Int32(365 + is_leap(value.day.year))),
    _row("LocalDate", "toEpochDay", "", "long", lambda value: epoch_day(value.day)),
    _row("LocalDate", "compareTo", "ChronoLocalDate", "int", lambda value, other: _distance(value.day, other.day)),
    _row("LocalDate", "atStartOfDay", "", "LocalDateTime", lambda value: LocalDateTime(value.day, LocalTime(0))),
    _row("LocalDate", "atTime", "int int", "LocalDateTime", lambda v, *parts: LocalDateTime(v.day, new_time(*parts))),
    _row("LocalDate", "atTime", "int int int", "LocalDateTime", lambda v, *parts: LocalDateTime(v.day, new_time(*parts))),
    *(_row("LocalDate", f"with{part}", "int", "LocalDate", run) for part, run in (
        ("Year", lambda value, year: LocalDate(_moved_months(value.day, (year - value.day.year) * 12))),
        ("Month", lambda value, month: LocalDate(_with_month(value.day, month))),
        ("DayOfMonth", lambda value, day: LocalDate(new_date(value.day.year, value.day.month, day))),
    )),
)


def _with_month(day: date, month: int) -> date:
    new_date(day.year, month, 1)
    return plus_months(day, month - day.month)


def _time(value: object) -> LocalTime:
    match value:
        case ZonedDateTime():
            return value.local.time
        case LocalDateTime():
            return value.time
    assert isinstance(value, LocalTime)
    return value


# ---- LocalDateTime, ZonedDateTime ------------------------------------------------------------------------------------------


def _local_now(now: int, zone: ZoneOffset) -> LocalDateTime:
    return local_at(now * _MILLI_NANOS, zone)


def _moved(value: LocalDateTime, nanos: int) -> LocalDateTime:
    days, rest = divmod(epoch_nanos(value) + nanos, DAY_NANOS)
    return LocalDateTime(day_at(days), LocalTime(rest))


def _by_nanos(size: int) -> Callable[[LocalDateTime, int], LocalDateTime]:
    return lambda value, count: _moved(value, count * size)


def _by_months(size: int) -> Callable[[LocalDateTime, int], LocalDateTime]:
    return lambda value, count: LocalDateTime(_moved_months(value.day, count * size), value.time)


_LOCAL_SHIFTS: Final[tuple[tuple[str, Callable[[LocalDateTime, int], LocalDateTime]], ...]] = (
    ("Years", _by_months(12)),
    ("Months", _by_months(1)),
    ("Weeks", _by_nanos(7 * DAY_NANOS)),
    ("Days", _by_nanos(DAY_NANOS)),
    ("Hours", _by_nanos(3600 * SECOND_NANOS)),
    ("Minutes", _by_nanos(60 * SECOND_NANOS)),
    ("Seconds", _by_nanos(SECOND_NANOS)),
    ("Nanos", _by_nanos(1)),
)


def _in_zone(move: Callable[[LocalDateTime, int], LocalDateTime]) -> _Run:
    return lambda value, count: ZonedDateTime(move(value.local, count), value.zone)


def _date_time(year: int, month: int, day: int, *time: int) -> LocalDateTime:
    return LocalDateTime(new_date(year, month, day), new_time(*time))


def _of_month(year: int, month: EnumConstant, day: int, *time: int) -> LocalDateTime:
    return _date_time(year, month.ordinal + 1, day, *time)


def _compare_local(value: LocalDateTime, other: LocalDateTime) -> Int32:
    days = _distance(value.day, other.day)
    return days or Int32((value.time > other.time) - (value.time < other.time))


_LOCAL_DATE_TIME: Final = (
    *_date_rows("LocalDateTime", _day),
    *_time_rows("LocalDateTime", _time),
    *_order_rows("LocalDateTime", "ChronoLocalDateTime"),
    *_text_rows("LocalDateTime"),
    *_shift_rows("LocalDateTime", _LOCAL_SHIFTS),
    _now("LocalDateTime", "now", "", "LocalDateTime", lambda now: _local_now(now, UTC_ZONE)),
    _now("LocalDateTime", "now", "ZoneId", "LocalDateTime", lambda zone, now: _local_now(now, zone)),
    *(_static("LocalDateTime", "of", " ".join(["int"] * count), "LocalDateTime", _date_time) for count in (5, 6, 7)),
    *(_static("LocalDateTime", "of", f"int Month{' int' * count}", "LocalDateTime", _of_month) for count in (3, 4, 5)),
    _static("LocalDateTime", "parse", "CharSequence", "LocalDateTime", parse_date_time),
    _static("LocalDateTime", "parse", "CharSequence DateTimeFormatter", "LocalDateTime", read_date_time),
    _row("LocalDateTime", "compareTo", "ChronoLocalDateTime", "int", _compare_local),
    _row("LocalDateTime", "toLocalDate", "", "LocalDate", lambda value: LocalDate(value.day)),
    _row("LocalDateTime", "toLocalTime", "", "LocalTime", _time),
    _row("LocalDateTime", "atZone", "ZoneId", "ZonedDateTime", ZonedDateTime),
    *_time_rows("LocalTime", _time, _property),
)


def _zoned_now(now: int, zone: ZoneOffset) -> ZonedDateTime:
    return ZonedDateTime(_local_now(now, zone), zone)


def _same_instant(value: ZonedDateTime, zone: ZoneOffset) -> ZonedDateTime:
    return ZonedDateTime(local_at(value.epoch_nanos, zone), zone)


def _local(value: object) -> LocalDateTime:
    assert isinstance(value, ZonedDateTime)
    return value.local


_ZONED: Final = (
    *_date_rows("ZonedDateTime", lambda value: _local(value).day),
    *_time_rows("ZonedDateTime", _time),
    *_text_rows("ZonedDateTime"),
    *_shift_rows("ZonedDateTime", tuple((unit, _in_zone(move)) for unit, move in _LOCAL_SHIFTS)),
    _now("ZonedDateTime", "now", "", "ZonedDateTime", lambda now: _zoned_now(now, UTC_ZONE)),
    _now("ZonedDateTime", "now", "ZoneId", "ZonedDateTime", lambda zone, now: _zoned_now(now, zone)),
    _static("ZonedDateTime", "parse", "CharSequence", "ZonedDateTime", parse_zoned),
    _static("ZonedDateTime", "of", "LocalDateTime ZoneId", "ZonedDateTime", ZonedDateTime),
    _row("ZonedDateTime", "toLocalDate", "", "LocalDate", lambda value: LocalDate(value.local.day)),
    _row("ZonedDateTime", "toLocalDateTime", "", "LocalDateTime", _local),
    _row("ZonedDateTime", "toLocalTime", "", "LocalTime", _time),
    _row("ZonedDateTime", "withZoneSameInstant", "ZoneId", "ZonedDateTime", _same_instant),
    _row("ZonedDateTime", "withZoneSameLocal", "ZoneId", "ZonedDateTime", lambda v, zone: ZonedDateTime(v.local, zone)),
    _row("ZonedDateTime", "getZone", "", "ZoneId", lambda value: value.zone),
    _row("ZonedDateTime", "getOffset", "", "ZoneOffset", lambda value: parse_zone(value.zone.offset_name)),
    _property("ZonedDateTime", "toEpochSecond", "long", lambda value: value.epoch_nanos // SECOND_NANOS),
    _property("ZonedDateTime", "toInstant", "Instant", lambda value: Instant(value.epoch_nanos)),
)

_OTHER: Final = (
    Row(
        "LocalTime", "now", (), "LocalTime", lambda now: _local_now(now, UTC_ZONE).time, "as a property only",
        static=True, callable=False, reads_now=True,
    ),
    _now("System", "currentTimeMillis", "", "long", lambda now: now),
    _static("DateTimeFormatter", "ofPattern", "String", "DateTimeFormatter", compile_pattern),
    _row("DateTimeFormatter", "format", "TemporalAccessor", "String", format_with),
    _property("DayOfWeek", "getValue", "int", lambda value: Int32(value.ordinal + 1)),
    _property("Month", "getValue", "int", lambda value: Int32(value.ordinal + 1)),
    _property("Instant", "getEpochSecond", "long", lambda value: value.nanos // SECOND_NANOS),
    _property("Instant", "toEpochMilli", "long", lambda value: value.nanos // _MILLI_NANOS),
    _property("ZoneId", "getId", "String", lambda value: value.name),
    _property("ZoneOffset", "getTotalSeconds", "int", lambda value: Int32(value.seconds)),
)

ROWS: Final[tuple[Row, ...]] = (*_DATE, *_LOCAL_DATE, *_LOCAL_DATE_TIME, *_ZONED, *_OTHER)
