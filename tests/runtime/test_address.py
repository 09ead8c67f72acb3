"""Addresses to listen on: what they mean, and that others are kept out unless someone insists."""

import sys

import pytest

from mcp_acl.runtime.address import Address, AddressError, parse_address, worker_addresses

LONGEST = 107 if sys.platform == "linux" else 103


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9191", "127.0.0.1", 9191),
        ("127.8.9.10:0", "127.8.9.10", 0),
        ("localhost:65535", "localhost", 65535),
        ("[::1]:1", "::1", 1),
        ("[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1),
        ("unix:/run/x.sock", "", 0),
    ],
)
def test_local_address_is_read(text: str, host: str, port: int) -> None:
    assert Address(text, host, port, is_local=True) == parse_address(text)


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0:9191", "[::]:9191", "10.0.0.1:1", "[::ffff:10.0.0.1]:1", "example.org:443", "127.0.0.1.example.org:1"],
)
def test_address_that_others_reach_needs_insistence(text: str) -> None:
    with pytest.raises(AddressError, match="--insecure"):
        parse_address(text)
    assert not parse_address(text, insecure=True).is_local


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not `host:port`"),
        ("9191", "not `host:port`"),
        (":9191", "not `host:port`"),
        ("[]:9191", "not `host:port`"),
        ("127.0.0.1", "not `host:port`"),
        ("127.0.0.1:", "not a port"),
        ("127.0.0.1:65536", "not a port"),
        ("127.0.0.1:-1", "not a port"),
        ("127.0.0.1:²", "not a port"),
        ("127.0.0.1:" + 5000 * "9", "`9{20}` is not a port"),
        ("localhost:http", "not a port"),
        ("::1:9191", "ambiguous"),
        ("[127.0.0.1]:0", "no IPv6 address in brackets"),
        ("[localhost]:0", "no IPv6 address in brackets"),
        ("127.0.0.1]:0", "no IPv6 address in brackets"),
        ("[127.0.0.1:0", "no IPv6 address in brackets"),
        ("[::1:0", "no IPv6 address in brackets"),
        ("[[::1]]:0", "no IPv6 address in brackets"),
        ("unix:", "names no file"),
        ("unix://run/x.sock", "names no file"),
        ("unix:/" + LONGEST * "x", f"at most {LONGEST} bytes"),
        ("unix:/a" + LONGEST // 2 * "é", f"at most {LONGEST} bytes"),
    ],
)
def test_what_is_no_address_is_refused_and_says_why(text: str, why: str) -> None:
    with pytest.raises(AddressError, match=why):
        parse_address(text, insecure=True)


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("unix:/run/x.sock", "/run/x.sock"),
        ("unix:x.sock", "x.sock"),
        ("unix:a%20 b?#.sock", "a%20 b?#.sock"),
        ("unix:/" + (LONGEST - 1) * "x", "/" + (LONGEST - 1) * "x"),
        ("127.0.0.1:0", ""),
    ],
)
def test_socket_file_is_the_path_as_it_is(text: str, file: str) -> None:
    assert file == parse_address(text).file


def test_address_that_others_reach_is_fine_with_tls() -> None:
    assert not parse_address("0.0.0.0:9191", encrypted=True).is_local


@pytest.mark.parametrize(
    ("text", "workers", "addresses"),
    [
        ("127.0.0.1:9191", 1, ("127.0.0.1:9191",)),
        ("127.0.0.1:9191", 3, ("127.0.0.1:9191", "127.0.0.1:9192", "127.0.0.1:9193")),
        ("[::1]:9199", 2, ("[::1]:9199", "[::1]:9200")),
        ("localhost:65534", 2, ("localhost:65534", "localhost:65535")),
        ("127.0.0.1:0", 3, ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0")),
        ("unix:/run/x.sock", 1, ("unix:/run/x.sock",)),
        ("unix:/run/x.sock", 2, ("unix:/run/x.sock.0", "unix:/run/x.sock.1")),
    ],
)
def test_each_worker_has_an_address(text: str, workers: int, addresses: tuple[str, ...]) -> None:
    assert addresses == worker_addresses(text, workers)


@pytest.mark.parametrize(
    ("text", "workers", "why"),
    [
        ("127.0.0.1:65535", 2, "2 workers from port 65535 on need ports to 65536"),
        ("unix:/" + (LONGEST - 3) * "x", 11, f"at most {LONGEST} bytes"),
        ("9191", 2, "not `host:port`"),
    ],
)
def test_workers_without_an_address_are_refused(text: str, workers: int, why: str) -> None:
    with pytest.raises(AddressError, match=why):
        worker_addresses(text, workers)
