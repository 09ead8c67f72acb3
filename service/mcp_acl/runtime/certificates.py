"""Certificate files, read again when they change. Knows no host.

A pair that cannot be used (half written, a key that is another certificate's) never replaces one that can. Unlike policies nobody looks
at them in the background: who needs the certificate asks, and the files are looked at then, at most once a second. Whether one has
expired is not looked at: clients do.
"""

import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_acl.runtime.stamps import RESOLUTION, Stamp, stamp_of

_LOG: Final = logging.getLogger("mcp_acl")

INTERVAL: Final = 1.0
"""Seconds between looks at the files."""
_TRIES: Final = 3  # readings of files that change meanwhile, when there is nothing to fall back on
_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_MISMATCH: Final = "KEY_VALUES_MISMATCH"


class CertificateError(ValueError):
    """Certificate files that cannot be used. The text says which, and why."""


@dataclass(frozen=True, slots=True)
class Pems:
    """What the files hold: certificate chain, private key, and the authorities that clients' certificates must come from."""

    chain: bytes
    key: bytes
    client_authorities: bytes = b""

    def __repr__(self) -> str:
        return "Pems(…)"


class Certificates:
    """The certificate of a listener. With `client_authorities`, clients must show one that these have signed.

    Raises CertificateError when made, if the files cannot be used.
    """

    def __init__(
        self,
        chain: Path,
        key: Path,
        client_authorities: Path | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain, self._key, self._authorities = chain, key, client_authorities
        self.requires_clients = client_authorities is not None
        self._monotonic = monotonic
        self._looking = threading.Lock()
        self._looked_at = monotonic()
        self._again_at: float | None = self._looked_at + RESOLUTION
        self._refused = ""
        self._stamps, self._pems = self._first()

    def current(self) -> Pems:
        """What is in force. Looks at the files, and takes what is new if it can be used. Any thread may ask; none waits for another."""
        if self._monotonic() - self._looked_at >= INTERVAL and self._looking.acquire(blocking=False):
            try:
                self._look(self._monotonic())
            except Exception as error:  # noqa: BLE001 - whatever breaks, there is a certificate in force
                self._refuse(f"{type(error).__name__}: {error}")
            finally:
                self._looking.release()
        return self._pems

    def _look(self, now: float) -> None:
        self._looked_at = now
        stamps = self._stamps_now()
        due = self._again_at is not None and now >= self._again_at
        if stamps == self._stamps and not due:
            return
        # Once more when no file's time can hide a change any more; and as long as the files cannot be used.
        self._again_at = None if due else now + RESOLUTION
        self._stamps = stamps
        try:
            pems = self._read(stamps)
        except CertificateError as error:
            self._again_at = now + RESOLUTION
            self._refuse(str(error))
            return
        if pems is None:
            return
        self._refused = ""
        if pems != self._pems:
            self._pems = pems
            _LOG.info("the certificate in %s was changed", self._chain)

    def _refuse(self, why: str) -> None:
        """Say what is wrong with the files, once."""
        if why != self._refused:
            self._refused = why
            _LOG.error("certificates refused, those before stay in force: %s", why)

    def _first(self) -> tuple[tuple[Stamp, ...], Pems]:
        """Read the files. Raises CertificateError."""
        for _ in range(_TRIES):
            stamps = self._stamps_now()
            pems = self._read(stamps)
            if pems is not None:
                return stamps, pems
        raise CertificateError(f"`{self._chain}` and its key change while they are read; start again when they do not")

    def _files(self) -> tuple[Path, ...]:
        return (self._chain, self._key, *([] if self._authorities is None else [self._authorities]))

    def _stamps_now(self) -> tuple[Stamp, ...]:
        return tuple(map(stamp_of, self._files()))

    def _read(self, stamps: tuple[Stamp, ...]) -> Pems | None:
        """What the files hold, checked; None if they changed meanwhile. Raises CertificateError."""
        try:
            pems = Pems(*map(_content, self._files()))
            _check_certificates(self._chain, pems.chain)
            if self._authorities is not None:
                _check_certificates(self._authorities, pems.client_authorities)
            self._check_pair()
        except CertificateError:
            if self._stamps_now() != stamps:
                return None
            raise
        return pems if self._stamps_now() == stamps else None

    def _check_pair(self) -> None:
        """Raise CertificateError unless the key can be read and is the certificate's. Reads the files again: keys are not copied."""

        def password() -> str:
            raise CertificateError(
                f"`{self._key}` is encrypted; write it without a password, and let nobody else read it"
            )

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._chain, self._key, password)
        except ssl.SSLError as error:
            if error.reason == _MISMATCH:
                raise CertificateError(
                    f"the key in `{self._key}` is not that of the first certificate in `{self._chain}`; "
                    "put the server's own certificate first"
                ) from None
            why = f" ({error.reason.lower().replace('_', ' ')})" if error.reason else ""
            raise CertificateError(
                f"`{self._key}` holds no private key in PEM that can be used with `{self._chain}`{why}"
            ) from None
        except OSError as error:
            raise CertificateError(_unreadable(self._key, error)) from None


def _content(file: Path) -> bytes:
    try:
        if not file.is_file():  # a pipe would keep whoever asks
            raise OSError(0, "not a regular file" if file.exists() else "no such file or directory")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        raise CertificateError(_unreadable(file, error)) from None


def _unreadable(file: Path, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"`{file}` cannot be read: {why[:1].lower()}{why[1:]}"


def _check_certificates(file: Path, content: bytes) -> None:
    """Raise CertificateError unless the file holds certificates in PEM, each of which can be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    number = 0
    for number, block in enumerate(_blocks(file, content), 1):
        try:
            context.load_verify_locations(cadata=block)
        except ssl.SSLError:
            raise CertificateError(f"certificate {number} in `{file}` is damaged") from None
    if not number:
        raise CertificateError(f"`{file}` holds no certificate in PEM; it begins with `-----BEGIN CERTIFICATE-----`")


def _blocks(file: Path, content: bytes) -> Iterator[bytes]:
    """The certificates of a PEM file in DER. Raises CertificateError."""
    for number, block in enumerate(_BLOCK.findall(content), 1):
        try:
            yield ssl.PEM_cert_to_DER_cert(block.decode("ascii"))
        except ValueError:
            raise CertificateError(f"certificate {number} in `{file}` is damaged") from None
