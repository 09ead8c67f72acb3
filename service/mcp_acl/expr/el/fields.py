"""The static fields an expression may read: Spring reads any public one, these are the ones kept."""

import math
from collections.abc import Mapping
from typing import Final

from mcp_acl.expr.el.arithmetic import INT_MAX, INT_MIN, LONG_MAX, LONG_MIN
from mcp_acl.expr.el.patterns import BASIC_DATE, ISO_DATE, ISO_DATE_TIME, ISO_TIME
from mcp_acl.expr.el.temporal import DAYS, MONTHS, UTC_OFFSET, LocalDate, day_at
from mcp_acl.expr.el.values import BigDecimal, EnumConstant, Int32, JFloat

STATIC_FIELDS: Final[Mapping[tuple[str, str], object]] = {
    ("Boolean", "TRUE"): True,
    ("Boolean", "FALSE"): False,
    ("Math", "PI"): math.pi,
    ("Math", "E"): math.e,
    ("Integer", "MAX_VALUE"): Int32(INT_MAX),
    ("Integer", "MIN_VALUE"): Int32(INT_MIN),
    ("Long", "MAX_VALUE"): LONG_MAX,
    ("Long", "MIN_VALUE"): LONG_MIN,
    ("Double", "MAX_VALUE"): 1.7976931348623157e308,
    ("Double", "MIN_VALUE"): 5e-324,
    ("Double", "POSITIVE_INFINITY"): math.inf,
    ("Double", "NEGATIVE_INFINITY"): -math.inf,
    ("Double", "NaN"): math.nan,
    ("Float", "NaN"): JFloat(math.nan),
    ("BigDecimal", "ZERO"): BigDecimal(0, 0),
    ("BigDecimal", "ONE"): BigDecimal(1, 0),
    ("BigDecimal", "TEN"): BigDecimal(10, 0),
    ("LocalDate", "EPOCH"): LocalDate(day_at(0)),
    ("ZoneOffset", "UTC"): UTC_OFFSET,
    ("DateTimeFormatter", "ISO_LOCAL_DATE"): ISO_DATE,
    ("DateTimeFormatter", "ISO_LOCAL_TIME"): ISO_TIME,
    ("DateTimeFormatter", "ISO_LOCAL_DATE_TIME"): ISO_DATE_TIME,
    ("DateTimeFormatter", "BASIC_ISO_DATE"): BASIC_DATE,
    **{("DayOfWeek", name): EnumConstant("DayOfWeek", name, place) for place, name in enumerate(DAYS)},
    **{("Month", name): EnumConstant("Month", name, place) for place, name in enumerate(MONTHS)},
}
"""By class (short name) and field."""
