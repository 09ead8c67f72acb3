"""The project itself: what its files promise about pins, floors, sizes and names."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

import mcp_acl

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "service" / "mcp_acl"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "gen" not in path.relative_to(PACKAGE).parts)
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = sorted((ROOT / "requirements").glob("*.txt"))
LOCKS = [
    *PINS,
    *(path for where in ("*", "tests/*", "docs/clients/*") for path in sorted(ROOT.glob(f"{where}/package-lock.json"))),
    *(path for where in ("tests/*/*", "docs/clients/*") for path in sorted(ROOT.glob(f"{where}/go.sum"))),
]
IGNORED = [
    line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line and not line.startswith("#")
]

MAX_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_PUBLIC_NAMES = 20


def module_id(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def own_files(directory: Path = ROOT) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name == ".git" or any(fnmatch(path.name, pattern) for pattern in IGNORED):
            continue
        if path.is_dir():
            yield from own_files(path)
        else:
            yield path


# ---- pins -----------------------------------------------------------------------------------------------------------


def normalised(requirement: str) -> str:
    name = re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def pins_in(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    return {normalised(found[1]): found[2] for found in re.finditer(r"^(\S+)==(\S+)", text, re.MULTILINE)}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_lock_file_holds_an_address(path: Path) -> None:
    assert [] == re.findall(r".*(?:://|--index-url|--extra-index-url|--find-links|\"resolved\").*", path.read_text())


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.name)
def test_every_pin_is_exact_and_has_hashes(path: Path) -> None:
    entries = re.split(r"\n(?=\S)", path.read_text())
    assert entries
    assert [] == [entry[:80] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]


def test_every_dependency_is_pinned() -> None:
    project = PYPROJECT["project"]
    runtime, dev, envoy = pins_in("runtime.txt"), pins_in("dev.txt"), pins_in("envoy.txt")
    assert set() == {normalised(one) for one in project["dependencies"]} - set(runtime)
    assert set() == {normalised(one) for one in PYPROJECT["dependency-groups"]["dev"]} - set(dev)
    assert set() == {normalised(one) for one in project["optional-dependencies"]["envoy"]} - set(envoy)


@pytest.mark.parametrize("name", [path.name for path in PINS if path.name not in {"build.txt", "peers.txt"}])
def test_every_environment_has_the_same_runtime(name: str) -> None:
    assert pins_in("runtime.txt").items() <= pins_in(name).items()


def test_the_image_is_built_by_what_builds_here() -> None:
    build = pins_in("build.txt")
    assert {normalised(one) for one in PYPROJECT["build-system"]["requires"]} <= set(build)
    assert build.items() <= pins_in("dev.txt").items()


SHARED = {
    "google": "google.protobuf",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry": "opentelemetry-api",
}
"""Packages that several distributions put their modules into, the nearer ones first."""


def distribution_of(module: str) -> str:
    return next(
        (name for package, name in SHARED.items() if f"{module}.".startswith(f"{package}.")),
        module.split(".", maxsplit=1)[0],
    )


def imported_packages() -> set[str]:
    found: set[str] = set()
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(distribution_of(node.module))
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"find_spec", "import_module"}:
                names = [one.value for one in node.args if isinstance(one, ast.Constant)]
                found.update(name.split(".")[0] for name in names if isinstance(name, str))
    return found - set(sys.stdlib_module_names) - {"mcp_acl"}


def test_declared_dependencies_are_those_imported() -> None:
    known = {**packages_distributions(), "google.protobuf": ["protobuf"], "pydantic_core": ["pydantic"]}
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    optional = {normalised(one) for extra in extras for one in extra}
    # Not every extra is installed here.
    imported = {normalised(known.get(name, [name])[0]) for name in imported_packages()}
    declared = {normalised(one) for one in PYPROJECT["project"]["dependencies"]}
    assert declared == imported - optional


# ---- floors ---------------------------------------------------------------------------------------------------------


def contract(name: str) -> dict[str, Any]:
    contracts: list[dict[str, Any]] = PYPROJECT["tool"]["importlinter"]["contracts"]
    (found,) = [one for one in contracts if one["name"].startswith(name)]
    return found


def test_the_core_of_the_contracts_is_every_floor_below_the_runtime() -> None:
    layers: list[str] = contract("imports point down")["layers"]
    core = {f"mcp_acl.{name}" for layer in layers[layers.index("runtime") + 1 :] for name in layer.split(" | ")}
    assert core == set(contract("the core does no I/O")["source_modules"])


def test_the_branches_that_must_be_covered_are_those_of_the_core() -> None:
    covered = PYPROJECT["tool"]["coverage"]["run"]["source_pkgs"]
    assert {*covered} == {*contract("the core does no I/O")["source_modules"]}


# ---- modules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_module_opens_with_a_docstring(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring
    assert docstring.splitlines()[0].endswith(".")


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_module_keeps_its_budget(path: Path) -> None:
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES]
    lines = path.read_text().count("\n")
    assert [] == long
    assert lines <= MAX_LINES


def test_public_names_are_few_and_exist() -> None:
    assert 0 < len(mcp_acl.__all__) <= MAX_PUBLIC_NAMES
    assert [] == [name for name in mcp_acl.__all__ if not hasattr(mcp_acl, name)]


def test_the_package_says_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


# ---- files ----------------------------------------------------------------------------------------------------------


def test_no_file_holds_a_path_of_one_machine() -> None:
    somewhere = re.compile(rf"(?<![\w./])/(?:home|Users|root|work)/|{re.escape(str(ROOT))}/".encode())
    assert [] == [str(path.relative_to(ROOT)) for path in own_files() if somewhere.search(path.read_bytes())]


def test_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
