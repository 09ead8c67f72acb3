"""Whether a URI is in canonical form: spelled so that every server takes it for the same resource. Knows no policy.

The rule is RFC 3986 §6.2.2 made strict. A canonical URI is left as it is by the WHATWG URL parser, by an exact comparison and
by parsers that only split at the RFC's delimiters, and no other canonical URI is read as the same resource by one of them. So
spellings that some servers treat as another one are refused: a bare authority of `http`, `scheme:/path` beside
`scheme:///path`, empty segments, fragments (servers drop them or do not), empty queries, user names in web addresses.
Strategy: one pattern accepts what is plainly canonical; whatever else goes through the checks, in order, the first that
objects says why.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address
from typing import Final, NamedTuple
from unicodedata import category, normalize

from mcp_acl.mcp.quoting import quoted

MAX_LENGTH: Final = 8_192
"""Characters of a URI. What HTTP servers take at the least is 8,000 (RFC 9110 §4.1)."""

_MAX_LABEL: Final = 63
"""Characters of a label of a domain name (RFC 1035 §2.3.4)."""

_DEFAULT_PORTS: Final[Mapping[str, str]] = {
    "http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21", "file": "",
}  # fmt: skip
"""The schemes whose host and path the WHATWG URL standard rewrites (§3.1, special schemes)."""

_SEGMENT: Final = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
_PATH: Final = rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?"
_LABEL: Final = r"(?!xn--)[a-z0-9_-]+"
_PLAIN: Final = re.compile(
    rf"file://{_PATH}"
    rf"|https?://(?:{_LABEL}\.)*(?![0-9]){_LABEL}{_PATH}"
    rf"|(?!(?:https?|wss?|ftp|file):)[a-z][a-z0-9+.-]*://(?:[a-z0-9_~-][a-z0-9._~-]*(?:{_PATH})?|{_PATH})"
)
_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_FORBIDDEN: Final = re.compile(r"""[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]""")
_BROKEN_TRIPLET: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LOWER_TRIPLET: Final = re.compile(r"%(?:[a-f]|.[a-f])")
_UNRESERVED_TRIPLET: Final = re.compile(r"%(?:2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])")
_CONTROL_TRIPLET: Final = re.compile(r"%(?:[01].|7F)")
_TRIPLETS: Final = re.compile(r"(?:%[0-9A-F]{2})+")

_DOT: Final = r"(?:\.|%(?:25)*2[Ee])"
_SLASH: Final = r"(?:[/\\]|%(?:25)*(?:2[Ff]|5[Cc]))"
_DOT_SEGMENT: Final = re.compile(rf"(?:^|{_SLASH}){_DOT}{{1,2}}(?:\Z|{_SLASH})")
"""`.` and `..` between slashes or backslashes, each in the clear or encoded any number of times."""

_AUTHORITY: Final = re.compile(r"(?:([^@]*)@)?(\[[^\]]*\]|[^:@\[\]]*)(?::(.*))?", re.DOTALL)
_USER: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,-]|%[0-9A-F]{2})+")
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")
_REG_NAME: Final = re.compile(r"(?:[a-z0-9._~!$&'()*+,;=-]|%[0-9A-F]{2})*")
_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_NUMBER_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_IPV6: Final = re.compile("[0-9a-f:]+")


class _Parts(NamedTuple):
    """The components of RFC 3986 §3; None where the delimiter is missing."""

    uri: str
    scheme: str
    authority: str | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def special(self) -> bool:
        return self.scheme in _DEFAULT_PORTS


def why_too_long(uri: str) -> str:
    """What keeps a URI that is canonical or not from being looked at, or `''`."""
    return f"it is longer than {MAX_LENGTH:,} characters" if len(uri) > MAX_LENGTH else ""


def why_not_canonical(uri: str) -> str:
    """What keeps `uri` from being canonical, in words, or `''`."""
    if too_long := why_too_long(uri):
        return too_long
    if _PLAIN.fullmatch(uri):
        return ""
    match = _PARTS.fullmatch(uri)
    if match is None:
        return "a URI starts with a scheme, as `demo:` does"
    parts = _Parts(uri, *match.groups())
    return next((why for check in _CHECKS if (why := check(parts))), "")


def _characters(parts: _Parts) -> str:
    found = _FORBIDDEN.search(parts.uri)
    return f"{quoted(found[0])} must be written as a percent triplet" if found else ""


def _scheme(parts: _Parts) -> str:
    return "" if parts.scheme == parts.scheme.lower() else f"the scheme {quoted(parts.scheme)} must be lower case"


def _triplets(parts: _Parts) -> str:
    """RFC 3986 §6.2.2.1, §6.2.2.2. What the triplets stand for must be UTF-8, which decoders would otherwise replace."""
    for pattern, why in _TRIPLET_RULES:
        found = pattern.search(parts.uri)
        if found:
            return f"`{parts.uri[found.start() : found.start() + 3]}`: {why}"
    for run in _TRIPLETS.findall(parts.uri):
        try:
            bytes.fromhex(run.replace("%", "")).decode()
        except UnicodeDecodeError:
            return f"the percent triplets {quoted(run)} are not UTF-8"
    return ""


_TRIPLET_RULES: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (_BROKEN_TRIPLET, "a percent sign starts a triplet; write `%25`"),
    (_LOWER_TRIPLET, "a percent triplet must be upper case"),
    (_UNRESERVED_TRIPLET, "a letter, digit, `-`, `.`, `_` or `~` must not be a percent triplet"),
    (_CONTROL_TRIPLET, "a control character must not be in a URI"),
)


def _dot_segments(parts: _Parts) -> str:
    """RFC 3986 §6.2.2.3, also where a server decodes before it splits, and in an authority a server takes for a segment."""
    hierarchy = parts.path if parts.authority is None else f"{parts.authority}{parts.path}"
    return "it holds the segment `.` or `..`" if _DOT_SEGMENT.search(hierarchy) else ""


def _path(parts: _Parts) -> str:
    if "[" in parts.path or "]" in parts.path:
        return "`[` and `]` in a path must be written as percent triplets"
    if parts.authority is None:
        if parts.special or parts.path.startswith("/"):
            return f"`//` must follow `{parts.scheme}:`"
        return "" if parts.path else "it names nothing"
    if "//" in parts.path:
        return "it holds an empty segment"
    if not parts.path and (parts.special or not parts.authority):
        return "its path is missing; write `/`"
    return ""


def _authority(parts: _Parts) -> str:
    if not parts.authority:
        return f"a `{parts.scheme}` URI needs a host" if parts.authority == "" and _needs_host(parts.scheme) else ""
    match = _AUTHORITY.fullmatch(parts.authority)
    if match is None:
        return f"the authority {quoted(parts.authority)} is not a host"
    user, host, port = match.groups()
    return _user(parts, user) or _port(parts, port) or _host(parts, host)


def _needs_host(scheme: str) -> bool:
    return scheme in _DEFAULT_PORTS and scheme != "file"


def _user(parts: _Parts, user: str | None) -> str:
    """A user name before the host is for the scheme to define (RFC 3986 §3.2.1); web addresses have none (RFC 9110 §4.2.4)."""
    if user is None:
        return ""
    if parts.special:
        return f"a `{parts.scheme}` URI must not hold a user name"
    return "" if _USER.fullmatch(user) else "what stands before `@` must be a user name alone"


def _port(parts: _Parts, port: str | None) -> str:
    if port is None:
        return ""
    if not _PORT.fullmatch(port) or int(port) > 65_535:
        return f"the port {quoted(port)} must be a number without leading zeros"
    if parts.scheme == "file" or port == _DEFAULT_PORTS.get(parts.scheme):
        return f"the port of a `{parts.scheme}` URI must be left out"
    return ""


def _host(parts: _Parts, host: str) -> str:
    """RFC 3986 §3.2.2; for special schemes as the WHATWG URL standard writes a domain or an address (§3.5)."""
    if host.startswith("["):
        return "" if _is_ipv6(host[1:-1]) else f"the address {quoted(host)} must be written in its shortest form"
    if not host.strip("."):
        return "the host is empty"
    if not parts.special:
        return "" if _REG_NAME.fullmatch(host) else f"the host {quoted(host)} must be lower case, without `[` or `]`"
    labels = host.split(".")
    if not _DOMAIN.fullmatch(host) or not all(map(_is_label, labels)):
        return f"the host {quoted(host)} must be a domain name in lower case"
    if _NUMBER_LABEL.fullmatch(labels[-1]) and not _IPV4.fullmatch(host):
        return f"the address {quoted(host)} must be written as four decimal numbers"
    if parts.scheme == "file" and host == "localhost":
        return "a `file` URI must leave out the host `localhost`"
    return ""


def _is_ipv6(text: str) -> bool:
    """RFC 5952 form. Addresses that hold an IPv4 address are written in two ways and are refused."""
    if not _IPV6.fullmatch(text):
        return False
    try:
        address = IPv6Address(text)
    except ValueError:
        return False
    return str(address) == text and address.ipv4_mapped is None


def _is_label(label: str) -> bool:
    """A label that is punycode must be what its own letters are encoded as (UTS 46 §4.1): it has no second spelling."""
    if not label.startswith("xn--"):
        return True
    if len(label) > _MAX_LABEL:
        return False
    try:
        text = label[4:].encode().decode("punycode")
        again = text.encode("punycode").decode()
    except UnicodeError:
        return False
    letters = text[2:4] != "--" and all(char == "-" or category(char)[0] in "LMN" for char in text)
    return letters and not text.isascii() and again == label[4:] and normalize("NFKC", text).lower() == text


def _query(parts: _Parts) -> str:
    query = parts.query
    if query == "":
        return "its query is empty; leave out `?`"
    if query and re.search(r"[\[\]]", query):
        return "`[` and `]` in a query must be written as percent triplets"
    if query and parts.special and "'" in query:
        return f"`'` in the query of a `{parts.scheme}` URI must be written as `%27`"
    if query and parts.scheme == "file":
        return "a `file` URI must not hold a query"
    return ""


def _fragment(parts: _Parts) -> str:
    return "" if parts.fragment is None else "a fragment is part of a resource, and some servers drop it; leave it out"


_CHECKS: Final[Sequence[Callable[[_Parts], str]]] = (
    _characters, _scheme, _triplets, _dot_segments, _path, _authority, _query, _fragment,
)  # fmt: skip


# ---- templates -----------------------------------------------------------------------------------------------------

_EXPRESSION: Final = re.compile(r"\{([+#./;?&]?)[A-Za-z0-9_.-]+[*]?(?:,[A-Za-z0-9_.-]+[*]?)*\}")
_SAMPLES: Final[Mapping[str, str]] = {
    "": "x", "+": "x", "#": "#x", ".": ".x", "/": "/x", ";": ";x", "?": "?x", "&": "&x",
}  # fmt: skip
"""What an expression of RFC 6570 §3.2 may become, by its operator."""


def template_why_not_canonical(text: str) -> str:
    """What keeps the text of a URI template (RFC 6570) from being canonical, or `''`.

    Every expression counts as one harmless value; what a real value makes of the template is for `why_not_canonical`.
    """
    if too_long := why_too_long(text):
        return too_long
    if "{" in text.partition(":")[0]:
        return "the scheme of a URI template must not hold an expression"
    return why_not_canonical(_EXPRESSION.sub(lambda match: _SAMPLES[match[1]], text))
