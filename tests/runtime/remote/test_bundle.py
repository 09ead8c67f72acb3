"""Archives over HTTPS: their ETag, and what is in them that must not be taken."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from gzip import compress
from pathlib import Path

import pytest

from mcp_acl.problems import SourceError
from mcp_acl.runtime.commit import commit_of
from mcp_acl.runtime.remote import bundle
from mcp_acl.runtime.remote.bundle import files_of
from mcp_acl.runtime.remote.source import Remote
from tests.certificates import Certified
from tests.runtime.remote.conftest import codes, followed, names
from tests.runtime.remote.hosting import Host, hosting, tar
from tests.runtime.remote.repositories import policy

Files = Mapping[str, str]


def zipped(files: Files) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return written.getvalue()


KINDS: Mapping[str, Callable[[Files], bytes]] = {"tar.gz": tar, "zip": zipped}
GOOD = {"a.yaml": policy("a"), "README.md": "text", "sub/b.yaml": policy("b")}


@pytest.fixture
def remote(host: Host, certified: Certified) -> Remote:
    host.archives["p.tar.gz"] = (tar(GOOD), '"1"')
    return Remote(host.url("p.tar.gz"), ca=str(certified.client_ca))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("path", "found"), [("", ["a.yaml"]), ("sub", ["b.yaml"])])
def test_archive_is_in_force(  # noqa: PLR0913, PLR0917 - fixtures
    host: Host, certified: Certified, cache: Path, kind: str, path: str, found: list[str]
) -> None:
    host.archives[f"p.{kind}"] = (KINDS[kind](GOOD), "")
    followed(Remote(host.url(f"p.{kind}"), path=path, ca=str(certified.client_ca)), cache)
    assert (found, "") == (names(cache), commit_of(cache / "current"))


def test_archive_that_did_not_change_is_not_sent_again(host: Host, remote: Remote, cache: Path) -> None:
    follower = followed(remote, cache)
    follower.look()
    host.archives["p.tar.gz"] = (tar({"c.yaml": policy("c")}), '"2"')
    follower.look()
    assert ["c.yaml"] == names(cache)
    assert [200, 304, 200] == [status for _, _, status in host.asked]


def test_archive_that_is_refused_is_not_sent_again_either(host: Host, remote: Remote, cache: Path) -> None:
    follower = followed(remote, cache)
    host.archives["p.tar.gz"] = (tar({"../c.yaml": policy("c")}), '"2"')
    for _ in range(2):
        follower.look()
        assert (["remote-content"], ["a.yaml"]) == (codes(follower), names(cache))
    assert [200, 200, 304] == [status for _, _, status in host.asked]


def test_same_bytes_under_another_etag_are_nothing_new(
    host: Host, remote: Remote, cache: Path, logged: pytest.LogCaptureFixture
) -> None:
    follower = followed(remote, cache)
    host.archives["p.tar.gz"] = (host.archives["p.tar.gz"][0], '"2"')
    follower.look()
    assert 1 == logged.text.count("policies fetched")


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "it was answered 404"), (302, "redirects are not followed"), (401, "see `policies_token`")],
)
def test_what_is_no_answer_leaves_what_is_in_force(  # noqa: PLR0913, PLR0917 - fixtures
    host: Host, remote: Remote, cache: Path, status: int, why: str, logged: pytest.LogCaptureFixture
) -> None:
    follower = followed(remote, cache)
    content = host.archives.pop("p.tar.gz")
    if status == 302:
        host.archives["elsewhere.tar.gz"] = content
        host.redirects["p.tar.gz"] = host.url("elsewhere.tar.gz")
    if status == 401:
        host.authorization = "Bearer x"
    follower.look()
    assert (["remote-unreachable"], ["a.yaml"]) == (codes(follower), names(cache))
    trouble = follower.cache.state().trouble
    assert trouble is not None
    assert why in f"{trouble.problems[0].message} {trouble.problems[0].hint}"
    assert "policies of https://" in logged.text


def test_token_is_shown(host: Host, remote: Remote, cache: Path, tmp_path: Path) -> None:
    host.authorization = "Bearer s3cret"
    (tmp_path / "token").write_text("s3cret\n")
    followed(Remote(remote.url, token=str(tmp_path / "token"), ca=remote.ca), cache)
    assert ["a.yaml"] == names(cache)


def test_nobody_stands_between_on_loopback(remote: Remote, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    followed(remote, cache)
    assert ["a.yaml"] == names(cache)


def test_archive_of_an_authority_that_is_not_believed_is_not_fetched(remote: Remote, cache: Path) -> None:
    with pytest.raises(SourceError, match="certificate verify failed"):
        followed(Remote(remote.url), cache)


def test_loopback_may_do_without_tls(tmp_path: Path, cache: Path) -> None:
    with hosting(tmp_path, None) as host:
        host.archives["p.tar.gz"] = (tar(GOOD), "")
        followed(Remote(host.url("p.tar.gz", "http")), cache)
    assert ["a.yaml"] == names(cache)


# ---- what must not be taken --------------------------------------------------------------------------------------------


def refusal(body: bytes, within: tuple[str, ...] = ()) -> str:
    with pytest.raises(SourceError) as caught:
        files_of(body, within)
    (problem,) = caught.value.problems
    assert "remote-content" == problem.code
    return problem.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["../a.yaml", "/a.yaml", "x/../../a.yaml", "x/..", "..", "..\\a.yaml", "C:/a.yaml", "C:a.yaml", "x/../a.yaml"],
)
def test_name_that_leads_out_refuses_the_archive(kind: str, name: str) -> None:
    assert "which leads out of it" in refusal(KINDS[kind]({**GOOD, name: policy("c")}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["./a.yaml", "A.YAML", "a.yaml", ".//a.yaml"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_that_is_there_twice_refuses_the_archive(kind: str, name: str) -> None:
    written = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(written, "w") as zip_:
            for one in ("a.yaml", name):
                zip_.writestr(one, policy("a"))
    else:
        with tarfile.open(fileobj=written, mode="w:gz") as tar_:
            for one in ("a.yaml", name):
                tar_.addfile(tarfile.TarInfo(one))
    assert "is in it twice" in refusal(written.getvalue())


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE], ids=bytes.decode
)
@pytest.mark.parametrize("name", ["c.yaml", "elsewhere/c"])
def test_link_or_device_refuses_the_archive(kind: bytes, name: str) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    assert f"`{name}` in it is neither file nor directory" in refusal(written.getvalue())


def test_link_in_a_zip_refuses_it() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        member = zipfile.ZipInfo("c.yaml")
        member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    assert "`c.yaml` in it is neither file nor directory" in refusal(written.getvalue())


def test_encrypted_zip_is_refused() -> None:
    body = bytearray(zipped(GOOD))
    body[body.index(b"PK\x01\x02") + 8] |= 1
    assert "or is encrypted" in refusal(bytes(body))


def test_name_that_a_reader_would_cut_is_read_as_it_stands() -> None:
    body = zipped({"a.yaml_./x": policy("a")}).replace(b"a.yaml_./x", b"a.yaml\0./x")
    assert "which leads out of it" in refusal(body)


def zeros(count: int) -> bytes:
    """A tar of one file of zeros that is no policy, packed as hard as can be."""
    member = tarfile.TarInfo("zeros")
    member.size = count
    return compress(member.tobuf() + bytes(count), 9)


def test_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_INFLATED", 1 << 20)
    body = zeros(64 << 20)
    assert len(body) < 1 << 17
    assert "more than 1,048,576 bytes are in it" in refusal(body)
    assert "more than 1,048,576 bytes are in it" in refusal(zipped({"zeros": "0" * (2 << 20)}))


def test_head_of_a_tar_that_is_a_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader takes into memory before there is an entry: extended headers, long names."""
    monkeypatch.setattr(bundle, "MAX_INFLATED", 1 << 20)
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        member = tarfile.TarInfo("x")
        member.type, member.size = kind, 32 << 20
        assert "more than 1,048,576 bytes are in it" in refusal(compress(member.tobuf() + bytes(32 << 20)))


@pytest.mark.parametrize("kind", KINDS)
def test_policy_file_is_read_no_further_than_it_may_be_long(kind: str) -> None:
    assert "`a.yaml` has more than 1,048,576 bytes" in refusal(KINDS[kind]({"a.yaml": "#" * (8 << 20)}))


def test_archive_of_a_million_entries_is_refused() -> None:
    member = tarfile.TarInfo("x/00000000")
    entry = member.tobuf()
    assert 512 == len(entry)
    entries = b"".join(tarfile.TarInfo(f"x/{number:08}").tobuf() for number in range(10_001))
    assert "there are more than 10,000 entries in it" in refusal(compress(entries + entry * 990_000, 1))


def test_zip_of_many_entries_is_refused() -> None:
    assert "there are more than 10,000 entries in it" in refusal(
        zipped({f"x/{number}": "" for number in range(10_001)})
    )


def test_more_policies_than_may_be_are_refused() -> None:
    assert "there are more than 2,000 policy files" in refusal(tar({f"{number}.yaml": "" for number in range(2_001)}))


@pytest.mark.parametrize(
    "body",
    [b"", b"PK", b"\x1f\x8b", b"<html>", tar(GOOD)[:60], zipped(GOOD)[:60], compress(b"text" * 1000), compress(b"")],
    ids=["nothing", "PK", "gzip", "page", "cut tar", "cut zip", "text", "empty"],
)
def test_what_is_no_archive_is_refused(body: bytes) -> None:
    assert refusal(body)


def test_archive_that_is_larger_than_it_may_be_is_not_read_to_its_end(host: Host, remote: Remote, cache: Path) -> None:
    follower = followed(remote, cache)
    host.archives["p.tar.gz"] = (bytes(bundle.MAX_BYTES + 1), "")
    follower.look()
    assert (["remote-unreachable"], ["a.yaml"]) == (codes(follower), names(cache))


def test_directory_inside_that_is_not_there_is_said() -> None:
    assert "there is no `*.yaml` file in `nowhere`" == refusal(tar(GOOD), ("nowhere",))
