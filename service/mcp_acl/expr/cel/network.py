"""IP addresses and networks (the CEL network extension, after Kubernetes): `ip`, `cidr` and what can be asked of them.

Zones are refused. An IPv4 address in IPv6 form (`::ffff:c0a8:1`) is that IPv4 address, so no second spelling gets past
a network; the dotted form of it is refused.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

from mcp_acl.expr.cel.rows import Row, Style, overloaded
from mcp_acl.expr.cel.values import Cidr
from mcp_acl.expr.nodes import Type
from mcp_acl.problems import EvalError

_Address: TypeAlias = "IPv4Address | IPv6Address"
_PREFIX: Final = re.compile(r"0|[1-9][0-9]{0,2}")
_LONGEST: Final = 49
_BROADCAST: Final = IPv4Address("255.255.255.255")


def _parse_ip(text: str) -> _Address:
    if len(text) > _LONGEST or "%" in text or (":" in text and "." in text):
        raise EvalError(f"not an IP address: `{text[:50]}`")
    try:
        address = ip_address(text)
    except ValueError:
        raise EvalError(f"not an IP address: `{text[:50]}`") from None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _parse_cidr(text: str) -> Cidr:
    host, slash, prefix = text.partition("/")
    if not slash or _PREFIX.fullmatch(prefix) is None:
        raise EvalError(f"not a network: `{text[:50]}`")
    address = _parse_ip(host)
    if int(prefix) > address.max_prefixlen or (":" in host and address.version == 4):
        raise EvalError(f"not a network: `{text[:50]}`")
    return Cidr(address, int(prefix))


def _is(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def run(text: str) -> bool:
        try:
            parse(text)
        except EvalError:
            return False
        return True

    return run


def cidr_text(network: Cidr) -> str:
    """Address and prefix length."""
    return f"{network.address}/{network.prefix}"


def _bits(network: Cidr, address: _Address) -> int:
    """The bits of an address that count in a network."""
    return int(address) >> (address.max_prefixlen - network.prefix)


def _holds(network: Cidr, address: _Address) -> bool:
    return network.address.version == address.version and _bits(network, network.address) == _bits(network, address)


def _holds_network(network: Cidr, other: Cidr) -> bool:
    return network.prefix <= other.prefix and _holds(network, other.address)


def _masked(network: Cidr) -> Cidr:
    shift = network.address.max_prefixlen - network.prefix
    return Cidr(type(network.address)(int(network.address) >> shift << shift), network.prefix)


def _is_global_unicast(address: _Address) -> bool:
    """As Go's `IsGlobalUnicast`: private addresses are, multicast, loopback, link-local, `0.0.0.0` and broadcast not."""
    local = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not local and address != _BROADCAST


def _is_link_local_multicast(address: _Address) -> bool:
    if isinstance(address, IPv6Address):
        return address.packed[0] == 0xFF and address.packed[1] & 0x0F == 0x02
    return address.packed[:3] == b"\xe0\x00\x00"


def _of_ip(name: str, meaning: str, example: str, run: Callable[[_Address], object], result: Type = Type.BOOL) -> Row:
    doc = f"ip.{name}() -> {result.value}\n{meaning}\n{example}"
    return overloaded(name, Style.METHOD, result, doc, {(IPv4Address,): run})


NETWORK_FUNCTIONS: Final[tuple[Row, ...]] = (
    overloaded(
        "ip",
        Style.GLOBAL,
        Type.OTHER,
        "ip(string) -> ip\nan IPv4 or IPv6 address\nip('10.0.0.1') == ip('::ffff:a00:1')",
        {(str,): _parse_ip, (IPv4Address,): lambda address: address},
    ),
    overloaded(
        "isIP",
        Style.GLOBAL,
        Type.BOOL,
        "isIP(string) -> bool\nwhether `ip` takes the string\nisIP('10.0.0.1') && !isIP('10.0.0')",
        {(str,): _is(_parse_ip)},
    ),
    overloaded(
        "ip.isCanonical",
        Style.GLOBAL,
        Type.BOOL,
        "ip.isCanonical(string) -> bool\n"
        "whether an address is written as RFC 5952 wants it; an error if it is none\n"
        "ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1')",
        {(str,): lambda text: str(_parse_ip(text)) == text},
    ),
    overloaded(
        "cidr",
        Style.GLOBAL,
        Type.OTHER,
        "cidr(string) -> cidr\na network\ncidr('10.0.0.0/8').prefixLength() == 8",
        {(str,): _parse_cidr, (Cidr,): lambda network: network},
    ),
    overloaded(
        "isCIDR",
        Style.GLOBAL,
        Type.BOOL,
        "isCIDR(string) -> bool\nwhether `cidr` takes the string\nisCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33')",
        {(str,): _is(_parse_cidr)},
    ),
    _of_ip("family", "4 or 6", "ip('::1').family() == 6", lambda address: address.version, Type.INT),
    _of_ip(
        "isUnspecified",
        "whether it is `0.0.0.0` or `::`",
        "ip('::').isUnspecified()",
        lambda address: address.is_unspecified,
    ),
    _of_ip(
        "isLoopback",
        "whether it is the host itself",
        "ip('127.0.0.1').isLoopback()",
        lambda address: address.is_loopback,
    ),
    _of_ip(
        "isGlobalUnicast",
        "whether it is one host's, beyond the local link; private addresses are",
        "ip('10.0.0.1').isGlobalUnicast() && !ip('224.0.0.1').isGlobalUnicast()",
        _is_global_unicast,
    ),
    _of_ip(
        "isLinkLocalUnicast",
        "whether it is one host's on the local link",
        "ip('169.254.169.254').isLinkLocalUnicast()",
        lambda address: address.is_link_local,
    ),
    _of_ip(
        "isLinkLocalMulticast",
        "whether it is multicast on the local link",
        "ip('ff02::1').isLinkLocalMulticast()",
        _is_link_local_multicast,
    ),
    overloaded(
        "containsIP",
        Style.METHOD,
        Type.BOOL,
        "cidr.containsIP(ip | string) -> bool\n"
        "whether the network holds the address\n"
        "cidr('10.0.0.0/8').containsIP('10.1.2.3')",
        {(Cidr, IPv4Address): _holds, (Cidr, str): lambda network, text: _holds(network, _parse_ip(text))},
    ),
    overloaded(
        "containsCIDR",
        Style.METHOD,
        Type.BOOL,
        "cidr.containsCIDR(cidr | string) -> bool\n"
        "whether the network holds all of another\n"
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        {(Cidr, Cidr): _holds_network, (Cidr, str): lambda one, text: _holds_network(one, _parse_cidr(text))},
    ),
    overloaded(
        "ip",
        Style.METHOD,
        Type.OTHER,
        "cidr.ip() -> ip\nthe network's address\ncidr('10.0.0.1/8').ip() == ip('10.0.0.1')",
        {(Cidr,): lambda network: network.address},
    ),
    overloaded(
        "masked",
        Style.METHOD,
        Type.OTHER,
        "cidr.masked() -> cidr\nthe network without host bits\ncidr('10.0.0.1/8').masked() == cidr('10.0.0.0/8')",
        {(Cidr,): _masked},
    ),
    overloaded(
        "isMask",
        Style.METHOD,
        Type.BOOL,
        "cidr.isMask() -> bool\nwhether it has no host bits\ncidr('10.0.0.0/8').isMask()",
        {(Cidr,): lambda network: network == _masked(network)},
    ),
    overloaded(
        "prefixLength",
        Style.METHOD,
        Type.INT,
        "cidr.prefixLength() -> int\nhow many leading bits count\ncidr('10.0.0.0/8').prefixLength() == 8",
        {(Cidr,): lambda network: network.prefix},
    ),
)
