"""Certificate files, read again when they change. Knows no host.

A pair that cannot be used (half written, a key that is another certificate's) never replaces one that can. Whether a certificate has
expired is not looked at: clients do.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_acl.runtime.stamps import Stamp, stamp_of

_LOG: Final = logging.getLogger("mcp_acl")
_INTERVAL: Final = 1.0
"""Seconds between looks at the files, however often they are asked for."""
_LARGEST: Final = 1024 * 1024


class CertificateError(ValueError):
    """Certificate files that cannot be used. The text says which, and why."""


@dataclass(frozen=True, slots=True)
class Pems:
    """What the files hold: certificate chain, private key, and the authorities that clients' certificates must come from."""

    chain: bytes
    key: bytes
    client_authorities: bytes = b""


class Certificates:
    """The certificate of a listener. With `client_authorities`, clients must show one that these have signed.

    Raises CertificateError when made, if the files cannot be used. May be used by several threads.
    """

    def __init__(
        self,
        chain: Path,
        key: Path,
        client_authorities: Path | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requires_clients = client_authorities is not None
        self._files: tuple[Path, ...] = (chain, key) if client_authorities is None else (chain, key, client_authorities)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked = monotonic()
        self._stamps = self._stamps_now()
        self._pems = self._read()

    def current(self) -> Pems:
        """What is in force: the same object as long as it does not change. Takes what is new in the files if it can be used."""
        with self._lock:
            now = self._monotonic()
            if now - self._looked >= _INTERVAL:
                self._looked = now
                self._look()
            return self._pems

    def _look(self) -> None:
        """Read files that have changed. Those that are refused are read again when they change once more."""
        stamps = self._stamps_now()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            pems = self._read()
        except CertificateError as error:
            _LOG.error("certificates refused, those before stay in force: %s", error)
            return
        if self._stamps_now() != stamps:
            self._stamps = ()  # they go on changing: the next look reads again
        elif pems != self._pems:
            self._pems = pems
            _LOG.info("certificates of `%s` have changed, and are in force", self._files[0])

    def _stamps_now(self) -> tuple[Stamp, ...]:
        """Tells one state of the files from another; links are followed."""
        return tuple(map(stamp_of, self._files))

    def _read(self) -> Pems:
        pems = Pems(*map(_bytes, self._files))
        chain, key, *authorities = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(chain, key, _no_password)
        except (OSError, ValueError) as error:
            pair = f"`{chain}` and `{key}` are no certificate and its key in PEM"
            raise CertificateError(f"{pair}: {_why(error)}") from None
        try:
            for _ in authorities:
                context.load_verify_locations(cadata=pems.client_authorities.decode("ascii"))
        except (OSError, ValueError) as error:
            raise CertificateError(f"`{authorities[0]}` holds no certificates in PEM: {_why(error)}") from None
        return pems


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one that is not")


def _why(error: Exception) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)).replace("_", " ").lower()


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CertificateError(f"`{file}` cannot be read: {why[:1].lower()}{why[1:]}") from None
    if len(content) > _LARGEST:
        raise CertificateError(f"`{file}` is larger than {_LARGEST:,} bytes")
    return content
