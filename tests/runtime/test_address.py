"""Addresses to listen on: what they mean, and that others are kept out unless someone insists."""

import pytest

from mcp_acl.runtime.address import Address, AddressError, parse_address


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
    "text",
    [
        "",
        "9191",
        ":9191",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:²",
        "::1:9191",
        "unix:",
        "localhost:http",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text, insecure=True)
