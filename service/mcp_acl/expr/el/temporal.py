"""Dates and times: the `java.util.Date` and `java.time` values an expression may hold, exact to the nanosecond.

Knows no methods and no clock. Years are 1 to 9999 and zones are UTC or fixed offsets: anything else is an error,
because the rules of a region are data that lies outside a policy.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mcp_acl.expr.el.values import shown
from mcp_acl.problems import EvalError

DAY_NANOS: Final = 86_400_000_000_000
SECOND_NANOS: Final = 1_000_000_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_GREGORIAN_MILLIS: Final = -12_219_292_800_000
"""1582-10-15, when a `java.util.Date` changes from Julius's calendar to Gregory's."""

DAYS: Final = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
MONTHS: Final = tuple("JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER".split())


@dataclass(frozen=True, slots=True, order=True)
class JavaDate:
    """A `java.util.Date`: milliseconds since 1970, UTC."""

    millis: int

    def moment(self) -> datetime:
        """The same moment, for its calendar fields in UTC; before 1582 Java's calendar is another."""
        if self.millis < _GREGORIAN_MILLIS:
            raise EvalError("before 1582-10-15 a `Date` has another calendar in Java")
        try:
            return _EPOCH + timedelta(milliseconds=self.millis)
        except OverflowError:
            raise out_of_range() from None

    def __str__(self) -> str:
        moment = self.moment()
        day, month = DAYS[moment.weekday()][:3].title(), MONTHS[moment.month - 1][:3].title()
        return f"{day} {month} {moment:%d %H:%M:%S} UTC {moment.year}"


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A `java.time.Instant`: nanoseconds since 1970, UTC."""

    nanos: int

    def __str__(self) -> str:
        local = local_at(self.nanos, UTC_OFFSET)
        return f"{local.day.isoformat()}T{local.time.with_seconds()}Z"


@dataclass(frozen=True, slots=True, order=True)
class LocalDate:
    """A date without a zone."""

    day: date

    def __str__(self) -> str:
        return self.day.isoformat()


@dataclass(frozen=True, slots=True, order=True)
class LocalTime:
    """A time of day, in nanoseconds since midnight."""

    nanos: int

    @property
    def parts(self) -> tuple[int, int, int, int]:
        """Hour, minute, second, nanosecond."""
        seconds, nano = divmod(self.nanos, SECOND_NANOS)
        return seconds // 3600, seconds // 60 % 60, seconds % 60, nano

    def with_seconds(self) -> str:
        """The time to the second, and a fraction of 3, 6 or 9 digits if there is one."""
        hour, minute, second, nano = self.parts
        text = f"{hour:02}:{minute:02}:{second:02}"
        if not nano:
            return text
        digits = f"{nano:09}"
        while digits.endswith("000"):
            digits = digits.removesuffix("000")
        return f"{text}.{digits}"

    def __str__(self) -> str:
        whole_minute = self.nanos % (60 * SECOND_NANOS) == 0
        return self.with_seconds().removesuffix(":00") if whole_minute else self.with_seconds()


@dataclass(frozen=True, slots=True, order=True)
class LocalDateTime:
    """A date and time without a zone."""

    day: date
    time: LocalTime

    def __str__(self) -> str:
        return f"{self.day.isoformat()}T{self.time}"


@dataclass(frozen=True, slots=True)
class ZoneOffset:
    """A zone with a fixed offset from UTC: an offset proper (`Z`, `+01:00`), or a name for one (`UTC`, `GMT+1`)."""

    seconds: int
    name: str

    @property
    def offset_name(self) -> str:
        """The offset alone, as Java writes it."""
        if self.seconds == 0:
            return "Z"
        sign, rest = ("-", -self.seconds) if self.seconds < 0 else ("+", self.seconds)
        text = f"{sign}{rest // 3600:02}:{rest // 60 % 60:02}"
        return f"{text}:{rest % 60:02}" if rest % 60 else text

    def __str__(self) -> str:
        return self.name


UTC_OFFSET: Final = ZoneOffset(0, "Z")
UTC_ZONE: Final = ZoneOffset(0, "UTC")


@dataclass(frozen=True, slots=True)
class ZonedDateTime:
    """A date and time in a zone."""

    local: LocalDateTime
    zone: ZoneOffset

    @property
    def epoch_nanos(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return epoch_nanos(self.local) - self.zone.seconds * SECOND_NANOS

    def __lt__(self, other: "ZonedDateTime") -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[int, LocalDateTime, str]:
        return self.epoch_nanos, self.local, self.zone.name

    def __str__(self) -> str:
        text = f"{self.local}{self.zone.offset_name}"
        return text if self.zone.name == self.zone.offset_name else f"{text}[{self.zone.name}]"


@dataclass(frozen=True, slots=True, eq=False)
class DateTimePattern:
    """A `DateTimeFormatter`: its fields, each a letter and how often it stands, or a literal text.

    One that is not `strict` reads the days up to 31 that a month does not have as its last.
    """

    fields: tuple[tuple[str, int], ...]
    strict: bool = False


def out_of_range() -> EvalError:
    """A date Java can hold and this engine cannot."""
    return EvalError("the date is out of range (years 1 to 9999)")


def epoch_day(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _EPOCH_DAY


def day_at(days: int) -> date:
    """The date so many days after 1970-01-01."""
    try:
        return date.fromordinal(days + _EPOCH_DAY)
    except (ValueError, OverflowError):
        raise out_of_range() from None


def new_date(year: int, month: int, day: int) -> date:
    """A date, or an error if there is no such day."""
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        raise EvalError(f"no such date: `{year:04}-{month:02}-{day:02}`") from None


def new_time(hour: int, minute: int, second: int = 0, nano: int = 0) -> LocalTime:
    """A time of day, or an error if a part is out of range."""
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60 and 0 <= nano < SECOND_NANOS):
        shown = f"{hour:02}:{minute:02}:{second:02}".removesuffix(":00")
        raise EvalError(f"no such time: `{shown}`")
    return LocalTime((hour * 3600 + minute * 60 + second) * SECOND_NANOS + nano)


def epoch_nanos(local: LocalDateTime) -> int:
    """Nanoseconds since 1970 as if the time were UTC."""
    return epoch_day(local.day) * DAY_NANOS + local.time.nanos


def local_at(nanos: int, zone: ZoneOffset) -> LocalDateTime:
    """The local time in a zone, from nanoseconds since 1970, UTC."""
    days, rest = divmod(nanos + zone.seconds * SECOND_NANOS, DAY_NANOS)
    return LocalDateTime(day_at(days), LocalTime(rest))


def plus_months(day: date, months: int) -> date:
    """The same day so many months later, the last day of the month if there is no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise out_of_range()
    return date(year, month + 1, min(day.day, month_length(year, month + 1)))


def month_length(year: int, month: int) -> int:
    """How many days the month has."""
    if month == 2:
        return 29 if is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def is_leap(year: int) -> bool:
    """Whether the year has 366 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


# ---- texts -----------------------------------------------------------------------------------------------------------

_DATE: Final = r"(\d{4})-(\d\d)-(\d\d)"
_TIME: Final = r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
_LOCAL_DATE: Final = re.compile(_DATE, re.ASCII)
_LOCAL_DATE_TIME: Final = re.compile(_DATE + "[Tt]" + _TIME, re.ASCII)
_ZONED: Final = re.compile(_DATE + "[Tt]" + _TIME + r"([Zz]|[+-]\d\d(?::\d\d(?::\d\d)?)?)(?:\[([^\]]*)\])?", re.ASCII)
_OFFSET: Final = re.compile(r"([+-])(\d|\d\d(?:(:?)(\d\d)(?:\3(\d\d))?)?)", re.ASCII)


def _unreadable(text: str) -> EvalError:
    return EvalError(f"`{shown(text)}` is no date or time in the expected form")


def parse_date(text: str) -> LocalDate:
    """`2020-01-31`."""
    match = _LOCAL_DATE.fullmatch(text)
    if match is None:
        raise _unreadable(text)
    return LocalDate(new_date(*(int(part) for part in match.groups())))


def parse_date_time(text: str) -> LocalDateTime:
    """`2020-01-31T12:30`, with seconds and a fraction if wanted."""
    match = _LOCAL_DATE_TIME.fullmatch(text)
    if match is None:
        raise _unreadable(text)
    return _date_time(match)


def _date_time(match: re.Match[str]) -> LocalDateTime:
    year, month, day, hour, minute, second, fraction = match.groups()[:7]
    nano = int(f"{fraction:0<9}") if fraction else 0
    time = new_time(int(hour), int(minute), int(second or 0), nano)
    return LocalDateTime(new_date(int(year), int(month), int(day)), time)


def parse_zoned(text: str) -> ZonedDateTime:
    """`2020-01-31T12:30:00+01:00`, with a zone in brackets if wanted."""
    match = _ZONED.fullmatch(text)
    if match is None:
        raise _unreadable(text)
    offset, name = match.group(8), match.group(9)
    zone = parse_zone(offset.upper())
    if name is None:
        return ZonedDateTime(_date_time(match), zone)
    moment = epoch_nanos(_date_time(match)) - zone.seconds * SECOND_NANOS
    named = parse_zone(name)
    return ZonedDateTime(local_at(moment, named), named)


def parse_zone(text: str) -> ZoneOffset:
    """`Z`, `UTC`, `GMT`, `UT`, `+01:00`, `UTC+1`; a region is an error."""
    if text in ("Z", "UTC", "GMT", "UT"):
        return ZoneOffset(0, text)
    prefix = next((one for one in ("UTC", "GMT", "UT") if text.startswith(one)), "")
    match = _OFFSET.fullmatch(text.removeprefix(prefix))
    if match is None:
        raise EvalError(f"zone `{shown(text)}` is not supported: write UTC or an offset such as `+01:00`")
    sign, written, _, minutes, seconds = match.groups()
    size = int(written[:2]) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    if size > 18 * 3600 or int(minutes or 0) > 59 or int(seconds or 0) > 59:
        raise EvalError(f"no such zone offset: `{shown(text)}`")
    zone = ZoneOffset(-size if sign == "-" else size, "")
    return ZoneOffset(zone.seconds, prefix + (zone.offset_name if zone.seconds or not prefix else ""))
