"""What a deny rule on URIs means: every spelling of a URI that some server takes for the one it names.

A canonical URI may still write a character in the clear or as a percent triplet, and servers that match a URI with a template decode
it to one value, slashes too (RFC 3986 §2.2 lets them). An allow rule grants the spelling it names and no other; a deny rule holds for all.
Strategy: three kinds of characters, each in each of its ways: reserved ones, the slash, the rest. Names and patterns are given all of
these forms. `%25` is never decoded: what it makes is no triplet. A query is part of the name: its order and what is added count.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from urllib.parse import unquote

from mcp_acl.policy.patterns import NamePattern

_Change: TypeAlias = Callable[[str], str]

_PLAIN: Final = re.compile(r"[a-z][a-z0-9+.-]*:[A-Za-z0-9._~/-]*")
"""A URI that has one spelling."""

_RESERVED: Final = "!$&'()+,;=:@*"
_VARIABLE: Final = re.compile(r"(\{[^{}]*\})")


def spellings(uri: str) -> tuple[str, ...]:
    """The forms in which a URI is tried, itself the first."""
    return (uri,) if _PLAIN.fullmatch(uri) else _forms(uri, _IN_NAMES)


def deny_patterns(pattern: NamePattern) -> tuple[NamePattern, ...]:
    """The patterns that a deny rule's pattern stands for, itself the first. A regex is tried on every form as it is."""
    match pattern.kind:
        case "literal":
            return tuple(NamePattern("literal", form) for form in _forms(pattern.text, _IN_NAMES))
        case "glob":
            return tuple(NamePattern("glob", form) for form in _forms(pattern.text, _IN_GLOBS))
        case "template":
            forms = _forms(pattern.text, _IN_NAMES)
            return (pattern, *(NamePattern("regex", _any_value(form)) for form in forms))
    return (pattern,)


def _ways(reserved: str, kept: str) -> Sequence[Sequence[_Change]]:
    """How each kind of character may be written; triplets of `kept` stay what they are."""
    meant = {_triplet_of(char): char for char in reserved}
    encoded = re.compile("|".join(map(_triplet_of, reserved)))
    clear = re.compile(f"[{re.escape(reserved)}]")
    rest = re.compile(f"(?:(?!{'|'.join(map(_triplet_of, kept))})%[0-9A-F]{{2}})+")
    return (
        (str, lambda text: encoded.sub(lambda one: meant[one[0]], text), lambda text: clear.sub(_encoded, text)),
        (str, lambda text: text.replace("%2F", "/")),
        (str, lambda text: rest.sub(_decoded, text)),
    )


def _triplet_of(char: str) -> str:
    return f"%{ord(char):02X}"


def _decoded(match: re.Match[str]) -> str:
    return unquote(match[0])


def _encoded(match: re.Match[str]) -> str:
    return _triplet_of(match[0])


_IN_NAMES: Final = _ways(_RESERVED, f"%/{_RESERVED}")
_IN_GLOBS: Final = _ways(_RESERVED.replace("*", ""), f"%/?{_RESERVED}")
"""`*` and `?` of a glob are not what they encode to."""


def _forms(text: str, ways: Sequence[Sequence[_Change]]) -> tuple[str, ...]:
    scheme, colon, rest = text.partition(":")
    forms = [rest]
    for changes in ways:
        forms = list(dict.fromkeys(change(form) for form in forms for change in changes))
    return tuple(f"{scheme}{colon}{form}" for form in forms)


def _any_value(template: str) -> str:
    """A regex for a template whose variables stand for whatever has no slash."""
    return "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in _VARIABLE.split(template))
