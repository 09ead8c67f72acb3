"""The chart as Helm renders it: values in, resources out. Knows nothing of what they mean.

Helm takes minutes to build, so what the value files come to is committed (`releases/`), with the digest of what it was made from; tests read
that where there is no Helm. `python -m tests.deploy.chart`, which is `make chart`, writes it anew.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.resources import DEPLOY, Json
from tests.installed import ROOT

CHART: Final = DEPLOY / "helm" / "mcp-acl"
VALUES: Final = Path(__file__).parent / "values"
RELEASES: Final = Path(__file__).parent / "releases"
DIGEST: Final = RELEASES / "made-from.sha256"
EXAMPLES: Final = sorted(path.stem for path in VALUES.glob("*.yaml"))
NAMESPACE: Final = "access"
WORKLOADS: Final = frozenset({"Deployment", "StatefulSet"})


class RefusedError(Exception):
    """Helm renders nothing. The text is what it says."""


def program() -> Path | None:
    """Helm, if there is one: HELM_PROGRAM=path, or what `make helm` has built."""
    found = Path(os.environ.get("HELM_PROGRAM") or ROOT / ".venv-peers" / "bin" / "helm")
    return found if found.exists() else None


def helm(*arguments: str | Path) -> str:
    """What Helm prints; without Helm the end of the test. It asks no cluster and writes nothing of its own. Raises RefusedError."""
    found = program()
    if found is None:
        pytest.skip("there is no Helm: run `make helm`, or set HELM_PROGRAM=path")
    with tempfile.TemporaryDirectory(prefix="acl-helm-") as home:
        own = {f"HELM_{name}_HOME": home for name in ("CACHE", "CONFIG", "DATA")}
        environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": os.devnull, **own}
        done = subprocess.run(
            [found, *arguments], env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False
        )
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


def rendered(values: Mapping[str, Any] | Path, *flags: str) -> list[Json]:
    """The resources, hooks included, of a release called `one`."""
    if isinstance(values, Path):
        return _resources(helm("template", "one", CHART, "--namespace", NAMESPACE, "--values", values, *flags))
    with tempfile.TemporaryDirectory(prefix="acl-values-") as directory:
        file = Path(directory) / "values.yaml"
        file.write_text(yaml.safe_dump(dict(values)))
        return rendered(file, *flags)


def _resources(text: str) -> list[Json]:
    return [one for one in yaml.load_all(text, yaml.CSafeLoader) if one]


@cache
def example(name: str) -> Sequence[Json]:
    """What one of the value files comes to."""
    return _resources((RELEASES / f"{name}.yaml").read_text())


def digest() -> str:
    """Of everything that a release is made from: the chart without the schema, which only refuses, and the value files."""
    files = [*CHART.rglob("*"), *VALUES.iterdir()]
    parts = [
        (path.relative_to(ROOT).as_posix(), path.read_text())
        for path in sorted(files)
        if path.is_file() and path.name != "values.schema.json"
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def release(name: str) -> str:
    """What Helm makes of a value file, in the order of its own names: Helm does not always take the same."""
    text = helm("template", "one", CHART, "--namespace", NAMESPACE, "--values", VALUES / f"{name}.yaml")
    return "---\n".join(sorted(part.strip() + "\n" for part in text.split("---\n") if part.strip()))


def values_of(name: str) -> dict[str, Any]:
    """A value file as it is."""
    return dict(yaml.safe_load((VALUES / f"{name}.yaml").read_text()))


def one_of(resources: Sequence[Json], kind: str, **labels: str) -> Json:
    """The only resource of a kind, by the end of its name if there are several."""
    (found,) = [
        one for one in resources if one["kind"] == kind and one["metadata"]["name"].endswith(labels.get("name", ""))
    ]
    return found


def of_kind(resources: Sequence[Json], *kinds: str) -> list[Json]:
    return [one for one in resources if one["kind"] in kinds]


def workload(resources: Sequence[Json]) -> Json:
    """What runs the service."""
    (found,) = of_kind(resources, *WORKLOADS)
    return found


def pods(resources: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Every pod that comes of them, by the name of what makes it: `spec` and `metadata`."""
    for one in resources:
        if one["kind"] == "Pod":
            yield one["metadata"]["name"], one
        elif "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]


def service_container(resources: Sequence[Json]) -> Json:
    """The container of the service."""
    containers = workload(resources)["spec"]["template"]["spec"]["containers"]
    (found,) = [one for one in containers if one["name"] == "mcp-acl"]
    return found


def environment(container: Json) -> dict[str, str]:
    """Its variables. One from elsewhere is a text."""
    return {one["name"]: one.get("value", "x-from-elsewhere") for one in container["env"]}


def main() -> None:
    """Write what the value files come to."""
    RELEASES.mkdir(exist_ok=True)
    for name in EXAMPLES:
        (RELEASES / f"{name}.yaml").write_text(release(name))
    DIGEST.write_text(f"{digest()}\n")


if __name__ == "__main__":
    main()
