"""MCP servers as they are given: what is taken, and what is refused with what to do."""

import pytest

from mcp_acl.gateway.upstreams import GivenError, Upstream, upstreams_of


def one(text: str) -> Upstream:
    (found,) = upstreams_of([text])
    return found


def test_server_with_a_name_is_one_endpoint_under_it() -> None:
    found = one("weather=http://127.0.0.1:3001/mcp")
    assert ("weather", "/weather/mcp", "/mcp") == (found.id, found.public_path, found.path)


def test_server_without_a_name_is_mcp_and_keeps_its_path() -> None:
    found = one("http://127.0.0.1:3001/some/sse")
    assert ("mcp", "/some/sse", "/some/sse") == (found.id, found.public_path, found.path)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://localhost/mcp", "localhost", 80, "localhost"),
        ("https://mcp.example.org/mcp", "mcp.example.org", 443, "mcp.example.org"),
        ("https://mcp.example.org:8443/mcp", "mcp.example.org", 8443, "mcp.example.org:8443"),
        ("http://[::1]:3001/mcp", "::1", 3001, "[::1]:3001"),
        ("http://[::1]/mcp", "::1", 80, "[::1]"),
        ("HTTP://LOCALHOST:3001", "localhost", 3001, "localhost:3001"),
    ],
)
def test_host_and_port_are_those_of_the_url(url: str, host: str, port: int, authority: str) -> None:
    origin = one(url).origin
    assert (host, port, authority) == (origin.host, origin.port, origin.authority)


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.2:1", "http://[::1]:1"])
def test_loopback_is_known(url: str) -> None:
    assert one(url).origin.is_loopback


@pytest.mark.parametrize("url", ["http://example.org:1", "http://10.0.0.1:1", "http://localhost.example.org:1"])
def test_other_hosts_are_not_loopback(url: str) -> None:
    assert not one(url).origin.is_loopback


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no http or https URL"),
        ("localhost:3001", "no http or https URL"),
        ("ftp://localhost/mcp", "no http or https URL"),
        ("weather=", "no http or https URL"),
        ("http://", "names no host"),
        ("http://1.2.3/mcp", "names no host"),
        ("http://0x7f000001.1/", ""),
        ("http://[::1/mcp", "no URL"),
        ("http://[fe80::1%25eth0]/mcp", "names no host"),
        ("http://localhost:0/mcp", "port 0"),
        ("http://localhost:99999/mcp", "no URL"),
        ("http://user:pw@localhost/mcp", "leave out what stands before `@`"),
        ("http://localhost/mcp?key=1", "a query or a fragment"),
        ("http://localhost/mcp?", "a query or a fragment"),
        ("http://localhost/mcp#top", "a query or a fragment"),
        ("http://localhost/a/../mcp", "in more than one way"),
        ("http://localhost/a%2Fmcp", "in more than one way"),
        ("http://localhost/%2e%2e/mcp", "in more than one way"),
        ("http://localhost//mcp", "in more than one way"),
        ("http://localhost/a\\mcp", "in more than one way"),
        ("http://localhost/m cp", "no http or https URL"),
        ("http://loc\x1balhost/mcp", "no http or https URL"),
        ("http://exämple.org/mcp", "no http or https URL"),
        ("we/ather=http://localhost/mcp", "no http or https URL"),
        ("we.ather=http://localhost/mcp", "no name for a server"),
        (".well-known=http://localhost/mcp", "no name for a server"),
        ("=http://localhost/mcp", "no name for a server"),
    ],
)
def test_what_is_no_server_is_refused_with_what_to_do(text: str, says: str) -> None:
    if not says:
        assert one(text)
        return
    with pytest.raises(GivenError, match=r"^--upstream: ") as refused:
        one(text)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ([], "name the MCP server"),
        (["http://localhost:1/a", "http://localhost:2/b"], "two servers are `mcp`"),
        (["a=http://localhost:1/a", "a=http://localhost:2/b"], "two servers are `a`"),
        (["mcp=http://localhost:1/a", "http://localhost:2/b"], "two servers are `mcp`"),
        (["http://localhost:1/a", "b=http://localhost:1/b"], "one of them has no name"),
        (["b=http://localhost:1/b", "http://localhost:1/a"], "one of them has no name"),
        (["a=http://localhost:1/mcp", "b=http://localhost:1/mcp"], "are the same URL"),
    ],
)
def test_servers_of_which_one_would_open_the_other_are_refused(texts: list[str], says: str) -> None:
    with pytest.raises(GivenError, match=r"--upstream: ") as refused:
        upstreams_of(texts)
    assert says in str(refused.value)


def test_servers_at_one_origin_have_a_name_and_a_path_each() -> None:
    assert ["a", "b"] == [one.id for one in upstreams_of(["a=http://localhost:1/a", "b=http://localhost:1/b"])]
