"""The service while it is asked without a pause: policies that change, certificates that change, workers that die, the end.

`RELOADS=200` takes longer than the tests do by themselves.
"""

import os
import signal
import time
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.client import Client, Question, Tls, Verdict
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from tests.certificates import Certified
from tests.hosts.conftest import HOSTS
from tests.runtime.weather import body, call, policies_in
from tests.service.load import load
from tests.service.started import SECONDS, serving, until

RELOADS = int(os.environ.get("RELOADS", "30"))
CHANGING = ["--reload", "0.05"]
LISTEN = ["--listen", "127.0.0.1:0"]


# ---- policies that change -------------------------------------------------------------------------------------------

SETS = 5
BROKEN = "version: 1\npolicy: one\nrules: [{id: x}]\n"


def files_of(number: int) -> dict[str, str]:
    """A set of two files of which each is half: one grants what the other does not deny."""
    half = "version: 1\npolicy: {}\nservers: [weather]\nrules:\n  - id: r{}\n    methods: [tools/call]\n"
    return {
        "one.yaml": half.format("one", number) + f"    cel: claims.n == {number}\n",
        "two.yaml": half.format("two", number) + f"    effect: deny\n    cel: claims.n != {number}\n",
    }


def revision_of(files: dict[str, str]) -> str:
    return compile_policies([SourceFile(name, text.encode()) for name, text in files.items()]).revision


class Volume:
    """A directory that changes as Kubernetes changes the files of a ConfigMap: by setting one link."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "policies"
        self.path.mkdir()
        self._numbers = count()
        self.put(files_of(0))
        for name in files_of(0):
            (self.path / name).symlink_to(Path("..data") / name)

    def put(self, files: dict[str, str]) -> None:
        data = self.path / f"..{next(self._numbers)}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
        (self.path / "..next").symlink_to(data.name)
        (self.path / "..next").replace(self.path / "..data")


def policy_set(address: str) -> pb.GetPolicySetResponse:
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}/GetPolicySet")
        return pb.GetPolicySetResponse.FromString(call(b"", timeout=SECONDS))


def ask_one_of_the_sets(client: Client, number: int) -> Verdict:
    return client.check(Question("weather", call("t"), {"n": number % SETS}))


def test_no_request_fails_and_none_is_answered_by_half_a_set_while_policies_change(host: str, tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    flags = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", *CHANGING]
    with serving(volume.path, *flags, host=host) as (_, told):
        main, admin = told["listening"]
        with load(lambda: Client(main, timeout=SECONDS), ask_one_of_the_sets) as seen:
            for number in range(1, RELOADS + 1):
                broken = number % 3 == 0
                files = {"one.yaml": BROKEN, "two.yaml": BROKEN} if broken else files_of(number % SETS)
                volume.put(files)
                wanted = "" if broken else revision_of(files)
                until(lambda: policy_set(admin).HasField("refused") if broken else policy_set(admin).revision == wanted)  # noqa: B023 - it is over before the next
    assert {"granted", "denied_by_rule"} == seen.reasons.keys()
    assert {revision_of(files_of(number)) for number in range(SETS)} >= seen.revisions
    assert min(RELOADS, SETS) - 1 <= len(seen.revisions)
    assert seen.total > 10 * RELOADS


# ---- certificates that change ---------------------------------------------------------------------------------------


def ask_forecast(client: Client, _: int) -> Verdict:
    return client.check(Question("weather", call("forecast", city="Oslo")))


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return policies_in(tmp_path)


def shown_at(address: str, authority: bytes) -> str:
    """The certificate that a new connection is shown."""
    import ssl  # noqa: PLC0415 - here alone

    context = ssl.create_default_context(cadata=authority.decode())
    context.set_alpn_protocols(["h2"])
    host, port = address.rsplit(":", 1)
    import socket  # noqa: PLC0415 - here alone

    with (
        socket.create_connection((host, int(port)), SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        return ssl.DER_cert_to_PEM_cert(der)


def test_certificates_change_and_clients_see_nothing_but_the_new_one(
    host: str, policies: Path, certified: Certified
) -> None:
    flags = ["--listen", "127.0.0.1:0", "--tls-cert", str(certified.cert), "--tls-key", str(certified.key)]
    with serving(policies, *flags, host=host) as (_, told):
        (address,) = told["listening"]
        with load(lambda: Client(address, tls=Tls(certified.root), timeout=SECONDS), ask_forecast, 2, renew=3) as seen:
            for _ in range(2):
                certified.cert.write_bytes(b"half")
                before = seen.total
                until(lambda: seen.total > before + 10)  # noqa: B023 - it is over before the next
                certified.renew()
                new = certified.cert.read_text().strip()
                until(lambda: shown_at(address, certified.root).strip() in new)  # noqa: B023 - it is over before the next
    assert {"granted"} == seen.reasons.keys()


# ---- workers that die, and the end ----------------------------------------------------------------------------------


def test_worker_that_is_killed_costs_no_more_than_what_it_had_begun(host: str, policies: Path) -> None:
    with (
        serving(policies, "--listen", "127.0.0.1:0", "--workers", "2", host=host) as (_, told),
        load(lambda: Client(told["listening"], timeout=SECONDS), ask_forecast) as seen,
    ):
        for pid in told["pids"]:
            until(lambda: seen.total > 100)
            workers = len(seen.workers)
            os.kill(pid, signal.SIGKILL)
            until(lambda: len(seen.workers) > workers)  # noqa: B023 - it is over before the next
            time.sleep(2)  # by then every client has connected again
    assert {"granted", "unavailable"} >= seen.reasons.keys()
    assert 2 * 4 >= seen.reasons["unavailable"]
    assert {"UNAVAILABLE"} >= seen.causes.keys()


@pytest.mark.parametrize("workers", [1, 2])
def test_service_that_is_told_to_stop_answers_or_refuses(host: str, policies: Path, workers: int) -> None:
    with (
        serving(policies, *LISTEN, "--workers", f"{workers}", "--drain", "0.5", host=host) as (process, told),
        load(lambda: Client(told["listening"], timeout=SECONDS), ask_forecast) as seen,
    ):
        until(lambda: seen.total > 100)
        process.terminate()
        assert 0 == process.wait(SECONDS)
        until(lambda: seen.reasons["unavailable"] > 4)
    assert {"granted", "unavailable"} == seen.reasons.keys()
    assert {"UNAVAILABLE", "CANCELLED"} >= seen.causes.keys()


def test_health_leaves_before_the_service_does(host: str, policies: Path) -> None:
    with serving(policies, "--listen", "127.0.0.1:0", "--drain", "60", host=host) as (process, told):
        with Client(told["listening"]) as client:
            assert client.healthy()
            process.terminate()
            until(lambda: not client.healthy())
            assert ask_forecast(client, 0)
            assert client.check(Question("weather", body("ping")))
        process.terminate()
        assert 0 == process.wait(SECONDS)
