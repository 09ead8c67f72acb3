"""Certificate files: what is good replaces what is in force, what is not never does."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from mcp_acl.runtime.certificates import CertificateError, Certificates
from tests.certificates import Certified


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def certificates(certified: Certified, clock: Clock) -> Certificates:
    return Certificates(certified.cert, certified.key, certified.client_ca, monotonic=clock)


def encrypted(key: bytes) -> bytes:
    return load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )


FAULTS: dict[str, tuple[Callable[[Certified], object], str]] = {
    "no chain": (lambda files: files.cert.unlink(), "tls.crt` cannot be read: no such file"),
    "no key": (lambda files: files.key.unlink(), "tls.key` cannot be read"),
    "no authorities": (lambda files: files.client_ca.unlink(), "ca.crt` cannot be read"),
    "a directory": (lambda files: files.client_ca.unlink() or files.client_ca.mkdir(), "is a directory"),  # type: ignore[func-returns-value]
    "half a chain": (lambda files: files.cert.write_bytes(files.cert.read_bytes()[:200]), "tls.crt` and"),
    "an empty key": (lambda files: files.key.write_bytes(b""), "tls.key` are no certificate and its key"),
    "another's key": (
        lambda files: files.key.write_bytes(Certified(files.key.parent / "x").key.read_bytes()),
        "mismatch",
    ),
    "an encrypted key": (
        lambda files: files.key.write_bytes(encrypted(files.key.read_bytes())),
        "the key is encrypted",
    ),
    "key for chain": (lambda files: files.cert.write_bytes(files.key.read_bytes()), "no certificate and its key"),
    "authorities that are none": (lambda files: files.client_ca.write_bytes(b"x"), "ca.crt` holds no certificates"),
    "authorities beyond ASCII": (lambda files: files.client_ca.write_bytes(b"\xff"), "ca.crt` holds no certificates"),
    "too large": (lambda files: files.client_ca.write_bytes(bytes(2_000_000)), "larger than"),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest, certified: Certified) -> tuple[Callable[[], object], str]:
    (certified.key.parent / "x").mkdir()
    break_it, text = FAULTS[request.param]
    return lambda: break_it(certified), text


def test_files_that_cannot_be_used_say_which_and_why(
    certified: Certified, fault: tuple[Callable[[], object], str]
) -> None:
    fault[0]()
    with pytest.raises(CertificateError, match=fault[1]):
        Certificates(certified.cert, certified.key, certified.client_ca)


def test_files_that_cannot_be_used_never_replace_those_in_force_and_that_is_told_once(
    certificates: Certificates,
    clock: Clock,
    fault: tuple[Callable[[], object], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = certificates.current()
    fault[0]()
    for _ in range(3):
        clock.now += 1
        assert before is certificates.current()
    (record,) = caplog.records
    assert (logging.ERROR, True) == (record.levelno, fault[1] in record.getMessage())


def test_what_is_new_is_in_force_at_the_next_look_and_not_before(
    certified: Certified, certificates: Certificates, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = certificates.current()
    certified.renew()
    clock.now += 0.5
    assert before is certificates.current()
    clock.now += 0.5
    after = certificates.current()
    assert (certified.cert.read_bytes(), certified.key.read_bytes()) == (after.chain, after.key)
    assert certified.root == after.client_authorities
    clock.now += 1
    assert after is certificates.current()
    (record,) = caplog.records
    assert b"PRIVATE" not in record.getMessage().encode()


def test_files_that_were_refused_are_taken_when_they_are_good_again(
    certified: Certified, certificates: Certificates, clock: Clock
) -> None:
    certified.cert.write_bytes(b"")
    clock.now += 1
    certificates.current()
    certified.renew()
    clock.now += 1
    assert certified.cert.read_bytes() == certificates.current().chain


def test_links_that_are_set_to_other_files_are_followed(tmp_path: Path, clock: Clock) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old, new = Certified(tmp_path / "old"), Certified(tmp_path / "new")
    link = tmp_path / "data"
    link.symlink_to("old")
    certificates = Certificates(link / "tls.crt", link / "tls.key", link / "ca.crt", monotonic=clock)
    assert old.root == certificates.current().client_authorities
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").replace(link)
    clock.now += 1
    assert (new.root, new.cert.read_bytes()) == (
        certificates.current().client_authorities,
        certificates.current().chain,
    )


def test_files_that_change_while_they_are_read_are_read_again(
    certified: Certified, certificates: Certificates, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, before = Certificates._read, certificates.current()

    def disturbed(self: Certificates) -> object:
        pems = read(self)
        monkeypatch.setattr(Certificates, "_read", read)
        certified.renew()
        return pems

    monkeypatch.setattr(Certificates, "_read", disturbed)
    certified.renew()
    clock.now += 1
    assert before is certificates.current()
    clock.now += 1
    assert certified.cert.read_bytes() == certificates.current().chain


def test_clients_are_asked_for_certificates_only_if_someone_signs_them(certified: Certified) -> None:
    assert certified.certificates(clients=True).requires_clients
    without = certified.certificates(clients=False)
    assert (False, b"") == (without.requires_clients, without.current().client_authorities)


def test_several_authorities_are_one_file(certified: Certified) -> None:
    both = certified.root + trustme.CA().cert_pem.bytes()
    certified.client_ca.write_bytes(both)
    assert both == certified.certificates(clients=True).current().client_authorities
