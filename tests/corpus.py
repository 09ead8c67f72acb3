"""The scenario corpus: which files there are, and the policies of each."""

import functools
from collections.abc import Sequence
from pathlib import Path

from mcp_acl.engine.scenario_file import parse_scenarios
from mcp_acl.engine.scenarios import Scenario, ScenarioFile
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.store import read_policies

ROOT = Path(__file__).parents[1]
PATHS = [*sorted((ROOT / "tests" / "scenarios").glob("*.yaml")), *sorted(ROOT.glob("policies/*/*.scenarios.yaml"))]


def path_id(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.yaml')}"


@functools.cache
def file_of(path: Path) -> ScenarioFile:
    return parse_scenarios(SourceFile(path.name, path.read_bytes()))


@functools.cache
def policy_files(path: Path) -> Sequence[SourceFile]:
    own = file_of(path).policies
    return read_policies(path.parent) if own is None else own


@functools.cache
def policies_of(path: Path) -> PolicySet:
    return compile_policies(policy_files(path))


def every_scenario() -> list[Scenario]:
    return [scenario for path in PATHS for scenario in file_of(path).scenarios]


def shown_of(differences: Sequence[object]) -> str:
    return "\n".join(map(str, differences))
