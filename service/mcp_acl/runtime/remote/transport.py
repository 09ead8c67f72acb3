"""How a repository is reached: over https, ssh, or as files of this machine. Reads no file of git's settings and asks nobody for a password."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final
from urllib.parse import unquote

from dulwich.client import (
    GitClient,
    LocalGitClient,
    SSHGitClient,
    Urllib3HttpGitClient,
    default_urllib3_manager,
    default_user_agent_string,
)
from dulwich.config import ConfigDict
from dulwich.errors import GitProtocolError
from urllib3 import PoolManager

from mcp_acl.runtime.remote.credentials import ANYBODY, credentials_of
from mcp_acl.runtime.remote.files import UNREACHABLE, refusal
from mcp_acl.runtime.remote.source import Remote, is_loopback

_HTTP: Final = ("https", "http")
_PROTOCOL: Final = "application/x-git-"


@contextmanager
def connected(remote: Remote) -> Iterator[tuple[GitClient, str]]:
    """A client, and what it calls the repository. Raises SourceError."""
    scheme = remote.address.scheme
    client, path = (
        _over_http(remote) if scheme in _HTTP else _over_ssh(remote) if scheme == "ssh" else _of_files(remote)
    )
    with closing(client):
        yield client, path


def _of_files(remote: Remote) -> tuple[GitClient, str]:
    return LocalGitClient(config=ConfigDict()), unquote(remote.address.path)


def _over_ssh(remote: Remote) -> tuple[GitClient, str]:
    from mcp_acl.runtime.remote.ssh import Ssh  # noqa: PLC0415 - a large library that only few need

    host = remote.address.hostname
    assert host is not None
    vendor = Ssh(remote.key, remote.known_hosts, remote.timeout)
    username, path = remote.address.username or ANYBODY, unquote(remote.address.path)
    return SSHGitClient(host, remote.address.port, username, vendor, config=ConfigDict(), thin_packs=False), path


def _over_http(remote: Remote) -> tuple[GitClient, str]:
    credentials = credentials_of(remote) if remote.token else None
    url = remote.address.geturl()
    client = _Http(
        url,
        pool_manager=_Pool(url, _connections(remote, url)),  # type: ignore[arg-type]
        config=ConfigDict(),
        username=None if credentials is None else credentials.user or ANYBODY,
        password=None if credentials is None else credentials.secret,
        thin_packs=False,
    )
    return client, ""


def _connections(remote: Remote, url: str) -> Any:
    """By way of the proxy that the environment names; never where nobody is to stand in between."""
    if is_loopback(remote.address.hostname or ""):
        headers = {"User-Agent": default_user_agent_string()}
        return PoolManager(
            headers=headers, timeout=remote.timeout, ca_certs=remote.ca or None, cert_reqs="CERT_REQUIRED"
        )
    config = ConfigDict()
    if remote.ca:
        config.set((b"http",), b"sslCAInfo", remote.ca.encode())
    return default_urllib3_manager(config, base_url=url, timeout=remote.timeout)


class _Http(Urllib3HttpGitClient):
    """Speaks git's protocol and nothing else: a server that has only files is not asked for one after the other."""

    def _http_request(self, *given: Any, **named: Any) -> Any:
        answer, read = super()._http_request(*given, **named)
        if not (answer.headers.get("Content-Type") or "").startswith(_PROTOCOL):
            answer.close()
            raise refusal(UNREACHABLE, "there is no repository there, or a server that does not speak git's protocol")
        return answer, read


class _Pool:
    """Connections to one host. What it answers leads nowhere else: neither redirects nor addresses of packs are followed."""

    def __init__(self, url: str, pool: Any) -> None:
        self._url = url.rstrip("/") + "/"
        self._pool = pool
        self.headers = pool.headers

    def request(self, method: str, url: str, **given: Any) -> Any:
        if not url.startswith(self._url):
            raise GitProtocolError(f"it leads to {url}, which is not followed")
        answer = self._pool.request(method, url, redirect=False, retries=False, **given)
        if 300 <= answer.status < 400:
            answer.release_conn()
            raise GitProtocolError("redirects are not followed; name where it leads to")
        return answer

    def clear(self) -> None:
        self._pool.clear()
