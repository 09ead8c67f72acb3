"""Keys and signed tokens (RFC 7515, 7517, 7519), made here: two signers, and the file of their public keys. Knows no gateway."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

ISSUER: Final = "https://issuer.example"
LIFE: Final = 3600
"""Seconds for which a token is good."""


class Signers:
    """An RSA and an elliptic key. What is signed by any of them is believed by whoever has the set of their public keys."""

    def __init__(self) -> None:
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._ec = ec.generate_private_key(ec.SECP256R1())

    def token(self, algorithm: str, claims: Mapping[str, Any]) -> str:
        """A token of an issuer, good for an hour."""
        now = int(time.time())
        payload = {"iss": ISSUER, "iat": now, "exp": now + LIFE, **claims}
        signed = ".".join(
            _encoded(json.dumps(part).encode())
            for part in ({"alg": algorithm, "typ": "JWT", "kid": algorithm}, payload)
        )
        return f"{signed}.{_encoded(self._signature(algorithm, signed.encode()))}"

    def key_set(self) -> str:
        """The public keys as a JSON Web Key Set."""
        by_rsa, by_ec = self._rsa.public_key().public_numbers(), self._ec.public_key().public_numbers()
        keys = [
            {"kid": "RS256", "alg": "RS256", "kty": "RSA", "n": _number(by_rsa.n, 256), "e": _number(by_rsa.e, 3)},
            {
                "kid": "ES256",
                "alg": "ES256",
                "kty": "EC",
                "crv": "P-256",
                "x": _number(by_ec.x, 32),
                "y": _number(by_ec.y, 32),
            },
        ]
        return json.dumps({"keys": [{"use": "sig", **key} for key in keys]})

    def _signature(self, algorithm: str, data: bytes) -> bytes:
        if algorithm == "RS256":
            return self._rsa.sign(data, padding.PKCS1v15(), SHA256())
        r, s = decode_dss_signature(self._ec.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


def _number(value: int, size: int) -> str:
    return _encoded(value.to_bytes(size))


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
