"""The image without a container engine: its file is read, linted, and its steps are run in a directory that stands for the root."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from dockerfile_parse import DockerfileParser
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.cli import COMMANDS
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.runtime.loading import CONFIG, load_settings
from mcp_acl.runtime.rows import ROWS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "image.md"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
EXEC_FORM = ("ENTRYPOINT", "CMD")
TRANSFER = {"name": "transfer", "arguments": {"amount": 50}}
QUESTION = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": TRANSFER}


@dataclass
class Stage:
    """A stage by its name: what it begins with, and its steps."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def values(self, instruction: str) -> list[str]:
        return [value for name, value in self.steps if name == instruction]


def read_stages() -> tuple[dict[str, str], dict[str, Stage]]:
    """What may be said at build time, and the stages, in order."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for step in DockerfileParser(path=str(ROOT / "Dockerfile"), cache_content=True).structure:
        instruction, value = step["instruction"], step["value"]
        if instruction == "FROM":
            base, _, name = value.split()
            stage = stages[name] = Stage(name, base)
        elif instruction == "ARG":
            name, _, default = value.partition("=")
            arguments[name] = default
        elif instruction != "COMMENT":
            stage.steps.append((instruction, value))
    return arguments, stages


ARGUMENTS, STAGES = read_stages()
LAST = [*STAGES][-1]
TARGETS = [LAST, "envoy"]


def chain(name: str) -> list[Stage]:
    """A stage and those it begins with, the first of them first."""
    stage = STAGES[name]
    return [*(chain(stage.base) if stage.base in STAGES else []), stage]


def steps_of(name: str) -> list[tuple[str, str]]:
    return [step for stage in chain(name) for step in stage.steps]


def final(target: str, instruction: str) -> str:
    return [value for name, value in steps_of(target) if name == instruction][-1]


def environment_of(target: str) -> Mapping[str, str]:
    pairs = (word.partition("=") for name, value in steps_of(target) if name == "ENV" for word in shlex.split(value))
    return {name: value for name, _, value in pairs}


def copied_from_here() -> Iterator[str]:
    for stage in STAGES.values():
        for value in stage.values("COPY"):
            if not value.startswith("--from="):
                yield from value.split()[:-1]


# ---- what the file says ---------------------------------------------------------------------------------------------


def test_hadolint_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_every_stage_begins_with_one_pinned_python_or_with_another_stage() -> None:
    assert ["PYTHON"] == [*ARGUMENTS]
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", ARGUMENTS["PYTHON"])
    assert {"${PYTHON}"} == {stage.base for stage in STAGES.values()} - set(STAGES)
    minor = ARGUMENTS["PYTHON"].partition(":")[2].partition("-")[0]
    assert f"Programming Language :: Python :: {minor}" in PYPROJECT["project"]["classifiers"]


def test_no_step_adds_from_elsewhere_or_ends_in_a_shell() -> None:
    instructions = {name for stage in STAGES.values() for name, _ in stage.steps}
    assert set() == instructions & {"ADD", "SHELL", "ONBUILD", "MAINTAINER", "VOLUME"}
    assert [] == [
        value for stage in STAGES.values() for _, value in stage.steps if "://" in value.replace("unix:/", "")
    ]
    downloads = [
        word
        for stage in STAGES.values()
        for value in stage.values("RUN")
        for word in re.findall(r"curl|wget|git ", value)
    ]
    assert [] == downloads


def test_whatever_is_downloaded_has_a_hash() -> None:
    installs = [
        part
        for stage in STAGES.values()
        for value in stage.values("RUN")
        for part in value.split("&&")
        if "pip" in part and "-m venv" not in part
    ]
    assert len(installs) >= 4
    assert [] == [part for part in installs if "--no-deps" not in part]
    assert [] == [part for part in installs if "--require-hashes" not in part and "--no-index" not in part]


def test_what_is_copied_exists_is_in_the_context_and_is_nobody_s_secret() -> None:
    assert "*" == IGNORED[0]
    shown = [line.removeprefix("!") for line in IGNORED if line.startswith("!")]
    for source in copied_from_here():
        assert (ROOT / source).exists()
        assert any(fnmatch(source, pattern) for pattern in shown), source
    assert {"LICENSE", "README.md", "pyproject.toml", "requirements/*.txt", "service", "tests/corpus"} == set(shown)


@pytest.mark.parametrize("target", TARGETS)
def test_what_runs_is_nobody_and_needs_no_shell(target: str) -> None:
    user, _, group = final(target, "USER").partition(":")
    assert int(user) > 0 < int(group)
    for instruction in EXEC_FORM:
        assert all(isinstance(word, str) for word in json.loads(final(target, instruction)))
    assert isinstance(json.loads(final(target, "HEALTHCHECK").partition("CMD ")[2]), list)
    assert "SIGTERM" == final(target, "STOPSIGNAL")
    assert [] == [value for stage in chain(target) for value in stage.values("RUN") if stage.name in {*TARGETS, "base"}]


@pytest.mark.parametrize("target", TARGETS)
def test_settings_of_the_image_are_settings_and_leave_nothing_open(target: str) -> None:
    settings = {name: value for name, value in environment_of(target).items() if name.startswith("MCP_ACL_")}
    assert set(settings) <= {row.variable for row in ROWS.values()}
    assert "MCP_ACL_INSECURE" not in settings
    loaded = load_settings({}, {**settings, "MCP_ACL_INSECURE": "true"}, None).settings
    assert final(target, "EXPOSE") == loaded.listen.rpartition(":")[2]
    assert ("envoy" if target == "envoy" else "grpcio") == loaded.host


@pytest.mark.parametrize("target", TARGETS)
def test_health_is_asked_where_it_is_served_whatever_listen_asks_of_its_callers(target: str) -> None:
    command = json.loads(final(target, "HEALTHCHECK").partition("CMD ")[2])
    address = environment_of(target)["MCP_ACL_ADMIN_LISTEN"]
    assert [*json.loads(final(target, "ENTRYPOINT")), "health", "--address", address] == command
    assert address.startswith("unix:/dev/shm/")


def test_subcommand_of_the_health_check_exists() -> None:
    assert json.loads(final(LAST, "HEALTHCHECK").partition("CMD ")[2])[1] in COMMANDS


# ---- its steps, run -------------------------------------------------------------------------------------------------


class Builder:
    """Runs the steps of stages: `root` stands for `/`, with this machine's Python. What a stage left is kept under its name."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.kept = directory / "stages"

    def inside(self, text: str) -> str:
        """A text with every absolute path in it under the root."""
        return re.sub(r"(?<![\w./$}])/(?=\w)", f"{self.root}/", text)

    def build(self, target: str) -> None:
        """Everything up to a stage; its tree is the root then, and so at the paths it was made for."""
        for name in STAGES:
            if name in {stage.name for stage in chain(target)} | self._copied(target):
                self._run(STAGES[name])
        shutil.rmtree(self.root, ignore_errors=True)
        (self.kept / target).rename(self.root)

    def _copied(self, target: str) -> set[str]:
        found = {
            value.split()[0].removeprefix("--from=")
            for name, value in steps_of(target)
            if name == "COPY" and value.startswith("--from=")
        }
        return {stage.name for one in found for stage in chain(one)}

    def _run(self, stage: Stage) -> None:
        if stage.base in STAGES:
            shutil.copytree(self.kept / stage.base, self.root, symlinks=True)
        else:
            self.root.mkdir()
        where = self.root
        # How this machine reaches packages is all that a step knows of it.
        reaching = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        environment = {**reaching, "PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin", "HOME": str(self.root)}
        for instruction, value in steps_of(stage.name):
            inherited = (instruction, value) not in stage.steps
            match instruction:
                case "ENV":
                    environment |= dict(word.split("=", 1) for word in shlex.split(self.inside(value)))
                case "WORKDIR":
                    where = Path(self.inside(value))
                    where.mkdir(parents=True, exist_ok=True)
                case "COPY" if not inherited:
                    self._copy(value, where)
                case "RUN" if not inherited:
                    subprocess.run(["/bin/sh", "-ec", self.inside(value)], cwd=where, env=environment, check=True)
        self.kept.mkdir(exist_ok=True)
        self.root.rename(self.kept / stage.name)

    def _copy(self, value: str, where: Path) -> None:
        *sources, into = value.split()
        context, ignored = ROOT, ["__pycache__"]
        if sources[0].startswith("--from="):
            context, ignored = self.kept / sources.pop(0).removeprefix("--from="), []
        target = where / self.inside(into)
        for source in sources:
            path = context / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(
                    path, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*ignored)
                )
            else:
                destination = target / path.name if into.endswith("/") else target
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, destination)


@pytest.fixture(scope="module")
def image() -> Iterator[Builder]:
    """What is built when no target is named, not to be written to but where a container can be."""
    with tempfile.TemporaryDirectory(prefix="acl-") as directory:
        builder = Builder(Path(directory).resolve())
        builder.build(LAST)
        (builder.root / "dev" / "shm").mkdir(parents=True)
        shutil.copytree(ROOT / "policies" / "weather", builder.root / "policies")
        subprocess.run(["/bin/chmod", "-R", "a-w", builder.root / "opt", builder.root / "policies"], check=True)
        yield builder
        subprocess.run(["/bin/chmod", "-R", "u+w", builder.root], check=True)


def tree(root: Path) -> Mapping[str, int]:
    return {str(path.relative_to(root)): path.lstat().st_mtime_ns for path in root.rglob("*")}


def start(image: Builder, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """The entry point with its arguments, or those given, and the image's environment alone."""
    own = {name: image.inside(value).replace("$PATH", "/nowhere") for name, value in environment_of(LAST).items()}
    command = [*json.loads(final(LAST, "ENTRYPOINT")), *(arguments or json.loads(final(LAST, "CMD")))]
    program = shutil.which(command[0], path=own["PATH"])
    assert program is not None
    return subprocess.Popen(
        [program, *command[1:]],
        env={**own, **settings},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(image: Builder, *arguments: str, **settings: str) -> tuple[int, str, str]:
    process = start(image, *arguments, **settings)
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def asked_by(group: str) -> bytes:
    """A request to check for somebody of this group."""
    return pb.CheckRequest(
        server="weather",
        direction=pb.DIRECTION_CLIENT_TO_SERVER,
        raw=json.dumps(QUESTION).encode(),
        principal=pb.Principal(token=pb.TOKEN_STATE_VALID, claims_json=json.dumps({"groups": [group]}).encode()),
        filters_responses=True,
    ).SerializeToString()


@contextmanager
def running(image: Builder, **settings: str) -> Iterator[Sequence[str]]:
    """The addresses of a container that runs, which ends as `docker stop` ends it."""
    process = start(image, **settings)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), process.communicate(timeout=10)
        yield line.removeprefix("listening on ").strip().split(", ")
        process.send_signal(getattr(signal, final(LAST, "STOPSIGNAL")))
        assert 0 == process.wait(20)
    finally:
        process.kill()
        process.communicate()


def test_image_holds_the_project_and_no_tools(image: Builder) -> None:
    assert (0, f"{PYPROJECT['project']['version']}\n", "") == ended(image, "--version")
    packages = {path.name.partition("-")[0] for path in (image.root / "opt" / "mcp-acl" / "lib").rglob("*.dist-info")}
    assert "mcp_acl" in packages
    assert set() == packages & {"pip", "hatchling", "pytest", "setuptools"}
    assert ["dev", "opt", "policies"] == sorted(path.name for path in image.root.iterdir())


def test_everything_is_compiled_so_that_nothing_must_be_written(image: Builder) -> None:
    sources = [path for path in image.root.rglob("*.py") if "site-packages" in path.parts]
    missing = [path for path in sources if not [*(path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")]]
    assert len(sources) > 300
    assert [] == missing


def test_without_certificate_or_insistence_it_says_so_and_ends(image: Builder) -> None:
    code, out, errors = ended(image)
    assert (2, "") == (code, out)
    assert errors.startswith("error: MCP_ACL_LISTEN: `0.0.0.0:9191` can be reached from elsewhere and has no TLS")


def test_policies_of_the_image_s_place_are_what_is_in_force(image: Builder) -> None:
    code, out, errors = ended(image, "config", "--json", MCP_ACL_INSECURE="true")
    assert (0, "") == (code, errors)
    found = json.loads(out)["settings"]
    assert {"value": f"{image.root}/policies", "from": "environment MCP_ACL_POLICIES"} == found["policies"]


def test_service_in_a_tree_that_cannot_be_written_answers_health_and_decides(image: Builder) -> None:
    before = tree(image.root / "opt")
    with running(image, MCP_ACL_INSECURE="true", MCP_ACL_LISTEN="127.0.0.1:0") as (listen, admin):
        assert image.inside(environment_of(LAST)["MCP_ACL_ADMIN_LISTEN"]) == admin
        for address in (listen, admin):
            with grpc.insecure_channel(address) as channel:
                health: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
                answer = health_pb2.HealthCheckResponse.FromString(health(b"", timeout=10))
                assert health_pb2.HealthCheckResponse.SERVING == answer.status
                check: Any = channel.unary_unary(f"/{SERVICE}/Check")
                decisions = [
                    pb.CheckResponse.FromString(check(asked_by(group), timeout=10)).decision
                    for group in ("analysts", "visitors")
                ]
                assert [pb.DECISION_ALLOW, pb.DECISION_DENY] == decisions
    assert before == tree(image.root / "opt")
    assert [] == [*(image.root / "dev" / "shm").iterdir()]


def test_health_check_of_the_image_tells_whether_it_runs(image: Builder) -> None:
    command = json.loads(image.inside(final(LAST, "HEALTHCHECK").partition("CMD ")[2]))
    assert 0 != ended(image, *command[1:])[0]
    with running(image, MCP_ACL_INSECURE="true", MCP_ACL_LISTEN="127.0.0.1:0"):
        assert 0 == ended(image, *command[1:])[0]


# ---- the page about it ----------------------------------------------------------------------------------------------


def test_variables_of_the_page_are_settings() -> None:
    named = set(re.findall(r"MCP_ACL_[A-Z_]+", PAGE.read_text()))
    assert named
    assert set() == named - {row.variable for row in ROWS.values()} - {CONFIG}


def manifests() -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [one for block in blocks for one in yaml.safe_load_all(block)]


def test_kubernetes_runs_it_as_the_image_wants_it() -> None:
    deployments = [one for one in manifests() if one["kind"] == "Deployment"]
    assert len(deployments) >= 1
    for deployment in deployments:
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        context = container["securityContext"]
        assert (True, True, False) == (
            context["readOnlyRootFilesystem"],
            context["runAsNonRoot"],
            context["allowPrivilegeEscalation"],
        )
        settings = {one["name"]: one["value"] for one in container["env"]}
        loaded = load_settings({}, {**environment_of(LAST), **settings}, None).settings
        assert [int(loaded.listen.rpartition(":")[2])] == [port["containerPort"] for port in container["ports"]]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert str(loaded.policies) in mounts
        assert loaded.tls_cert is None or str(loaded.tls_cert.parent) in mounts
        seconds = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert loaded.drain < seconds
