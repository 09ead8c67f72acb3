"""gRPC framing by hand: what a call's headers say, its messages out of chunks, and its status as text. Pure; waits for nothing.

Knows no handler and no server: chunks in, messages out, an error as soon as one can be known (gRPC over HTTP/2).
"""

import re
import zlib
from collections.abc import Mapping
from typing import Final

from mcp_acl.adapters.status import Code, Status

PREFIX: Final = 5
"""Bytes before each message: one flag, four of length (gRPC over HTTP/2, "Length-Prefixed-Message")."""
ENCODINGS: Final = b"identity,gzip"

_USUAL_CONTENT_TYPE: Final = b"application/grpc"
_CONTENT_TYPE: Final = re.compile(rb"application/grpc(?:[+;].*)?")
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class CallError(Exception):
    """The call ends with a status other than OK."""

    def __init__(self, code: Code, text: str) -> None:
        self.status = Status(code, text)
        super().__init__(text)


def is_call(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is a gRPC call at all."""
    kind = headers.get(b"content-type", b"")
    return method == "POST" and (kind == _USUAL_CONTENT_TYPE or _CONTENT_TYPE.fullmatch(kind) is not None)


def timeout_of(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds that the client gives (gRPC over HTTP/2, "Timeout"), or None for as long as it takes. Raises CallError."""
    header = headers.get(b"grpc-timeout")
    if header is None:
        return None
    found = _TIMEOUT.fullmatch(header)
    if found is None:
        raise CallError(Code.INTERNAL, "the header `grpc-timeout` cannot be read")
    return int(found[1]) * _SECONDS[found[2]]


class Frames:
    """The messages of one call. Chunks come as they please: one may hold many messages, or one byte of one.

    `limit`: bytes of a message, also after inflation; what is longer is refused before it is kept.
    """

    def __init__(self, limit: int, encoding: bytes) -> None:
        self._limit = limit
        self._encoding = encoding
        self._whole = b""
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take a chunk. Raises CallError if the message that it begins or continues is too long."""
        if not (self._whole or self._buffer) and len(chunk) == self._end(chunk):
            # Most often: one message, of which no copy need be made.
            self._whole = chunk
        else:
            self._buffer += self._whole
            self._buffer += chunk
            self._whole = b""
            self._end(self._buffer)

    def next(self) -> bytes | None:
        """The next message, or None if it is not whole. Raises CallError."""
        if self._whole:
            flag, payload = self._whole[0], self._whole[PREFIX:]
            self._whole = b""
        else:
            end = self._end(self._buffer)
            if len(self._buffer) < end:
                return None
            with memoryview(self._buffer) as view:
                flag, payload = view[0], bytes(view[PREFIX:end])
            del self._buffer[:end]
        return payload if flag == 0 else _inflated(flag, payload, self._encoding, self._limit)

    def end(self) -> None:
        """Take the end of the body. Raises CallError if it is not the end of a message."""
        if self._whole or self._buffer:
            raise CallError(Code.INTERNAL, "the request ended inside a message")

    def only(self) -> bytes:
        """The one message of a body that has ended. Raises CallError.

        (The other host does not look for a second message: there, it has a price.)
        """
        message = self.next()
        if message is None:
            raise CallError(Code.INTERNAL, "the request ended before its message was whole")
        if self._buffer:
            raise CallError(Code.INTERNAL, "more than one message came in a unary call")
        return message

    def has_more_than_one(self) -> bool:
        """Whether there is anything behind the first message, so that no more needs to be kept."""
        return len(self._buffer) > self._end(self._buffer)

    def _end(self, buffer: bytes | bytearray) -> int:
        """Where the first message ends, or its prefix if that is not whole. Raises CallError if the message is too long."""
        if len(buffer) < PREFIX:
            return PREFIX
        length = int.from_bytes(buffer[1:PREFIX], "big")
        if length > self._limit:
            raise CallError(Code.RESOURCE_EXHAUSTED, f"the request is larger than {self._limit} bytes")
        return PREFIX + length


def framed(message: bytes) -> bytes:
    """A message as it is sent."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def percent_encoded(text: str) -> bytes:
    """Printable ASCII but `%` as it is, all else as triplets of its UTF-8 (gRPC over HTTP/2, "Status-Message")."""
    return "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}" for byte in text.encode(errors="replace")
    ).encode()


def _inflated(flag: int, payload: bytes, encoding: bytes, limit: int) -> bytes:
    """A message that says that it is compressed, inflated (gRPC compression): never to more than the limit."""
    if flag != 1 or encoding == b"identity":
        raise CallError(Code.INTERNAL, "the compression flag is not what the headers say")
    if encoding != b"gzip":
        raise CallError(Code.UNIMPLEMENTED, "this compression is not supported; use gzip or identity")
    inflating = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = inflating.decompress(payload, limit + 1)
    except zlib.error:
        raise CallError(Code.INTERNAL, "the message is not gzip") from None
    if len(plain) > limit:
        raise CallError(Code.RESOURCE_EXHAUSTED, f"the request is larger than {limit} bytes")
    if not inflating.eof or inflating.unused_data:
        raise CallError(Code.INTERNAL, "the message is not one gzip stream")
    return plain
