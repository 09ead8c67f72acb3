"""Both clients on a service with TLS: its certificate is checked, and theirs is shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import trustme

from mcp_acl.client import Question, Tls
from mcp_acl.gen import acl_pb2 as pb
from tests.client.conftest import Opener
from tests.serving import answering

QUESTION = Question("weather", b"{}")
CA = trustme.CA()
ROOT = CA.cert_pem.bytes()
CLIENT = CA.issue_cert("gateway.internal")
CHAIN, KEY = CLIENT.cert_chain_pems[0].bytes(), CLIENT.private_key_pem.bytes()


@contextmanager
def secured(*names: str, listen: str = "127.0.0.1:0", asks: bool = False) -> Iterator[str]:
    """A service that allows everything. `asks`: for a certificate of the client's."""
    own = CA.issue_cert(*names)
    pair = (own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
    credentials = grpc.ssl_server_credentials([pair], ROOT if asks else None, require_client_auth=asks)
    allow = pb.CheckResponse(decision=pb.DECISION_ALLOW).SerializeToString()
    with answering(lambda _, requests: (allow for _ in requests), listen, credentials) as address:
        yield address


@pytest.mark.parametrize("as_files", [True, False])
def test_service_is_known_by_its_certificate_and_the_client_by_its_own(
    client: Opener, tmp_path: Path, as_files: bool
) -> None:
    for name, pem in (("root", ROOT), ("chain", CHAIN), ("key", KEY)):
        (tmp_path / name).write_bytes(pem)
    tls = Tls(tmp_path / "root", tmp_path / "chain", str(tmp_path / "key")) if as_files else Tls(ROOT, CHAIN, KEY)
    with secured("127.0.0.1", asks=True) as address:
        assert client(address, tls=tls).check(QUESTION)


@pytest.mark.parametrize(
    "tls",
    [
        None,
        Tls(),
        Tls(trustme.CA().cert_pem.bytes()),
        Tls(ROOT, server_name="another.internal"),
    ],
    ids=["not asked for", "default authorities", "another authority", "another name"],
)
def test_service_that_is_not_known_is_a_denial(client: Opener, tls: Tls | None) -> None:
    with secured("127.0.0.1") as address:
        verdict = client(address, tls=tls).check(QUESTION)
    assert (False, "unavailable") == (verdict.allowed, verdict.reason)


@pytest.mark.parametrize("tls", [Tls(ROOT)])
def test_client_that_is_not_known_is_denied(client: Opener, tls: Tls) -> None:
    with secured("127.0.0.1", asks=True) as address:
        assert not client(address, tls=tls).check(QUESTION)


def test_name_of_the_service_may_be_given(client: Opener, tmp_path: Path) -> None:
    tls = Tls(ROOT, server_name="acl.internal")
    with (
        secured("acl.internal") as one,
        secured("acl.internal") as other,
        secured("acl.internal", listen=f"unix:{tmp_path}/acl") as file,
    ):
        assert client(file, tls=tls).check(QUESTION)
        assert client([one, other], tls=tls).check(QUESTION)


def test_several_workers_have_names_of_their_own(client: Opener) -> None:
    with secured("127.0.0.1") as one, secured("127.0.0.1") as other:
        asker = client([one, other], tls=Tls(ROOT))
        assert all(asker.check(QUESTION) for _ in range(4))
