"""Latencies as HdrHistogram keeps them: few bytes for any number of them, to three digits. Knows nothing of how they were measured.

The values of a histogram are ns, to a minute; what is longer counts as a minute. What is said of it is µs.
"""

import base64
import binascii
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from mcp_acl.bench.results import Latency, ResultsError

_LONGEST: Final = 60_000_000_000
_DIGITS: Final = 3
_BITS: Final = 12
"""Leading bits of a value that can make a difference: three digits are eleven."""
_QUANTILES: Final = (50.0, 90.0, 99.0, 99.9)
_MICROSECOND: Final = 1000.0
_BEFORE: Final = 8
_PAYLOAD: Final = struct.Struct(">12xIQQ8x")
"""Bytes before what is packed; the beginning of that: digits, the least and the greatest value (HdrHistogram, V2)."""
_LARGEST: Final = 1024 * 1024
"""Bytes that are unpacked of one: four times what any of ours has."""


def latency_of(nanoseconds: Iterable[int]) -> Latency:
    """How long answers took."""
    made = _empty()
    # Recorded once for each bucket, for one value costs more than a µs.
    for value, count in Counter(map(_rounded, nanoseconds)).items():
        made.record_value(value, count)
    return _latency(made)


def merged(encoded: Iterable[str]) -> Latency:
    """One latency of several histograms. Raises ResultsError for one that cannot be read."""
    made = _empty()
    for text in encoded:
        made.add(_decoded(text))
    return _latency(made)


def percentiles(encoded: str, wanted: Sequence[float]) -> list[float]:
    """µs at each percentage (0 to 100). Raises ResultsError for a histogram that cannot be read."""
    return _percentiles(_decoded(encoded), wanted)


def _empty() -> HdrHistogram:
    return HdrHistogram(1, _LONGEST, _DIGITS)


def _rounded(value: int) -> int:
    if value > _LONGEST:
        return _LONGEST
    drop = value.bit_length() - _BITS
    return value >> drop << drop if drop > 0 else max(value, 0)


def _check(text: str) -> None:
    """Raises ValueError for what no run has written, before it takes memory."""
    found = zlib.decompressobj().decompress(base64.b64decode(text)[_BEFORE:], _LARGEST + 1)
    if len(found) > _LARGEST:
        raise ValueError("it is too large")
    if len(found) < _PAYLOAD.size or _PAYLOAD.unpack_from(found) != (_DIGITS, 1, _LONGEST):
        raise ValueError("it is not as this program writes it")


def _decoded(text: str) -> HdrHistogram:
    try:
        _check(text)
        return HdrHistogram.decode(text)
    except (HdrCookieException, HdrLengthException, binascii.Error, zlib.error, TypeError, ValueError) as error:
        raise ResultsError(f"a histogram cannot be read: {error}; measure again") from None


def _latency(made: HdrHistogram) -> Latency:
    p50, p90, p99, p999 = _percentiles(made, _QUANTILES)
    return Latency(
        p50=p50,
        p90=p90,
        p99=p99,
        p999=p999,
        max=made.get_max_value() / _MICROSECOND,
        histogram=made.encode().decode(),
    )


def _percentiles(made: HdrHistogram, wanted: Sequence[float]) -> list[float]:
    found = made.get_percentile_to_value_dict(wanted)
    return [found.get(one, 0) / _MICROSECOND for one in wanted]
