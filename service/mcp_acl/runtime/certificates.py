"""Certificate files, read again when they change. Knows no host.

A pair that cannot be used (half written, a key that is another certificate's) never replaces one that can.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOG: Final = logging.getLogger("mcp_acl")


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

    Raises CertificateError when made, if the files cannot be used.
    """

    def __init__(self, chain: Path, key: Path, client_authorities: Path | None = None) -> None:
        self._files = (chain, key, client_authorities)
        self.requires_clients = client_authorities is not None
        self._stamp: object = None
        self._pems = Pems(b"", b"")
        self._load()

    def current(self) -> Pems:
        """What is in force. Looks at the files, and takes what is new if it can be used."""
        raise NotImplementedError

    def _load(self) -> None:
        raise NotImplementedError
