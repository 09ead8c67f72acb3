"""Certificates for tests: an authority, a server, clients with names; as files, and as credentials of a client."""

from functools import cached_property
from pathlib import Path

import grpc
import trustme

from mcp_acl.runtime.certificates import Certificates
from mcp_acl.runtime.settings import Settings


class Certified:
    """One authority, and the files of a server that it signed for loopback."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.cert, self.key, self.client_ca = (directory / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self.client_ca.write_bytes(self.root)
        self.renew()

    @cached_property
    def root(self) -> bytes:
        return self.authority.cert_pem.bytes()

    def renew(self, *names: str) -> None:
        """Another certificate and key in the files' place."""
        issued = self.authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
        self.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())

    def certificates(self, *, clients: bool) -> Certificates:
        return Certificates(self.cert, self.key, self.client_ca if clients else None)

    def settings(self, **fields: object) -> Settings:
        files = {"tls_cert": self.cert, "tls_key": self.key, "tls_client_ca": self.client_ca}
        return Settings(policies=Path("p"), **{**files, **fields})  # type: ignore[arg-type]

    def credentials(self, *names: str, subject: str | None = None) -> grpc.ChannelCredentials:
        """Of a client that believes the authority; with names, or a subject, one that shows a certificate."""
        if not names and subject is None:
            return grpc.ssl_channel_credentials(self.root)
        issued = self.authority.issue_cert(*names, common_name=subject)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return grpc.ssl_channel_credentials(self.root, issued.private_key_pem.bytes(), chain)


def secured(directory: Path) -> tuple[grpc.ServerCredentials, dict[str, list[str]]]:
    """Credentials of a service called `acl.internal` that asks for a certificate, and the flags by which a command shows one."""
    authority = trustme.CA()
    own, client = authority.issue_cert("acl.internal"), authority.issue_cert("client")
    root = authority.cert_pem.bytes()
    files = {"ca": root, "cert": client.cert_chain_pems[0].bytes(), "key": client.private_key_pem.bytes()}
    for name, pem in files.items():
        (directory / name).write_bytes(pem)
    pair = (own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
    credentials = grpc.ssl_server_credentials([pair], root, require_client_auth=True)
    return credentials, {name: [f"--tls-{name}", str(directory / name)] for name in files}
