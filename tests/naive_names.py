"""Names and headers of the naive engine: whether a pattern matches, whether a header says what the message says.

Written by hand from what patterns and headers mean, without a regex but where a rule is one.
"""

import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from typing import Final

import re2

from mcp_acl.domain import Json, Message
from mcp_acl.mcp.methods import METHODS
from mcp_acl.policy.patterns import NamePattern

# ---- names -------------------------------------------------------------------------------------------------------------


def glob_matches(pattern: str, text: str) -> bool:
    """`*` is any run of characters, `?` exactly one."""
    if pattern == "":
        return text == ""
    if pattern[0] == "*":
        return any(glob_matches(pattern[1:], text[skipped:]) for skipped in range(len(text) + 1))
    return text != "" and pattern[0] in ("?", text[0]) and glob_matches(pattern[1:], text[1:])


UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
HEX = frozenset("0123456789ABCDEFabcdef")


def template_matches(template: str, text: str) -> bool:
    """An instance of a template, or a template that differs in variable names only."""
    parts = template_parts(template)
    return instance_matches(parts, text) or parts == template_parts(text)


def template_parts(template: str) -> list[str | None]:
    """The texts of a template, None for each variable. A brace without its other half is text."""
    parts: list[str | None] = []
    while template:
        before, opening, rest = template.partition("{")
        name, closing, after = rest.partition("}")
        if opening and closing and is_variable_name(name):
            parts += [before, None]
            template = after
        else:
            parts.append(before + opening)
            template = rest
    merged: list[str | None] = []
    for part in parts:
        if part is not None and merged and merged[-1] is not None:
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return merged


def is_variable_name(name: str) -> bool:
    """RFC 6570 §2.3."""
    position = 0
    after_dot = True
    while position < len(name):
        char = name[position]
        if char == ".":
            if after_dot:
                return False
            after_dot = True
            position += 1
            continue
        after_dot = False
        if char == "%":
            if len(name) < position + 3 or not set(name[position + 1 : position + 3]) <= HEX:
                return False
            position += 3
        elif char.isascii() and (char.isalnum() or char == "_"):
            position += 1
        else:
            return False
    return not after_dot


def instance_matches(parts: Sequence[str | None], text: str) -> bool:
    """Whether some value for each variable makes the text."""
    if not parts:
        return text == ""
    first, *rest = parts
    if first is not None:
        return text.startswith(first) and instance_matches(rest, text[len(first) :])
    return any(is_value(text[:length]) and instance_matches(rest, text[length:]) for length in range(1, len(text) + 1))


def is_value(text: str) -> bool:
    """Unreserved characters and percent triplets whose value is harmless inside one segment."""
    decoded = bytearray()
    position = 0
    while position < len(text):
        if text[position] == "%":
            digits = text[position + 1 : position + 3]
            if len(digits) != 2 or not set(digits) <= HEX:
                return False
            decoded.append(int(digits, 16))
            position += 3
        elif text[position] in UNRESERVED:
            decoded += text[position].encode()
            position += 1
        else:
            return False
    try:
        value = decoded.decode()
    except UnicodeDecodeError:
        return False
    harmful = any(char in "/\\%" or unicodedata.category(char) == "Cc" for char in value)
    return not harmful and value not in ("", ".", "..")


def pattern_matches(pattern: NamePattern, name: str) -> bool:
    """Whether one pattern matches a name."""
    match pattern.kind:
        case "any":
            return True
        case "literal":
            return pattern.text == name
        case "regex":
            return re2.fullmatch(f"(?:{pattern.text})", name) is not None
        case "glob":
            return glob_matches(pattern.text, name)
        case "template":
            return template_matches(pattern.text, name)


# ---- deny rules on URIs ------------------------------------------------------------------------------------------------

RESERVED: Final = "!$&'()*+,;=:@"


def deny_matches(pattern: NamePattern, uri: str) -> bool:
    """Whether a deny rule's pattern means a URI, or another way of writing it."""
    names = forms(uri, kept="%")
    match pattern.kind:
        case "literal":
            return bool(names & forms(pattern.text, kept="%"))
        case "glob":
            return any(glob_matches(text, name) for text in forms(pattern.text, kept="%*?") for name in names)
        case "template":
            parts = [template_parts(text) for text in forms(pattern.text, kept="%")]
            return template_matches(pattern.text, uri) or any(
                any_instance(one, name) for one in parts for name in names
            )
    return any(pattern_matches(pattern, name) for name in names)


def forms(text: str, kept: str) -> set[str]:
    """Every way to write a text: its reserved characters as they are, in the clear or encoded, `%2F` and other triplets kept or not."""
    scheme, colon, rest = text.partition(":")
    return {
        scheme + colon + form(tokens(rest), kept, reserved, slash, others)
        for reserved in ("as it is", "clear", "encoded")
        for slash in (False, True)
        for others in (False, True)
    }


def tokens(text: str) -> list[str]:
    """Characters, and percent triplets as one."""
    found: list[str] = []
    while text:
        length = 3 if text[0] == "%" and len(text) > 2 and set(text[1:3]) <= set("0123456789ABCDEF") else 1
        found.append(text[:length])
        text = text[length:]
    return found


def form(written: Sequence[str], kept: str, reserved: str, slash: bool, others: bool) -> str:
    """One way to write a text. Bytes of one character stand side by side and are decoded together."""
    made = bytearray()
    for token in written:
        char = chr(int(token[1:], 16)) if len(token) == 3 else token
        if char in kept:
            made += token.encode()
        elif char in RESERVED:
            triplet = f"%{ord(char):02X}"
            made += {"as it is": token, "clear": char, "encoded": triplet}[reserved].encode()
        elif token == "%2F":
            made += b"/" if slash else b"%2F"
        elif len(token) == 3 and others:
            made.append(int(token[1:], 16))
        else:
            made += token.encode()
    return made.decode(errors="replace")


def any_instance(parts: Sequence[str | None], text: str) -> bool:
    """Whether the text is an instance for whatever values without a slash."""
    if not parts:
        return text == ""
    first, *rest = parts
    if first is not None:
        return text.startswith(first) and any_instance(rest, text[len(first) :])
    segment = text.partition("/")[0]
    return any(any_instance(rest, text[length:]) for length in range(1, len(segment) + 1))


def governs(servers: Sequence[str], server: str) -> bool:
    """Whether a policy governs a server."""
    return server != "" and (not servers or any(glob_matches(one, server) for one in servers))


# ---- headers -----------------------------------------------------------------------------------------------------------


def headers_agree(message: Message, headers: Mapping[str, Sequence[str]]) -> bool:
    """`Mcp-Method` and `Mcp-Name` say, once, what the message says."""
    row = METHODS.get(message.method)
    mirrored: Json = message.params.get(row.target[0]) if row and row.target else None
    for name, expected in (("mcp-method", message.method), ("mcp-name", mirrored)):
        values = headers.get(name, ())
        if values and (len(values) != 1 or decoded(values[0]) is None or decoded(values[0]) != expected):
            return False
    return True


def decoded(value: str) -> str | None:
    """The text of a header value, or None if it is not as it must be encoded."""
    if not (value.startswith("=?base64?") and value.endswith("?=")):
        return value if is_plain(value) else None
    inner = value.removeprefix("=?base64?").removesuffix("?=")
    try:
        found = b64decode(inner, validate=True)
        again = b64encode(found).decode()
        return found.decode() if again == inner else None
    except (Base64Error, ValueError):
        return None


def is_plain(value: str) -> bool:
    """What HTTP carries as it is: visible ASCII, with white space inside only."""
    return value == value.strip() and value != "" and all(char == "\t" or " " <= char <= "~" for char in value)
