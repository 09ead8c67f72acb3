"""Settings of policies that come from elsewhere. Opens nothing."""

from collections.abc import Iterator
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field

from mcp_acl.runtime.remote.source import REPOSITORIES, Remote, check_path, check_ref, check_url
from mcp_acl.runtime.settings_fields import Conflict, File, Metavar, Seconds

_SHORTEST: Final = 1.0


def _optional_url(text: str) -> str:
    return check_url(text) if text else text


def _interval(seconds: float) -> float:
    if 0 < seconds < _SHORTEST:
        raise ValueError(f"it must be 0 (never) or at least {_SHORTEST:.0f}")
    return seconds


class RemoteSettings(BaseModel):
    """Where policies come from, if not from a directory that someone else fills."""

    policies_from: Annotated[str, Metavar("URL"), AfterValidator(_optional_url)] = Field(
        default="",
        description="Where the policies come from: a repository (`git+https://…`, `git+ssh://…`, `git+file:///…`) or an archive of them "
        "(`https://….tar.gz`, `.zip`). What is fetched is kept in `policies`, which must be a directory of its own. None: `policies` "
        "holds the files, and others change them.",
        examples=["git+https://git.example.org/team/policies.git"],
    )
    policies_ref: Annotated[str, Metavar("REF"), AfterValidator(check_ref)] = Field(
        default="",
        description="The branch or tag that is followed, or the full hash of the commit that is pinned. None: the repository's own default "
        "branch.",
        examples=["main"],
    )
    policies_path: Annotated[str, Metavar("PATH"), AfterValidator(check_path)] = Field(
        default="",
        description="The directory in the repository or archive that holds the policy files. None: its uppermost.",
        examples=["policies/production"],
    )
    policies_interval: Annotated[Seconds, AfterValidator(_interval)] = Field(
        default=60.0,
        description=f"Seconds between looks at where the policies come from; 0: only at the start, else {_SHORTEST:.0f} or more. A minute is "
        "what hosts of repositories bear from many callers; who cannot wait that long asks more often.",
    )
    policies_timeout: Annotated[Seconds, Field(ge=_SHORTEST)] = Field(
        default=60.0,
        description=f"Seconds that one look may take, with all that is fetched and compiled; {_SHORTEST:.0f} or more. The start waits no "
        "longer than that before it takes what was fetched before.",
    )
    policies_signers: File = Field(
        default=None,
        description="Who must have signed the commit or its tag, by SSH: a file of allowed signers, as ssh-keygen and git read it. None: whoever "
        "may write to the repository says what is in force.",
        examples=["/etc/mcp-acl/allowed_signers"],
    )
    policies_token: File = Field(
        default=None,
        description="A file with what is shown to be let in by https: a token, or `user:password`. Read again each time. None: nothing is shown.",
        examples=["/etc/mcp-acl/git/token"],
    )
    policies_key: File = Field(
        default=None,
        description="The private key by which `git+ssh` is let in, without a passphrase. None: it is the only way, so `git+ssh` needs one.",
        examples=["/etc/mcp-acl/git/id_ed25519"],
    )
    policies_known_hosts: File = Field(
        default=None,
        description="Who the host of `git+ssh` must be, as ssh's known_hosts. None: nobody is believed, so `git+ssh` needs one.",
        examples=["/etc/mcp-acl/git/known_hosts"],
    )
    policies_ca: File = Field(
        default=None,
        description="The authorities that must have signed the https certificate of where the policies come from, a PEM file. None: those that the "
        "system believes.",
        examples=["/etc/mcp-acl/git/ca.crt"],
    )


_OF_REPOSITORIES: Final = ("policies_ref", "policies_signers")
"""What an archive would be taken without."""
_BESIDE: Final = (
    *_OF_REPOSITORIES,
    *("policies_path", "policies_token", "policies_key", "policies_known_hosts", "policies_ca"),
)
_OF_SSH: Final = ("policies_key", "policies_known_hosts")


def remote_conflicts_of(settings: RemoteSettings) -> Iterator[Conflict]:
    """What does not go together of where policies come from."""
    scheme = urlsplit(settings.policies_from).scheme
    for name in _BESIDE:
        if getattr(settings, name) and not scheme:
            yield Conflict((name, "policies_from"), "it needs `policies_from` beside it: it says what is fetched")
    for name in _OF_REPOSITORIES:
        if getattr(settings, name) and scheme and scheme not in REPOSITORIES:
            yield Conflict((name, "policies_from"), "it is for a repository, and `policies_from` names an archive")
    for name in _OF_SSH:
        if scheme == "git+ssh" and not getattr(settings, name):
            yield Conflict(("policies_from", name), f"`{scheme}://` needs `{name}` beside it")


def remote_of(settings: RemoteSettings) -> Remote | None:
    """Where policies come from; None if from a directory alone."""
    if not settings.policies_from:
        return None
    files = (settings.policies_signers, settings.policies_token, settings.policies_key, settings.policies_known_hosts)
    return Remote(
        settings.policies_from,
        settings.policies_ref,
        settings.policies_path,
        settings.policies_timeout,
        *("" if one is None else str(one.absolute()) for one in (*files, settings.policies_ca)),
    )
