"""Whose tokens are believed, and what a client is told of where to get one (RFC 9728). Pure."""

import json
from dataclasses import dataclass
from typing import Final

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
"""Where a client looks, with the path of the resource appended (RFC 9728 §3.1)."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`jwks` is the URL or the file of the keys. Without `anonymous` a request without a token is answered 401."""

    jwks: str
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    anonymous: bool = False

    @property
    def is_remote(self) -> bool:
        """Whether the keys are fetched."""
        return self.jwks.startswith(("http://", "https://"))


def metadata_document(resource: str, issuer: str) -> str:
    """What a client is told of a resource (RFC 9728 §2): where its tokens are from."""
    return json.dumps({"resource": resource, "authorization_servers": [issuer], "bearer_methods_supported": ["header"]})


def metadata_path(path: str) -> str:
    """Where the document of the resource at a path is."""
    return WELL_KNOWN if path == "/" else f"{WELL_KNOWN}{path}"
