"""Keys and tokens for tests: whoever issues tokens, as the file of keys and as what it signs."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "https://mcp.example/weather"
_SIZE: Final = 32


class Issuer:
    """One key, which signs with ES256 (RFC 7518 §3.4)."""

    def __init__(self, kid: str = "one") -> None:
        self._kid = kid
        self._key = generate_private_key(SECP256R1())

    @property
    def keys(self) -> Mapping[str, Any]:
        """What others know of it (RFC 7517 §5)."""
        numbers = self._key.public_key().public_numbers()
        point = {name: _text(value.to_bytes(_SIZE, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
        return {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self._kid, **point}]}

    def token(self, **claims: Any) -> str:
        """A token that is good, but for what the claims say. A claim that is None is left out."""
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": int(time.time()) + 600}
        said = {name: value for name, value in {**good, **claims}.items() if value is not None}
        signed = ".".join(_text(json.dumps(one).encode()) for one in ({"alg": "ES256", "kid": self._kid}, said))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ECDSA(SHA256())))
        return f"{signed}.{_text(r.to_bytes(_SIZE, 'big') + s.to_bytes(_SIZE, 'big'))}"


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
