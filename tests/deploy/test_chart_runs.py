"""What the chart renders, run: the container's variables and its command, with directories of this machine in the place of its mounts.

A ConfigMap is mounted as the kubelet does it: files are links into `..data`, which is a link to a directory of its own, set anew by a rename.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from mcp_acl.runtime.store import load_policies
from tests.certificates import Certified
from tests.deploy.chart import (
    EXAMPLES,
    environment,
    example,
    of_kind,
    one_of,
    rendered,
    service_container,
    values_of,
)
from tests.deploy.resources import Json

SECONDS: Final = 30.0
BROKEN: Final = {
    "weather.yaml": "version: 1\npolicy: weather\nservers: [weather]\nrules: [{id: one, methods: [tools/lists]}]\n"
}


class ConfigMap:
    """A directory as the kubelet mounts a ConfigMap."""

    def __init__(self, directory: Path, data: Mapping[str, str]) -> None:
        self.directory = directory
        self._number = 0
        directory.mkdir()
        self.update(data)
        for name in data:
            (directory / name).symlink_to(Path("..data") / name)

    def update(self, data: Mapping[str, str]) -> None:
        """Other files, all at once."""
        self._number += 1
        made, link = self.directory / f"..{self._number}", self.directory / "..data_tmp"
        made.mkdir()
        for name, text in data.items():
            (made / name).write_text(text)
        link.symlink_to(made.name)
        link.rename(self.directory / "..data")


class Pod:
    """The service's container as processes of this machine."""

    def __init__(self, container: Json, mounts: Mapping[str, Path]) -> None:
        self._mounts = mounts
        self.variables = {name: self._here(value) for name, value in environment(container).items()}
        # Any free port of loopback, because other tests run beside this one.
        self.variables["MCP_ACL_LISTEN"] = "127.0.0.1:0"
        self.container = container

    def _here(self, text: str) -> str:
        """A text with the mount that a path in it begins with."""
        for path, directory in self._mounts.items():
            text = re.sub(rf"(^|[:=]){path}(?=/|$)", rf"\g<1>{directory}", text)
        return text

    def asked(self, command: Sequence[str]) -> int:
        """How a command in the container ends."""
        return self._start([self._here(word) for word in command]).wait(SECONDS)

    def probed(self, name: str) -> int:
        return self.asked(self.container[f"{name}Probe"]["exec"]["command"])

    def _start(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        assert "mcp-acl" == command[0]
        own = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), **self.variables}
        return subprocess.Popen(
            [sys.executable, "-m", "mcp_acl", *command[1:]],
            env=own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        process = self._start(["mcp-acl", "serve"])
        try:
            yield process
        finally:
            process.kill()
            process.wait(SECONDS)


def until(holds: Callable[[], bool]) -> None:
    """Wait until it does."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: sockets have no long ones."""
    made = Path("/tmp") / f"acl-{os.getpid()}"  # noqa: S108 - of this test alone
    made.mkdir()
    yield made
    shutil.rmtree(made)


def certified_pod(directory: Path) -> tuple[Pod, ConfigMap]:
    """With certificates, because then the kubelet asks by a command."""
    tls = directory / "tls"
    tls.mkdir()
    Certified(tls)
    (directory / "memory").mkdir()
    (directory / "run").mkdir()
    policies = ConfigMap(directory / "policies", values_of("mtls")["policies"]["files"])
    mounts = {
        "/policies": policies.directory,
        "/tls": tls,
        "/memory": directory / "memory",
        "/run/mcp-acl": directory / "run",
    }
    return Pod(service_container(example("mtls")), mounts), policies


def test_pod_that_refuses_a_policy_set_stays_and_one_that_ends_says_so_first(directory: Path) -> None:
    pod, policies = certified_pod(directory)
    stands = ["mcp-acl", "health", "--address", "unix:/run/mcp-acl/people.sock", "--service", "mcp_acl.policies"]
    with pod.running() as process:
        until(lambda: 0 == pod.probed("startup"))
        assert 0 == pod.asked(stands)
        policies.update(BROKEN)
        until(lambda: 1 == pod.asked(stands))
        assert (0, 0) == (pod.probed("readiness"), pod.probed("liveness"))
        policies.update(values_of("mtls")["policies"]["files"])
        until(lambda: 0 == pod.asked(stands))
        process.send_signal(signal.SIGTERM)
        until(lambda: 1 == pod.probed("readiness"))
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(SECONDS)
    assert (directory / "memory" / "memory.db").exists()


def test_new_pod_does_not_become_ready_on_a_refused_set_and_the_check_says_so_before(directory: Path) -> None:
    pod, policies = certified_pod(directory)
    policies.update(BROKEN)
    with pod.running() as process:
        assert 2 == process.wait(SECONDS)
    assert 2 == pod.asked(["mcp-acl", *check_of(example("mtls"))["args"]])


def check_of(resources: Sequence[Json]) -> Json:
    (container,) = one_of(resources, "Job")["spec"]["template"]["spec"]["containers"]
    return container


@pytest.mark.parametrize("name", [name for name in EXAMPLES if "files" in values_of(name)["policies"]])
def test_policies_of_the_config_map_can_be_used_and_are_those_that_are_checked(name: str, tmp_path: Path) -> None:
    config, checked = (one_of(example(name), "ConfigMap", name=end) for end in ("-policies", "-check"))
    assert config["data"] == checked["data"] == values_of(name)["policies"]["files"]
    assert () == load_policies(ConfigMap(tmp_path / "policies", config["data"]).directory).findings
    hooks = [one["metadata"]["annotations"] for one in (checked, one_of(example(name), "Job"))]
    assert {"pre-install,pre-upgrade"} == {one["helm.sh/hook"] for one in hooks}
    weights = [int(one["helm.sh/hook-weight"]) for one in hooks]
    assert weights == sorted(weights)
    volumes = one_of(example(name), "Job")["spec"]["template"]["spec"]["volumes"]
    assert checked["metadata"]["name"] == volumes[0]["configMap"]["name"]


def test_check_is_strict_where_that_was_asked_for() -> None:
    assert ["check", "/policies"] == check_of(example("mesh"))["args"]
    assert ["check", "/policies", "--strict"] == check_of(example("mtls"))["args"]
    assert [] == of_kind(example("synced"), "Job")
    values = values_of("mesh")
    values["policies"]["check"] = {"enabled": False}
    assert [] == of_kind(rendered(values), "Job")


@pytest.mark.parametrize("name", ["mesh", "mtls", "kept"])
def test_test_pod_asks_by_a_name_of_the_service(name: str) -> None:
    (container,) = one_of(example(name), "Pod")["spec"]["containers"]
    (address,) = [one.partition("=")[2] for one in container["args"] if one.startswith("--address=")]
    (service,) = [one for one in of_kind(example(name), "Service") if one["spec"].get("clusterIP") != "None"]
    where = service["metadata"]
    assert f"{where['name']}.{where['namespace']}.svc:{service['spec']['ports'][0]['port']}" == address
    assert "health" == container["args"][0]


def test_test_pod_asks_with_flags_that_there_are(directory: Path) -> None:
    """Nobody is there: that is another end than that of a flag which is none."""
    for name in ("mesh", "mtls"):
        tls = directory / name
        tls.mkdir()
        Certified(tls)
        (container,) = one_of(example(name), "Pod")["spec"]["containers"]
        words = [word.replace("=/tls/", f"={tls}/") for word in container["args"]]
        words = ["--address=127.0.0.1:9" if word.startswith("--address=") else word for word in words]
        done = subprocess.run([sys.executable, "-m", "mcp_acl", *words], capture_output=True, text=True, check=False)
        assert "there is no answer from `127.0.0.1:9`" in done.stderr
