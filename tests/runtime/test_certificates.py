"""Certificate files: what is refused, what is taken, when they are looked at. The certificates are made for the test."""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from mcp_acl.runtime import certificates as module
from mcp_acl.runtime.certificates import INTERVAL, CertificateError, Certificates, Pems
from mcp_acl.runtime.stamps import RESOLUTION, Stamp, stamp_of
from tests.runtime.watched import relinked

CA = trustme.CA()
ONE, OTHER = CA.issue_cert("one.example"), CA.issue_cert("other.example")
AUTHORITY = CA.cert_pem.bytes()
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def chain_of(cert: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in cert.cert_chain_pems)


def key_of(cert: trustme.LeafCert) -> bytes:
    return cert.private_key_pem.bytes()


def fill(directory: Path, cert: trustme.LeafCert) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "tls.crt").write_bytes(chain_of(cert))
    (directory / "tls.key").write_bytes(key_of(cert))
    (directory / "ca.crt").write_bytes(AUTHORITY)
    return directory


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(directory: Path, clock: Callable[[], float] | None = None) -> Certificates:
    return Certificates(
        directory / "tls.crt",
        directory / "tls.key",
        directory / "ca.crt",
        monotonic=clock or Clock(),
    )


def after(one: Certificates, clock: Clock, seconds: float = INTERVAL) -> Pems:
    clock.now += seconds
    return one.current()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return fill(tmp_path / "tls", ONE)


def pems(cert: trustme.LeafCert) -> Pems:
    return Pems(chain_of(cert), key_of(cert), AUTHORITY)


# ---- at the start ----------------------------------------------------------------------------------------------------


def test_what_the_files_hold_is_in_force(files: Path) -> None:
    assert pems(ONE) == made(files).current()
    assert made(files).requires_clients
    one = Certificates(files / "tls.crt", files / "tls.key")
    assert (Pems(chain_of(ONE), key_of(ONE)), False) == (one.current(), one.requires_clients)


def encrypted(key: bytes, form: serialization.PrivateFormat) -> bytes:
    read = serialization.load_pem_private_key(key, None)
    password = serialization.BestAvailableEncryption(b"secret")
    return read.private_bytes(serialization.Encoding.PEM, form, password)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("tls.crt", b"", "tls.crt` holds no certificate in PEM"),
        ("tls.crt", key_of(ONE), "tls.crt` holds no certificate in PEM"),
        ("tls.crt", chain_of(ONE)[:-40], "tls.crt` holds no certificate in PEM"),
        ("tls.crt", chain_of(ONE) + CERTIFICATE, "certificate 2 in `.*tls.crt` is damaged"),
        ("tls.crt", CERTIFICATE.replace(b"AAAA", b"\xff"), "certificate 1 in `.*tls.crt` is damaged"),
        ("tls.crt", AUTHORITY + chain_of(ONE), "is not that of the first certificate in `.*tls.crt`; put the server's"),
        ("tls.key", b"", "tls.key` holds no private key in PEM"),
        ("tls.key", chain_of(ONE), "tls.key` holds no private key in PEM"),
        ("tls.key", key_of(ONE)[:-80], "tls.key` holds no private key in PEM"),
        ("tls.key", key_of(OTHER), "the key in `.*tls.key` is not that of the first certificate"),
        ("ca.crt", b"", "ca.crt` holds no certificate in PEM"),
        ("ca.crt", CERTIFICATE, "certificate 1 in `.*ca.crt` is damaged"),
    ],
)
def test_file_that_cannot_be_used_is_named_with_what_to_do(files: Path, name: str, content: bytes, text: str) -> None:
    (files / name).write_bytes(content)
    with pytest.raises(CertificateError, match=text):
        made(files)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_encrypted_key_is_refused_without_asking_for_its_password(
    files: Path, form: serialization.PrivateFormat
) -> None:
    (files / "tls.key").write_bytes(encrypted(key_of(ONE), form))
    with pytest.raises(CertificateError, match=r"tls\.key` is encrypted; write it without a password"):
        made(files)


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt"])
def test_file_that_is_not_there_is_named(files: Path, name: str) -> None:
    (files / name).unlink()
    with pytest.raises(CertificateError, match=f"{name}` cannot be read: no such file or directory"):
        made(files)


def test_files_that_change_all_the_time_are_refused_at_the_start(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = module._content

    def amid(file: Path) -> bytes:
        os.utime(file)
        return content(file)

    monkeypatch.setattr(module, "_content", amid)
    with pytest.raises(CertificateError, match="change while they are read"):
        made(files)


def test_text_between_certificates_may_be_of_any_kind(files: Path) -> None:
    (files / "ca.crt").write_bytes("größe\n".encode("latin-1") + AUTHORITY)
    assert AUTHORITY in made(files).current().client_authorities


# ---- later -----------------------------------------------------------------------------------------------------------


def test_change_is_taken_and_told_without_the_key(files: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    one = made(files, clock)
    fill(files, OTHER)
    with caplog.at_level(logging.INFO):
        assert pems(OTHER) == after(one, clock)
    (record,) = caplog.records
    assert f"the certificate in {files / 'tls.crt'} was changed" == record.getMessage()
    assert "PRIVATE" not in repr(one.current())


def test_secret_is_taken_as_a_whole(tmp_path: Path) -> None:
    fill(tmp_path / "..one", ONE)
    (tmp_path / "..data").symlink_to("..one")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).symlink_to(Path("..data", name))
    clock = Clock()
    one = made(tmp_path, clock)
    fill(tmp_path / "..two", OTHER)
    relinked(tmp_path / "..data", Path("..two"))
    assert pems(OTHER) == after(one, clock)


def test_authorities_that_change_are_taken(files: Path) -> None:
    clock = Clock()
    one = made(files, clock)
    other = trustme.CA().cert_pem.bytes()
    (files / "ca.crt").write_bytes(other)
    assert other == after(one, clock).client_authorities


def test_files_are_looked_at_once_a_second(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    one = made(files, clock)
    looks: list[Path] = []

    def spy(file: Path) -> Stamp:
        looks.append(file)
        return stamp_of(file)

    monkeypatch.setattr(module, "stamp_of", spy)
    one.current()
    after(one, clock, 0.5 * INTERVAL)
    assert [] == looks
    after(one, clock, 0.5 * INTERVAL)
    one.current()
    assert 3 == len(looks)


def test_half_of_a_change_is_refused_and_told_once_and_the_rest_is_taken(
    files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    one = made(files, clock)
    (files / "tls.crt").write_bytes(chain_of(OTHER))
    for _ in range(10):
        assert pems(ONE) == after(one, clock)
    (record,) = caplog.records
    assert logging.ERROR == record.levelno
    assert "those before stay in force: the key in" in record.getMessage()
    (files / "tls.key").write_bytes(key_of(OTHER))
    assert pems(OTHER) == after(one, clock)
    (files / "tls.key").write_bytes(key_of(ONE))
    after(one, clock)
    assert 2 == len(caplog.records)


def test_files_that_change_while_they_are_read_are_read_again(
    files: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    one = made(files, clock)
    content = module._content

    def amid(file: Path) -> bytes:
        found = content(file)
        if file.name == "tls.key":
            file.write_bytes(key_of(OTHER))
            (files / "tls.crt").write_bytes(chain_of(ONE))
        return found

    (files / "tls.crt").write_bytes(chain_of(OTHER))
    with monkeypatch.context() as patched:
        patched.setattr(module, "_content", amid)
        assert pems(ONE) == after(one, clock)
    assert [] == caplog.records
    (files / "tls.crt").write_bytes(chain_of(OTHER))
    assert pems(OTHER) == after(one, clock)


def test_file_that_can_be_read_again_is_read_though_its_state_is_the_same(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_: Path) -> bytes:
        raise CertificateError("stale file handle")

    clock = Clock()
    one = made(files, clock)
    fill(files, OTHER)
    with monkeypatch.context() as patched:
        patched.setattr(module, "_content", stale)
        for _ in range(10):
            assert pems(ONE) == after(one, clock)
    assert pems(OTHER) == after(one, clock, RESOLUTION)


def test_change_that_the_clock_of_the_file_system_hides_is_found_by_content(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "stamp_of", lambda _: (1,))
    clock = Clock()
    one = made(files, clock)
    fill(files, OTHER)
    assert pems(ONE) == after(one, clock)
    assert pems(OTHER) == after(one, clock, RESOLUTION)


def test_file_that_vanishes_leaves_what_is_in_force(files: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    one = made(files, clock)
    (files / "tls.key").unlink()
    assert pems(ONE) == after(one, clock)
    assert "tls.key` cannot be read" in caplog.text


def test_bug_leaves_what_is_in_force_and_is_told(
    files: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("unheard of")

    clock = Clock()
    one = made(files, clock)
    fill(files, OTHER)
    with monkeypatch.context() as patched:
        patched.setattr(module, "_check_certificates", broken)
        for _ in range(5):
            assert pems(ONE) == after(one, clock)
    assert 1 == len(caplog.records)
    fill(files, OTHER)
    assert pems(OTHER) == after(one, clock)


def test_nobody_waits_for_who_looks(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    one = made(files, clock)
    began, go_on = threading.Event(), threading.Event()
    content = module._content

    def slow(file: Path) -> bytes:
        began.set()
        assert go_on.wait(30)
        return content(file)

    monkeypatch.setattr(module, "_content", slow)
    fill(files, OTHER)
    clock.now += INTERVAL
    looker = threading.Thread(target=one.current)
    looker.start()
    assert began.wait(30)
    clock.now += INTERVAL
    assert pems(ONE) == one.current()
    go_on.set()
    looker.join()
    assert pems(OTHER) == one.current()
