"""Histograms: what is said of latencies is true to three digits, and what is kept of them is all that several runs need."""

import base64
import struct
import zlib

import pytest
from hdrh.histogram import HdrHistogram

from mcp_acl.bench.histogram import latency_of, merged, percentiles
from mcp_acl.bench.results import ResultsError


def near(microseconds: float) -> object:
    return pytest.approx(microseconds, rel=2e-3)


def test_percentiles_are_those_of_the_values() -> None:
    found = latency_of(range(1_000, 1_000_001_000, 100_000))
    assert found.p50 == near(500_000)
    assert found.p90 == near(900_000)
    assert found.p99 == near(990_000)
    assert found.p999 == near(999_000)
    assert found.max == near(1_000_000)
    assert found.p50 < found.p90 < found.p99 < found.p999 <= found.max


def test_a_microsecond_is_told_from_the_next() -> None:
    assert [latency_of([value]).p50 for value in (1_000, 2_000)] == [
        pytest.approx(1, abs=0.1),
        pytest.approx(2, abs=0.1),
    ]


def test_what_is_longer_than_a_minute_counts_as_a_minute() -> None:
    assert latency_of([3_600_000_000_000]).max == near(60_000_000)


def test_nothing_has_no_latency() -> None:
    assert latency_of([]).max == 0.0
    assert merged([latency_of([]).histogram, latency_of([5_000]).histogram]).p50 == near(5)
    assert merged([]).p99 == 0.0


def test_a_histogram_says_what_it_was_made_of() -> None:
    found = latency_of([5_000] * 90 + [70_000] * 10)
    assert percentiles(found.histogram, [99.0, 50.0, 100.0]) == [near(70), near(5), near(70)]


def test_histograms_merge_to_that_of_all_values() -> None:
    fast, slow = [*range(10_000, 20_000, 10)], [*range(5_000_000, 6_000_000, 10_000)]
    found = merged([latency_of(fast).histogram, latency_of(slow).histogram])
    assert found == latency_of([*fast, *slow])


@pytest.mark.parametrize("text", ["", "no", "HISTFAAAAAB42pNpmSzMwMDAAMXMQMTCAAEA", "ä", "HISTEwAAAAA"])
def test_a_histogram_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ResultsError, match="cannot be read"):
        merged([text])


def test_a_histogram_takes_no_more_memory_than_any_that_was_measured() -> None:
    packed = zlib.compress(bytes(8 << 20))
    bomb = base64.b64encode(struct.pack(">II", 0x1C849314, len(packed)) + packed).decode()
    with pytest.raises(ResultsError, match="too large"):
        merged([bomb])
    with pytest.raises(ResultsError, match="not as this program writes it"):
        merged([HdrHistogram(1, 2**62, 5).encode().decode()])
