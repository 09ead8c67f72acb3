"""Signatures are required: made by git and ssh-keygen, and held to a file of allowed signers."""

import subprocess
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from mcp_acl.problems import SourceError
from mcp_acl.runtime.commit import commit_of
from mcp_acl.runtime.remote.signatures import Signers
from mcp_acl.runtime.remote.source import Remote
from tests.runtime.remote.conftest import codes, followed, names
from tests.runtime.remote.repositories import Repository, new_key, policy, public, signing


def signed(key: Path, payload: bytes, namespace: str = "git") -> bytes:
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", namespace]
    return subprocess.run(command, input=payload, capture_output=True, check=True).stdout


def test_signed_commit_is_taken_and_unsigned_ones_leave_it_in_force(
    repository: Repository, cache: Path, key: Path, signers: Path
) -> None:
    remote = Remote(repository.url, "main", signers=str(signers))
    with pytest.raises(SourceError, match="it is not signed"):
        followed(remote, cache)
    commit = repository.commit({"b.yaml": policy("b")}, key=key)
    follower = followed(remote, cache)
    assert (["a.yaml", "b.yaml"], commit) == (names(cache), commit_of(cache / "current"))
    unsigned = repository.commit({"c.yaml": policy("c")})
    follower.look()
    assert ["remote-signature"] == codes(follower)
    assert (["a.yaml", "b.yaml"], commit) == (names(cache), commit_of(cache / "current"))
    trouble = follower.cache.state().trouble
    assert trouble is not None
    assert trouble.problems[0].message == f"commit {unsigned}: it is not signed"
    repository.commit({"d.yaml": policy("d")}, key=key)
    follower.look()
    assert ([], ["a.yaml", "b.yaml", "c.yaml", "d.yaml"]) == (codes(follower), names(cache))


@pytest.mark.parametrize(
    "flags", [("-t", "ed25519"), ("-t", "ecdsa"), ("-t", "rsa", "-b", "2048")], ids=["ed25519", "ecdsa", "rsa"]
)
def test_keys_of_every_kind_sign(
    tmp_path: Path, repository: Repository, cache: Path, flags: tuple[str, ...], signers: Path
) -> None:
    key = new_key(tmp_path / "keys", "another", *flags)
    signers.write_text(f"a@example.org {public(key)}\n")
    repository.commit(key=key)
    followed(Remote(repository.url, signers=str(signers)), cache)
    assert ["a.yaml"] == names(cache)


def test_signature_of_somebody_else_is_none(tmp_path: Path, repository: Repository, cache: Path, signers: Path) -> None:
    repository.commit(key=new_key(tmp_path / "keys", "other"))
    with pytest.raises(SourceError, match="signed by nobody in `policies_signers`"):
        followed(Remote(repository.url, signers=str(signers)), cache)


def test_commit_that_was_changed_after_it_was_signed_is_refused(
    repository: Repository, cache: Path, key: Path, signers: Path
) -> None:
    """Its hash is right; the signature is of the commit before."""
    repository.commit({"b.yaml": policy("b")}, key=key)
    raw = repository.git("cat-file", "commit", "HEAD")
    file = repository.tree.with_name("raw")
    file.write_text(raw.replace("change", "changed") + "\n")
    commit = repository.git("hash-object", "-t", "commit", "-w", str(file))
    repository.push(f"{commit}:main")
    with pytest.raises(SourceError, match="signed by nobody"):
        followed(Remote(repository.url, signers=str(signers)), cache)


def test_signed_tag_vouches_for_an_unsigned_commit(
    repository: Repository, cache: Path, key: Path, signers: Path
) -> None:
    repository.git(*signing(key), "tag", "-s", "-m", "release", "v1")
    repository.push("v1")
    followed(Remote(repository.url, "v1", signers=str(signers)), cache)
    assert repository.git("rev-parse", "HEAD") == commit_of(cache / "current")


def test_signed_tag_stands_for_its_own_name_alone(
    repository: Repository, cache: Path, key: Path, signers: Path
) -> None:
    repository.git(*signing(key), "tag", "-s", "-m", "release", "v1")
    repository.push("v1:refs/tags/v2")
    with pytest.raises(SourceError, match="the tag says that it is `v1`"):
        followed(Remote(repository.url, "v2", signers=str(signers)), cache)


def test_unsigned_tag_of_an_unsigned_commit_is_refused(repository: Repository, cache: Path, signers: Path) -> None:
    repository.git("tag", "-a", "-m", "release", "v1")
    repository.push("v1")
    with pytest.raises(SourceError, match="it is not signed"):
        followed(Remote(repository.url, "v1", signers=str(signers)), cache)


def test_signer_who_is_taken_out_is_told_and_what_was_signed_before_stays_until_a_restart(
    tmp_path: Path, repository: Repository, cache: Path, key: Path, signers: Path
) -> None:
    commit = repository.commit(key=key)
    remote = Remote(repository.url, signers=str(signers))
    follower = followed(remote, cache)
    signers.write_text(f"a@example.org {public(new_key(tmp_path / 'keys', 'other'))}\n")
    follower.look()
    assert (["remote-signature"], commit) == (codes(follower), commit_of(cache / "current"))
    with pytest.raises(SourceError, match="signed by nobody"):
        followed(remote, cache)


@pytest.mark.parametrize(
    "text", ["", "a@example.org\n", "a@example.org ssh-ed25519 AAAA\n", "a valid-after=x ssh-rsa A\n"]
)
def test_file_of_signers_that_cannot_be_used_refuses(
    repository: Repository, cache: Path, signers: Path, text: str
) -> None:
    signers.write_text(text)
    with pytest.raises(SourceError, match="`policies_signers` cannot be used"):
        followed(Remote(repository.url, signers=str(signers)), cache)


# ---- the file, by ssh-keygen's own signatures ---------------------------------------------------------------------------


def test_who_signed_is_said_by_the_name_in_the_file(key: Path, signers: Path) -> None:
    assert "a@example.org" == Signers(signers.read_text()).who(b"x", signed(key, b"x"))


@pytest.mark.parametrize("namespace", ["file", "git2", "GIT"])
def test_signature_for_another_purpose_is_none(key: Path, signers: Path, namespace: str) -> None:
    assert "" == Signers(signers.read_text()).who(b"x", signed(key, b"x", namespace))


@pytest.mark.parametrize(
    ("options", "who"),
    [
        ('namespaces="git"', "*@example.org"),
        ('namespaces="file"', ""),
        ('valid-before="20010101"', ""),
        ('valid-after="20010101"', "*@example.org"),
        ('valid-after="20990101"', ""),
        ("cert-authority", ""),
    ],
)
def test_options_of_a_signer_count(key: Path, options: str, who: str) -> None:
    assert who == Signers(f"*@example.org {options} {public(key)}\n").who(b"x", signed(key, b"x"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ('valid-befor="20010101"', "there is no option `valid-befor`"),
        ('Valid-Before="20010101"', "there is no option `Valid-Before`"),
        ('namespaces="file",Cert-Authority', "there is no option `Cert-Authority`"),
        ('valid-before="52w"', "`valid-before` must be a time"),
        ('valid-before="2001"', "`valid-before` must be a time"),
        ("valid-before=now", "`valid-before` must be a time"),
        ('valid-before="20010101",valid-before="20990101"', "must stand once, with a value"),
        ("valid-before", "must stand once, with a value"),
        ('cert-authority="no"', "must stand once, alone"),
    ],
)
def test_option_that_would_be_passed_over_is_an_error(key: Path, options: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Signers(f"*@example.org {options} {public(key)}\n")


def test_signature_by_a_hash_that_is_not_known_is_none(key: Path, signers: Path) -> None:
    lines = signed(key, b"x").splitlines()
    blob = b64decode(b"".join(lines[1:-1])).replace(b"sha512", b"sha513")
    assert "" == Signers(signers.read_text()).who(b"x", b"\n".join([lines[0], b64encode(blob), lines[-1]]))


def certificate(key: Path, authority: Path, *flags: str) -> Path:
    """The public key, certified. It signs by the private one, which is beside it."""
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "id", *flags, str(key.with_suffix(".pub"))]
    subprocess.run(command, check=True, capture_output=True)
    return key.with_name(f"{key.name}-cert.pub")


@pytest.mark.parametrize("principals", ["a@example.org", "*@example.org"])
def test_certificate_of_an_authority_signs(tmp_path: Path, key: Path, principals: str) -> None:
    authority = new_key(tmp_path / "keys", "authority")
    signature = signed(certificate(key, authority, "-n", "a@example.org"), b"x")
    file = f"{principals} cert-authority {{}}\n"
    assert "a@example.org" == Signers(file.format(public(authority))).who(b"x", signature)
    assert "" == Signers(file.format(public(new_key(tmp_path / "keys", "other")))).who(b"x", signature)


@pytest.mark.parametrize(
    "flags",
    [("-n", "b@example.com"), ("-n", "a@example.org", "-h"), ("-n", "a@example.org", "-V", "20010101:20020101"), ()],
    ids=["another's", "a host's", "over", "nobody's"],
)
def test_certificate_that_does_not_fit_signs_nothing(tmp_path: Path, key: Path, flags: tuple[str, ...]) -> None:
    authority = new_key(tmp_path / "keys", "authority")
    signature = signed(certificate(key, authority, *flags), b"x")
    assert "" == Signers(f"*@example.org cert-authority {public(authority)}\n").who(b"x", signature)


@pytest.mark.parametrize("damage", ["payload", "signature", "armour", "empty", "pgp"])
def test_what_was_damaged_is_no_signature(key: Path, signers: Path, damage: str) -> None:
    signature = signed(key, b"x")
    lines = signature.splitlines()
    damaged = {
        "payload": signature,
        "signature": b"\n".join([*lines[:-2], lines[-2][:-8] + b"AAAAAAA=", lines[-1]]),
        "armour": signature.replace(b"-----END", b"----END"),
        "empty": b"",
        "pgp": signature.replace(b"SSH", b"PGP"),
    }[damage]
    assert "" == Signers(signers.read_text()).who(b"y" if damage == "payload" else b"x", damaged)


def test_signers_that_cannot_be_read_any_more_let_nothing_be_served_after_a_restart(
    repository: Repository, cache: Path, key: Path, signers: Path
) -> None:
    repository.commit(key=key)
    remote = Remote(repository.url, signers=str(signers))
    follower = followed(remote, cache)
    signers.unlink()
    follower.look()
    assert (["remote-unreachable"], ["a.yaml"]) == (codes(follower), names(cache))
    with pytest.raises(SourceError, match="`policies_signers` cannot be read: no such file"):
        followed(remote, cache)
