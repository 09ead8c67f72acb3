"""Frames of HTTP/2, as bytes (RFC 9113, 4 and 6). Knows no connection."""

from struct import Struct
from typing import Final

DATA, HEADERS, _PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FIRST: Final = Struct(">HBBBI")
"""What each frame begins with: its length (the upper two bytes, the lower), kind, flags and stream."""
ID: Final = Struct(">I")
SETTING: Final = Struct(">HI")

LARGEST_FRAME: Final = 16_384
"""Bytes of a frame's payload that each side takes until it says otherwise."""
FIRST_WINDOW: Final = 65_535
LAST_ID: Final = 2**31 - 1
LARGEST_WINDOW: Final = 2**31 - 1

_NAMES: Final = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR REFUSED_STREAM CANCEL "
    "COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
).split()
CANCEL: Final = _NAMES.index("CANCEL")


class PeerError(Exception):
    """The server broke the protocol. The text says how."""


def framed(kind: int, flags: int, ident: int, payload: bytes) -> bytes:
    """A frame as it is sent."""
    size = len(payload)
    return FIRST.pack(size >> 8, size & 0xFF, kind, flags, ident) + payload


def settings(values: dict[int, int]) -> bytes:
    """A frame of settings."""
    return framed(SETTINGS, 0, 0, b"".join(SETTING.pack(*setting) for setting in values.items()))


def number(payload: bytes) -> int:
    """The number that a payload begins with. Raises PeerError."""
    if len(payload) < ID.size:
        raise PeerError("a frame is too short")
    return int.from_bytes(payload[:4], "big")


def code(payload: bytes) -> str:
    """The name of the error that a payload begins with. Raises PeerError."""
    value = number(payload)
    return _NAMES[value] if value < len(_NAMES) else str(value)


def bare(flags: int, payload: bytes) -> bytes:
    """A payload of DATA or HEADERS without its padding and its priority. Raises PeerError."""
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload or payload[0] >= end:
            raise PeerError("a frame has more padding than bytes")
        start, end = 1, end - payload[0]
    return payload[start + (5 if flags & PRIORITY else 0) : end]
