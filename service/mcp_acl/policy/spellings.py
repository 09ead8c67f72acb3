"""What a deny rule on URIs means: every spelling of a URI that some server takes for the one it names.

A canonical URI may still write a reserved character in the clear or as a percent triplet, and servers that match a URI with a template
decode both to one value (RFC 3986 §2.2 lets them). An allow rule grants the spelling it names and no other; a deny rule holds for all.
Strategy: a name is tried as it stands, with all triplets decoded (loose), and with all reserved characters encoded (tight); patterns
are given the same forms.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from mcp_acl.policy.patterns import NamePattern

_PLAIN: Final = re.compile(r"[a-z][a-z0-9+.-]*:(?://[^/?#%]*)?[A-Za-z0-9._~/-]*")
"""A URI that has one spelling."""
_ORIGIN: Final = re.compile(r"[^:/?#]*:(?://[^/?#]*)?")
_RESERVED: Final = re.compile(r"[!$&'()*+,;=:@]")
_VARIABLE: Final = re.compile(r"(\{[^{}]*\})")


def spellings(uri: str) -> tuple[str, ...]:
    """The forms in which a URI is tried, itself the first."""
    if _PLAIN.fullmatch(uri):
        return (uri,)
    return tuple(dict.fromkeys((uri, unquote(uri), _tight(uri))))


def deny_patterns(pattern: NamePattern) -> tuple[NamePattern, ...]:
    """The patterns that a deny rule's pattern stands for, itself the first."""
    match pattern.kind:
        case "literal" | "glob":
            return tuple(dict.fromkeys((pattern, NamePattern(pattern.kind, unquote(pattern.text)))))
        case "template":
            forms = dict.fromkeys((pattern.text, _tight(pattern.text)))
            return (pattern, *(NamePattern("regex", _any_value(form)) for form in forms))
    return (pattern,)


def _tight(text: str) -> str:
    origin = _ORIGIN.match(text)
    start = origin.end() if origin is not None else 0
    return text[:start] + _RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", text[start:])


def _any_value(template: str) -> str:
    """A regex for a template whose variables stand for whatever has no slash."""
    return "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in _pieces(template))


def _pieces(template: str) -> Iterable[str]:
    return filter(None, _VARIABLE.split(template))
