"""Header blocks: the same bytes again and again, which mean the same to a peer of any table."""

import hpack
import pytest

from mcp_acl.bench.header_blocks import Headers, Read, Written

SETS: list[Headers] = [
    [(":method", "POST"), (":path", "/a/b"), ("x-tenant", "acme")],
    [("a", "x" * 60), ("b", "y"), ("a", "x" * 61), ("b", "y"), ("c", "z")],
    # With a table of 134 bytes each block would be another one for ever.
    [("a", "z" * 5), ("a", "z" * 20), ("a", "z" * 5), ("c", "z" * 40), ("a", "z" * 5), ("a", "z" * 40)],
]


def decoded(peer: hpack.Decoder, block: bytes) -> Headers:
    return [(str(name), str(value)) for name, value in peer.decode(block)]


@pytest.mark.parametrize("headers", SETS)
def test_blocks_mean_the_same_whatever_table_the_peer_keeps(headers: Headers) -> None:
    for size in [*range(300), 4096, 100_000]:
        peer = hpack.Decoder()
        peer.max_allowed_table_size = size
        written = Written(headers)
        written.resize(size)
        for block in (written.first, *[written.again] * 5):
            assert decoded(peer, block) == headers


def test_a_table_may_change_between_blocks() -> None:
    headers, peer = SETS[0], hpack.Decoder()
    written = Written(headers)
    assert decoded(peer, written.first) == headers
    for size in (100, 4096, 0, 50, 4096):
        peer.max_allowed_table_size = size
        assert written.resize(size)
        for block in (written.first, written.again, written.again):
            assert decoded(peer, block) == headers
    assert not written.resize(5000)


def test_blocks_that_depend_on_others_are_read_for_what_they_mean_then() -> None:
    read: Read[str] = Read(str)
    peer = hpack.Encoder()
    for value in ("one", "two", "one", "two", "three"):
        for _ in range(3):
            assert read.meaning(peer.encode([("status", value)])) == str([("status", value)])
    peer.header_table_size = 0
    for value in ("one", "two", "one", "one"):
        assert read.meaning(peer.encode([("status", value)])) == str([("status", value)])
