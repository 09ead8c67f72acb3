"""What is shown to be let in where policies come from, and whom is believed there. Files are read each time, so that they can be renewed."""

import ssl
from base64 import b64encode
from pathlib import Path
from typing import Final, NamedTuple

from mcp_acl.runtime.remote.files import UNREACHABLE, refusal
from mcp_acl.runtime.remote.source import Remote

ANYBODY: Final = "git"
"""The user of a token, which hosts of repositories do not look at."""
_LONGEST: Final = 1024 * 1024


class Credentials(NamedTuple):
    """A token, or a user and a password. `repr` shows neither."""

    user: str
    secret: str

    @property
    def basic(self) -> str:
        """As a header says it (RFC 7617)."""
        return f"Basic {b64encode(f'{self.user or ANYBODY}:{self.secret}'.encode()).decode()}"

    def __repr__(self) -> str:
        return "Credentials(…)"


def credentials_of(remote: Remote) -> Credentials:
    """Raises SourceError if the file cannot be read or holds no one line."""
    text = text_of("policies_token", remote.token).strip()
    if not text or not text.isascii() or not text.isprintable():
        raise refusal(UNREACHABLE, "`policies_token` must be a file of one line: a token, or `user:password`")
    user, colon, secret = text.partition(":")
    return Credentials(user, secret) if colon else Credentials("", text)


def context_of(remote: Remote) -> ssl.SSLContext:
    """Whom TLS believes. Raises SourceError."""
    try:
        return ssl.create_default_context(cafile=remote.ca or None)
    except (OSError, ValueError) as error:
        raise refusal(UNREACHABLE, f"`policies_ca` holds no certificates that can be read: {error}") from None


def text_of(setting: str, file: str) -> str:
    """What is in a file that a setting names. Raises SourceError."""
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(_LONGEST + 1)
            text = content.decode()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise refusal(UNREACHABLE, f"`{setting}` cannot be read: {why}") from None
    except ValueError:
        raise refusal(UNREACHABLE, f"`{setting}` is not UTF-8") from None
    if len(content) > _LONGEST:
        raise refusal(UNREACHABLE, f"`{setting}` has more than {_LONGEST:,} bytes")
    return text
