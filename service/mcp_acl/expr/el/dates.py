"""The methods of Java's dates and times, one row each. Now is the request's time, and the default zone is UTC."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, TypeAlias

from mcp_acl.expr.el.comparing import compare_to
from mcp_acl.expr.el.methods import Row, row
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


# ---- java.util.Date ------------------------------------------------------------------------------------------------------


def _calendar(part: Callable[[JavaDate], int]) -> _Run:
    return lambda value: Int32(part(value))


def _no_text(_text: str) -> JavaDate:
    raise EvalError("a date cannot be made of a text here: write `T(java.time.LocalDate).parse(…)`")


_DATE: Final = (
    row("now new Date()", JavaDate),
    row("new Date(long)", JavaDate),
    row("new Date(String)", _no_text),
    row("long Date.getTime()", lambda value: value.millis, "milliseconds since 1970"),
    row("boolean Date.after(Date)", lambda value, other: value > other),
    row("boolean Date.before(Date)", lambda value, other: value < other),
    row("int Date.compareTo(Date)", lambda value, other: Int32(compare_to(value, other))),
    row("Instant Date.toInstant()", lambda value: Instant(value.millis * _MILLI_NANOS)),
    row("int Date.getYear()", _calendar(lambda value: value.moment().year - 1900)),
    row("int Date.getMonth()", _calendar(lambda value: value.moment().month - 1)),
    row("int Date.getDate()", _calendar(lambda value: value.moment().day)),
    row("int Date.getDay()", _calendar(lambda value: value.moment().isoweekday() % 7)),
    row("int Date.getHours()", _calendar(lambda value: value.moment().hour)),
    row("int Date.getMinutes()", _calendar(lambda value: value.moment().minute)),
    row("int Date.getSeconds()", _calendar(lambda value: value.moment().second)),
)


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

    return [row(f"{result} {owner}.{name}()", reader(part)) for name, result, part in _DATE_PARTS]


def _time_rows(owner: str, time_of: Callable[[object], LocalTime], words: str = "") -> list[Row]:
    def reader(index: int) -> _Run:
        return lambda value: Int32(time_of(value).parts[index])

    return [row(f"{words}int {owner}.{name}()", reader(index)) for name, index in _TIME_PARTS]


def _shift_rows(owner: str, units: tuple[tuple[str, _Run], ...]) -> list[Row]:
    """`plusDays`, `minusDays` and their like: each unit with a function that moves a value by so many."""

    def minus(move: _Run) -> _Run:
        return lambda value, count: move(value, -count)

    rows: list[Row] = []
    for unit, move in units:
        rows.append(row(f"{owner} {owner}.plus{unit}(long)", move))
        rows.append(row(f"{owner} {owner}.minus{unit}(long)", minus(move)))
    return rows


def _order_rows(owner: str, other: str) -> list[Row]:
    return [
        row(f"boolean {owner}.isAfter({other})", lambda value, against: compare_to(value, against) > 0),
        row(f"boolean {owner}.isBefore({other})", lambda value, against: compare_to(value, against) < 0),
        row(f"boolean {owner}.isEqual({other})", lambda value, against: compare_to(value, against) == 0),
    ]


def _text_rows(owner: str) -> list[Row]:
    return [
        row(f"String {owner}.toString()", java_text),
        row(f"String {owner}.format(DateTimeFormatter)", lambda value, pattern: format_with(pattern, value)),
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
    row("static now LocalDate LocalDate.now()", lambda now: LocalDate(_local_now(now, UTC_ZONE).day)),
    row("static now LocalDate LocalDate.now(ZoneId)", lambda zone, now: LocalDate(_local_now(now, zone).day)),
    row("static LocalDate LocalDate.of(int, int, int)", lambda y, m, d: LocalDate(new_date(y, m, d))),
    row("static LocalDate LocalDate.of(int, Month, int)", lambda y, m, d: LocalDate(new_date(y, m.ordinal + 1, d))),
    row("static LocalDate LocalDate.ofEpochDay(long)", lambda days: LocalDate(day_at(days))),
    row("static LocalDate LocalDate.parse(CharSequence)", parse_date),
    row("static LocalDate LocalDate.parse(CharSequence, DateTimeFormatter)", read_date),
    row("boolean LocalDate.isLeapYear()", lambda value: is_leap(value.day.year)),
    row("int LocalDate.lengthOfMonth()", lambda value: Int32(month_length(value.day.year, value.day.month))),
    row("int LocalDate.lengthOfYear()", lambda value: Int32(365 + is_leap(value.day.year))),
    row("long LocalDate.toEpochDay()", lambda value: epoch_day(value.day)),
    row("int LocalDate.compareTo(ChronoLocalDate)", lambda value, other: _distance(value.day, other.day)),
    row("LocalDateTime LocalDate.atStartOfDay()", lambda value: LocalDateTime(value.day, LocalTime(0))),
    row("LocalDateTime LocalDate.atTime(int, int)", lambda v, *parts: LocalDateTime(v.day, new_time(*parts))),
    row("LocalDateTime LocalDate.atTime(int, int, int)", lambda v, *parts: LocalDateTime(v.day, new_time(*parts))),
    *(
        row(f"LocalDate LocalDate.with{part}(int)", run)
        for part, run in (
            ("Year", lambda value, year: LocalDate(_moved_months(value.day, (year - value.day.year) * 12))),
            ("Month", lambda value, month: LocalDate(_with_month(value.day, month))),
            ("DayOfMonth", lambda value, day: LocalDate(new_date(value.day.year, value.day.month, day))),
        )
    ),
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
    row("static now LocalDateTime LocalDateTime.now()", lambda now: _local_now(now, UTC_ZONE)),
    row("static now LocalDateTime LocalDateTime.now(ZoneId)", lambda zone, now: _local_now(now, zone)),
    *(row(f"static LocalDateTime LocalDateTime.of({' '.join(['int'] * count)})", _date_time) for count in (5, 6, 7)),
    *(row(f"static LocalDateTime LocalDateTime.of(int Month{' int' * count})", _of_month) for count in (3, 4, 5)),
    row("static LocalDateTime LocalDateTime.parse(CharSequence)", parse_date_time),
    row("static LocalDateTime LocalDateTime.parse(CharSequence, DateTimeFormatter)", read_date_time),
    row("int LocalDateTime.compareTo(ChronoLocalDateTime)", _compare_local),
    row("LocalDate LocalDateTime.toLocalDate()", lambda value: LocalDate(value.day)),
    row("LocalTime LocalDateTime.toLocalTime()", _time),
    row("ZonedDateTime LocalDateTime.atZone(ZoneId)", ZonedDateTime),
    *_time_rows("LocalTime", _time, "property "),
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
    row("static now ZonedDateTime ZonedDateTime.now()", lambda now: _zoned_now(now, UTC_ZONE)),
    row("static now ZonedDateTime ZonedDateTime.now(ZoneId)", lambda zone, now: _zoned_now(now, zone)),
    row("static ZonedDateTime ZonedDateTime.parse(CharSequence)", parse_zoned),
    row("static ZonedDateTime ZonedDateTime.of(LocalDateTime, ZoneId)", ZonedDateTime),
    row("LocalDate ZonedDateTime.toLocalDate()", lambda value: LocalDate(value.local.day)),
    row("LocalDateTime ZonedDateTime.toLocalDateTime()", _local),
    row("LocalTime ZonedDateTime.toLocalTime()", _time),
    row("ZonedDateTime ZonedDateTime.withZoneSameInstant(ZoneId)", _same_instant),
    row("ZonedDateTime ZonedDateTime.withZoneSameLocal(ZoneId)", lambda v, zone: ZonedDateTime(v.local, zone)),
    row("ZoneId ZonedDateTime.getZone()", lambda value: value.zone),
    row("ZoneOffset ZonedDateTime.getOffset()", lambda value: parse_zone(value.zone.offset_name)),
    row("property long ZonedDateTime.toEpochSecond()", lambda value: value.epoch_nanos // SECOND_NANOS),
    row("property Instant ZonedDateTime.toInstant()", lambda value: Instant(value.epoch_nanos)),
)

_OTHER: Final = (
    row("static now property LocalTime LocalTime.now()", lambda now: _local_now(now, UTC_ZONE).time),
    row("static now long System.currentTimeMillis()", lambda now: now),
    row("static DateTimeFormatter DateTimeFormatter.ofPattern(String)", compile_pattern),
    row("String DateTimeFormatter.format(TemporalAccessor)", format_with),
    row("property int DayOfWeek.getValue()", lambda value: Int32(value.ordinal + 1)),
    row("property int Month.getValue()", lambda value: Int32(value.ordinal + 1)),
    row("property long Instant.getEpochSecond()", lambda value: value.nanos // SECOND_NANOS),
    row("property long Instant.toEpochMilli()", lambda value: value.nanos // _MILLI_NANOS),
    row("property String ZoneId.getId()", lambda value: value.name),
    row("property int ZoneOffset.getTotalSeconds()", lambda value: Int32(value.seconds)),
)

ROWS: Final[tuple[Row, ...]] = (*_DATE, *_LOCAL_DATE, *_LOCAL_DATE_TIME, *_ZONED, *_OTHER)
