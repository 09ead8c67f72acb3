"""Policies from git repositories that git made: which commit, which files, and how they are reached."""

from pathlib import Path
from typing import Any

import pytest

from mcp_acl.problems import SourceError
from mcp_acl.runtime.commit import commit_of
from mcp_acl.runtime.remote import git
from mcp_acl.runtime.remote.order import Order
from mcp_acl.runtime.remote.source import Remote
from mcp_acl.runtime.store import load_policies
from tests.certificates import Certified
from tests.runtime.remote.conftest import codes, followed, names
from tests.runtime.remote.hosting import Host, by_ssh
from tests.runtime.remote.repositories import Repository, new_key, policy, public


def refusal(remote: Remote, cache: Path) -> str:
    """Why nothing is taken, when nothing was before."""
    with pytest.raises(SourceError) as caught:
        followed(remote, cache)
    assert not (cache / "current").exists()
    return " ".join(f"{one.code}: {one.message}; {one.hint}" for one in caught.value.problems)


def test_commit_of_the_default_branch_is_in_force_and_reported(repository: Repository, cache: Path) -> None:
    head = repository.git("rev-parse", "HEAD")
    followed(Remote(repository.url), cache)
    assert ["a.yaml"] == names(cache)
    assert not (cache / "current" / "README.md").exists()
    assert head == commit_of(cache / "current")
    assert load_policies(cache / "current").revision.endswith(head[:12])


@pytest.mark.parametrize("ref", ["main", "refs/heads/main"])
def test_branch_is_followed(repository: Repository, cache: Path, ref: str) -> None:
    follower = followed(Remote(repository.url, ref), cache)
    commit = repository.commit({"b.yaml": policy("b")})
    assert ["a.yaml"] == names(cache)
    follower.look()
    assert (["a.yaml", "b.yaml"], commit) == (names(cache), commit_of(cache / "current"))


def test_other_branch_is_not_looked_at(repository: Repository, cache: Path) -> None:
    repository.git("push", "--quiet", "origin", "HEAD:release")
    repository.commit({"b.yaml": policy("b")})
    followed(Remote(repository.url, "release"), cache)
    assert ["a.yaml"] == names(cache)


@pytest.mark.parametrize("flags", [(), ("-a", "-m", "first")], ids=["light", "annotated"])
def test_tag_is_taken_and_its_commit_reported(repository: Repository, cache: Path, flags: tuple[str, ...]) -> None:
    commit = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1", *flags)
    repository.push("v1")
    repository.commit({"b.yaml": policy("b")})
    followed(Remote(repository.url, "v1"), cache)
    assert (["a.yaml"], commit) == (names(cache), commit_of(cache / "current"))


def test_commit_is_pinned_whatever_the_branch_does(repository: Repository, cache: Path) -> None:
    pinned = repository.git("rev-parse", "HEAD")
    repository.commit({"b.yaml": policy("b")})
    follower = followed(Remote(repository.url, pinned), cache)
    assert (["a.yaml"], pinned) == (names(cache), commit_of(cache / "current"))
    repository.bare.rename(repository.bare.with_name("gone"))
    follower.look()
    assert [] == codes(follower)


def test_directory_inside_is_what_counts(repository: Repository, cache: Path) -> None:
    repository.commit({"deep/er/c.yaml": policy("c"), "deep/er/still/d.yaml": policy("d"), "deep/er/.e.yaml": "x"})
    followed(Remote(repository.url, path="deep/er"), cache)
    assert ["c.yaml"] == names(cache)


@pytest.mark.parametrize(
    ("remote", "why"),
    [
        ({"ref": "nowhere"}, "remote-unreachable: there is no branch or tag `nowhere`"),
        ({"ref": "0" * 40}, "remote-unreachable: "),
        ({"path": "nowhere"}, "remote-content: there is no directory `nowhere`; see `policies_path`"),
        ({"path": "README.md"}, "remote-content: there is no directory `README.md`"),
        ({"path": "empty"}, "remote-content: there is no `*.yaml` file in `empty`"),
    ],
)
def test_what_is_not_there_is_said(repository: Repository, cache: Path, remote: dict[str, Any], why: str) -> None:
    repository.commit({"empty/x.txt": "x"})
    assert refusal(Remote(repository.url, **remote), cache).startswith(why)


def test_branch_and_tag_of_one_name_are_not_chosen_between(repository: Repository, cache: Path) -> None:
    repository.push("HEAD:refs/tags/main")
    assert "say `refs/heads/main` or `refs/tags/main`" in refusal(Remote(repository.url, "main"), cache)
    followed(Remote(repository.url, "refs/tags/main"), cache)
    assert ["a.yaml"] == names(cache)


def test_link_among_the_files_refuses_the_commit(repository: Repository, cache: Path) -> None:
    (repository.tree / "passwd.yaml").symlink_to("/etc/passwd")
    repository.commit()
    assert "remote-content: `passwd.yaml` is a link or a submodule" in refusal(Remote(repository.url), cache)


def test_submodule_is_not_followed(repository: Repository, cache: Path) -> None:
    entry = f"160000,{repository.git('rev-parse', 'HEAD')},sub.yaml"
    repository.git("update-index", "--add", "--cacheinfo", entry)
    repository.git("commit", "--quiet", "-m", "submodule")
    repository.push("HEAD:main")
    assert "`sub.yaml` is a link or a submodule" in refusal(Remote(repository.url), cache)


def test_name_that_leads_elsewhere_is_refused(repository: Repository, cache: Path) -> None:
    """No git writes such a tree; whoever serves objects may."""
    blob = repository.git("rev-parse", "HEAD:a.yaml")
    tree = repository.tree / "evil"
    tree.write_bytes(b"100644 x\\a.yaml\0" + bytes.fromhex(blob))
    made = repository.git("hash-object", "-t", "tree", "-w", "--literally", str(tree))
    commit = repository.git("commit-tree", made, "-m", "evil")
    repository.push(f"{commit}:main")
    assert "is no name for a policy file" in refusal(Remote(repository.url), cache)


def test_attributes_and_filters_change_no_byte(repository: Repository, cache: Path) -> None:
    text = policy("b").replace("\n", "\n# $Id$\n", 1)
    repository.commit({".gitattributes": "*.yaml ident eol=crlf filter=evil\n"})
    repository.commit({"b.yaml": text})
    followed(Remote(repository.url), cache)
    assert text.encode() == (cache / "current" / "b.yaml").read_bytes()


def test_hooks_of_a_repository_are_not_run(repository: Repository, cache: Path, tmp_path: Path) -> None:
    for name in ("post-checkout", "reference-transaction", "post-merge"):
        hook = repository.bare / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    followed(Remote(repository.url), cache)
    assert not (tmp_path / "ran").exists()


def test_more_than_may_be_sent_is_not_taken(
    repository: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    monkeypatch.setattr(git, "MAX_PACK", 100)
    found = git.newest(Order(Remote(repository.url), str(cache)))
    assert found is not None
    with pytest.raises(SourceError, match="more than 100 bytes would have to be fetched"):
        found.load()
    assert [] == [*cache.iterdir()]


# ---- over https --------------------------------------------------------------------------------------------------------


def test_repository_over_https(repository: Repository, cache: Path, host: Host, certified: Certified) -> None:
    remote = Remote(host.url("bare.git", "git+https"), "main", ca=str(certified.client_ca))
    follower = followed(remote, cache)
    commit = repository.commit({"b.yaml": policy("b")})
    follower.look()
    assert (["a.yaml", "b.yaml"], commit) == (names(cache), commit_of(cache / "current"))
    before = len(host.asked)
    follower.look()
    assert {"GET", "POST"} >= {method for method, _, _ in host.asked[before:]}
    assert 2 >= len(host.asked[before:])


def test_commit_is_pinned_over_https(repository: Repository, cache: Path, host: Host, certified: Certified) -> None:
    pinned = repository.git("rev-parse", "HEAD")
    repository.commit({"b.yaml": policy("b")})
    followed(Remote(host.url("bare.git", "git+https"), pinned, ca=str(certified.client_ca)), cache)
    assert (["a.yaml"], pinned) == (names(cache), commit_of(cache / "current"))


@pytest.mark.parametrize(
    ("content", "header"),
    [("s3cret\n", "Basic Z2l0OnMzY3JldA=="), ("me:s3cret", "Basic bWU6czNjcmV0")],
    ids=["token", "user and password"],
)
def test_token_is_shown_and_never_told(  # noqa: PLR0913, PLR0917 - fixtures
    repository: Repository,
    cache: Path,
    host: Host,
    certified: Certified,
    logged: pytest.LogCaptureFixture,
    content: str,
    header: str,
) -> None:
    token = repository.tree.with_name("token")
    token.write_text(content)
    remote = Remote(host.url("bare.git", "git+https"), token=str(token), ca=str(certified.client_ca))
    host.authorization = header
    follower = followed(remote, cache)
    assert ["a.yaml"] == names(cache)
    host.authorization = "another"
    follower.look()
    assert ["remote-unreachable"] == codes(follower)
    assert "s3cret" not in logged.text + (cache / "remote.json").read_text()


def test_certificate_of_another_authority_is_not_believed(repository: Repository, cache: Path, host: Host) -> None:
    assert repository
    assert "certificate" in refusal(Remote(host.url("bare.git", "git+https")), cache).lower()


def test_nobody_stands_between_on_loopback(  # not even a proxy that the environment names
    repository: Repository, cache: Path, host: Host, certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repository
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    followed(Remote(host.url("bare.git", "git+https"), ca=str(certified.client_ca)), cache)
    assert ["a.yaml"] == names(cache)


def test_redirect_is_not_followed(repository: Repository, cache: Path, host: Host, certified: Certified) -> None:
    assert repository
    host.redirects["moved.git/info/refs"] = host.url("bare.git/info/refs?service=git-upload-pack")
    found = refusal(Remote(host.url("moved.git", "git+https"), ca=str(certified.client_ca)), cache)
    assert "redirects are not followed" in found


def test_page_instead_of_a_repository_is_none(cache: Path, host: Host, certified: Certified) -> None:
    host.archives["page.git/info/refs"] = (b"<html>", "")
    found = refusal(Remote(host.url("page.git", "git+https"), ca=str(certified.client_ca)), cache)
    assert "does not speak git's protocol" in found


# ---- over ssh ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def over_ssh(tmp_path: Path, repository: Repository, key: Path) -> Remote:
    own = new_key(tmp_path / "keys", "host")
    clients = tmp_path / "clients"
    clients.write_text(public(key))
    known = tmp_path / "known_hosts"
    known.write_text(public(own))
    return Remote(f"git+ssh://git@localhost:0{repository.bare}", key=str(key), known_hosts=str(known))


def test_repository_over_ssh(tmp_path: Path, repository: Repository, cache: Path, over_ssh: Remote) -> None:
    with by_ssh(tmp_path / "keys" / "host", tmp_path / "clients") as port:
        host_line = (tmp_path / "keys" / "host.pub").read_text()
        Path(over_ssh.known_hosts).write_text(f"[localhost]:{port} {host_line}")
        remote = Remote(over_ssh.url.replace(":0/", f":{port}/"), key=over_ssh.key, known_hosts=over_ssh.known_hosts)
        follower = followed(remote, cache)
        commit = repository.commit({"b.yaml": policy("b")})
        follower.look()
        assert (["a.yaml", "b.yaml"], commit) == (names(cache), commit_of(cache / "current"))


def test_host_and_key_that_are_not_known_are_refused(tmp_path: Path, cache: Path, over_ssh: Remote) -> None:
    other = new_key(tmp_path / "keys", "other")
    with by_ssh(tmp_path / "keys" / "host", tmp_path / "clients") as port:
        url, known = over_ssh.url.replace(":0/", f":{port}/"), Path(over_ssh.known_hosts)
        known.write_text(f"[localhost]:{port} {public(other)}")
        assert "ssh to localhost:" in refusal(Remote(url, key=over_ssh.key, known_hosts=str(known)), cache)
        known.write_text(f"[localhost]:{port} {public(tmp_path / 'keys' / 'host')}")
        assert "ssh to localhost:" in refusal(Remote(url, key=str(other), known_hosts=str(known)), cache)
