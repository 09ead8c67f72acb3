"""Settings of policies from elsewhere: what a URL may be, and what does not go together."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.settings_remote import remote_of

HTTPS = "git+https://git.example.org/p.git"
SSH: dict[str, Any] = {"policies_from": "git+ssh://git@git.example.org/p.git", "policies_key": Path("k")}
ARCHIVE = "https://example.org/p.tar.gz"


def settings(**given: Any) -> Settings:
    return Settings(**{"policies": Path("p"), **given})


def refusal(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    (error,) = caught.value.errors()
    return str(error["msg"]).removeprefix("Value error, ")


@pytest.mark.parametrize(
    "url",
    [
        HTTPS,
        SSH["policies_from"].replace("git@", ""),
        "git+ssh://git@git.example.org:2222/~/p.git",
        "git+file:///srv/p.git",
        "git+http://127.0.0.1:8080/p.git",
        "git+http://[::1]/p.git",
        "http://localhost/p.zip",
        ARCHIVE,
        "https://example.org/p.tgz",
    ],
)
def test_url_is_taken(url: str) -> None:
    more = {"policies_key": Path("k"), "policies_known_hosts": Path("h")} if "ssh" in url else {}
    assert url == settings(policies_from=url, **more).policies_from


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("git.example.org/p.git", "it must begin with `git+https://`"),
        ("git@git.example.org:p.git", "it must begin with"),
        ("git://git.example.org/p.git", "it must begin with"),
        ("git+ext::sh -c id", "it must be a URL without spaces"),
        ("git+ext://sh", "it must begin with"),
        ("git+http://git.example.org/p.git", "whoever stands in between could write the policies"),
        ("http://127.0.0.1.example.org/p.zip", "whoever stands in between"),
        ("git+https://token@git.example.org/p.git", "a URL is logged, so it must hold no credentials"),
        ("https://a:b@example.org/p.zip", "a URL is logged"),
        ("git+ssh://git:b@git.example.org/p.git", "a URL is logged"),
        ("https://example.org/p.zip?token=x", "it must have neither `?` nor `#`"),
        ("git+https://git.example.org/p.git#main", "it must have neither"),
        ("https://example.org/p", "an archive is named `*.tar.gz`"),
        ("git+https://git.example.org", "it must name a host and a path"),
        ("git+https:///p.git", "it must name a host"),
        ("git+https://git.example.org:x/p.git", "Port could not be cast"),
        ("git+file://host/p.git", "it must be `git+file:///`"),
        ("git+file:///", "it must be `git+file:///`"),
        ("https://exämple.org/p.zip", "it must be a URL without spaces, in ASCII"),
        ("https://example.org/p.zip\n", "it must be a URL without spaces"),
    ],
)
def test_url_that_cannot_be_used_is_refused(url: str, why: str) -> None:
    assert refusal(policies_from=url).startswith(why)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("policies_path", "/etc"),
        ("policies_path", "../etc"),
        ("policies_path", "a/../../etc"),
        ("policies_path", "a\\b"),
        ("policies_ref", "-x"),
        ("policies_ref", "a b"),
        ("policies_ref", "a..b"),
        ("policies_ref", "HEAD~1"),
        ("policies_ref", "a:b"),
        ("policies_interval", 0.9),
        ("policies_interval", -1.0),
        ("policies_timeout", 0.9),
        ("policies_timeout", 86_401.0),
    ],
)
def test_value_that_cannot_be_used_is_refused(name: str, value: object) -> None:
    assert refusal(policies_from=HTTPS, **{name: value})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"policies_ref": "main"}, "policies_ref: it needs `policies_from`"),
        ({"policies_path": "p"}, "policies_path: it needs `policies_from`"),
        ({"policies_signers": Path("s")}, "policies_signers: it needs `policies_from`"),
        ({"policies_token": Path("t")}, "policies_token: it needs `policies_from`"),
        ({"policies_from": ARCHIVE, "policies_signers": Path("s")}, "policies_signers: it is for a repository"),
        ({"policies_from": ARCHIVE, "policies_ref": "main"}, "policies_ref: it is for a repository"),
        (SSH, "policies_from: `git+ssh://` needs `policies_known_hosts`"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], why: str) -> None:
    assert refusal(**given).startswith(why)


@pytest.mark.parametrize(
    "given",
    [
        {"policies_from": HTTPS, "policies_interval": 0.0},
        {"policies_from": HTTPS, "policies_ref": "refs/tags/v1.2+b@c", "policies_path": "a/b.c"},
        {"policies_from": HTTPS, "policies_token": Path("t"), "policies_ca": Path("c"), "policies_signers": Path("s")},
        {**SSH, "policies_known_hosts": Path("h"), "policies_signers": Path("s")},
        {"policies_from": ARCHIVE, "policies_token": Path("t"), "policies_ca": Path("c"), "policies_path": "p"},
    ],
    ids=" ".join,
)
def test_what_goes_together_is_taken(given: dict[str, Any]) -> None:
    assert given == settings(**given).model_dump(include=set(given))


def test_files_are_those_of_where_the_service_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    remote = remote_of(settings(policies_from=HTTPS, policies_token=Path("t")))
    assert remote is not None
    assert (str(tmp_path / "t"), "") == (remote.token, remote.ca)
    assert None is remote_of(settings())
