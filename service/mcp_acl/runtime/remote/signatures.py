"""Whether somebody who may has signed: SSH signatures of git's objects, held to a file of allowed signers (ssh-keygen(1), PROTOCOL.sshsig).

The cryptography and the file's format are asyncssh's. What is said here beside it: that the signature was made for git and for nothing
else, that SHA-1 signs nothing, that a certificate is a person's, and that a line which cannot be read, or an option that is none, is an
error and no line or option less.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import Final

from asyncssh import KeyImportError, import_public_key, validate_sshsig
from asyncssh.misc import OptionsParser
from asyncssh.packet import PacketDecodeError, SSHPacket
from asyncssh.public_key import CERT_TYPE_USER, SSHOpenSSHCertificate, decode_ssh_certificate
from asyncssh.sshsig import SSHAllowedSigners
from dulwich.errors import ObjectFormatException
from dulwich.objects import SIGNATURE_SSH, Commit, Tag

from mcp_acl.mcp.quoting import quoted
from mcp_acl.problems import SourceError
from mcp_acl.runtime.remote.credentials import text_of
from mcp_acl.runtime.remote.files import UNREACHABLE, refusal
from mcp_acl.runtime.remote.source import Remote

_NAMESPACE: Final = b"git"
_TAGS: Final = "refs/tags/"
_BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----"
_END: Final = b"-----END SSH SIGNATURE-----"
_MAGIC: Final = b"SSHSIG"
_WEAK: Final = (b"ssh-rsa", b"ssh-dss")
"""Signatures by SHA-1, which ssh-keygen does not take here either."""
_AUTHORITY: Final = "cert-authority"
_TIMES: Final = ("valid-after", "valid-before")
_OPTIONS: Final = (_AUTHORITY, "namespaces", *_TIMES)
_TIME: Final = re.compile(r"[0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?Z?")
"""A point in time. asyncssh takes a span, too, which would begin anew whenever the file is read."""


class Signers:
    """Who may sign."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for a line that cannot be read, and if there is none."""
        principals: list[str] = []
        for line in filter(_says_something, text.splitlines()):
            try:
                SSHAllowedSigners(line)
                _check_options(line.split(maxsplit=1)[1])
            except ValueError as error:
                raise ValueError(f"`{line[:40]}…`: {error}") from None
            principals += (one for one in line.split(maxsplit=1)[0].strip('"').split(",") if not one.startswith("!"))
        if not principals:
            raise ValueError("it names nobody")
        self._principals = tuple(dict.fromkeys(principals))
        self._signers = SSHAllowedSigners(text)

    def who(self, payload: bytes, signature: bytes) -> str:
        """Whose signature of the payload this is, as the file or a certificate names them; `''` if it is nobody's who may.

        A pattern of names fits itself, so each is tried as it stands in the file.
        """
        key = _key_for_git(signature)
        named = None if key is None else _named_by(key)
        if named is None:
            return ""
        tried = (*self._principals, *named)
        try:
            return next((one for one in tried if validate_sshsig(payload, signature, one, self._signers)), "")
        except ValueError:  # a hash that it does not know
            return ""


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("#")


class _Options(OptionsParser):
    """The options before a key, as they are written."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._parse_options(text)


def _check_options(text: str) -> None:
    """Raises ValueError if one before the key would be passed over, or be taken for another than it is."""
    try:
        import_public_key(text)
    except KeyImportError:
        given = _Options(text).options
    else:
        return
    for name, said in given.items():
        if name not in _OPTIONS:
            raise ValueError(f"there is no option {quoted(name)}; there are {', '.join(_OPTIONS)}")
        values = said if isinstance(said, list) else []
        if (said is not True) if name == _AUTHORITY else len(values) != 1:
            raise ValueError(
                f"the option `{name}` must stand once, {'alone' if name == _AUTHORITY else 'with a value'}"
            )
        if name in _TIMES and not _TIME.fullmatch(values[0]):
            raise ValueError(f"`{name}` must be a time: YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with `Z` for UTC")


def _key_for_git(signature: bytes) -> bytes | None:
    """The key or certificate it is by, if it says that it was made for git, by a hash that is none of the weak."""
    lines = signature.strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        return None
    try:
        packet = SSHPacket(b64decode(b"".join(lines[1:-1]), validate=True))
        is_one = packet.get_bytes(len(_MAGIC)) == _MAGIC and packet.get_uint32() == 1
        key, namespace, _, _, signed = (packet.get_string() for _ in range(5))
        is_fit = namespace == _NAMESPACE and SSHPacket(signed).get_string() not in _WEAK
    except (PacketDecodeError, Base64Error):
        return None
    return key if is_one and is_fit else None


def _named_by(key: bytes) -> Sequence[str] | None:
    """Whom a certificate names: nobody, if it is a key. None for a certificate that is not of a person, or not valid now."""
    try:
        certificate = decode_ssh_certificate(key)
    except KeyImportError:
        return ()
    try:
        assert isinstance(certificate, SSHOpenSSHCertificate)
        certificate.validate(CERT_TYPE_USER, None)
    except ValueError:
        return None
    return certificate.principals or None


def check_signed(remote: Remote, tags: Sequence[Tag], commit: Commit) -> None:
    """Raises SourceError if neither the commit nor the tag that is followed was signed by who may."""
    try:
        signers = Signers(text_of("policies_signers", remote.signers))
    except ValueError as error:
        raise refusal(UNREACHABLE, f"`policies_signers` cannot be used: {error}") from None
    if _who(signers, commit):
        return
    if tags and _who(signers, tags[0]):
        # The name is part of what was signed: without it a tag could stand for any other.
        named = tags[0].name.decode(errors="replace")
        if named == remote.ref.removeprefix(_TAGS):
            return
        raise _unsigned(commit, f"the tag says that it is {quoted(named)}")
    kinds = {_signature(commit)[2], *(_signature(one)[2] for one in tags[:1])} - {""}
    why = "it is signed by nobody in `policies_signers`" if kinds else "it is not signed"
    raise _unsigned(commit, why if kinds <= {SIGNATURE_SSH.decode()} else f"{why}; OpenPGP is not read")


def _who(signers: Signers, signed: Commit | Tag) -> str:
    payload, signature, _ = _signature(signed)
    return signers.who(payload, signature) if signature else ""


def _signature(signed: Commit | Tag) -> tuple[bytes, bytes, str]:
    """What was signed, the signature, and of which kind it is; `''` if it is not signed."""
    try:
        payload, signature, kind = signed.extract_signature()
    except ObjectFormatException:
        return b"", b"", "unknown"
    return payload, signature or b"", (kind or b"").decode()


def _unsigned(commit: Commit, why: str) -> SourceError:
    hint = "sign it by SSH (`git commit -S`), by a key that is in the file"
    return refusal("remote-signature", f"commit {commit.id.decode()}: {why}", hint)
