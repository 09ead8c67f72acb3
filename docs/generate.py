"""Write the pages of this directory that say what tables in the code say; `--check` only compares."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mcp_acl.engine.scenario_file import parse_scenarios
from mcp_acl.mcp.matrix import render_matrix
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import PolicySpec

DOCS: Final = Path(__file__).parent
SCENARIOS: Final = Path("..", "tests", "scenarios", "methods.yaml")


def methods() -> str:
    """The method table, each row with links to the scenarios that show it."""
    file = parse_scenarios(SourceFile(SCENARIOS.name, (DOCS / SCENARIOS).read_bytes()))
    links: defaultdict[str, list[str]] = defaultdict(list)
    for scenario in file.scenarios:
        line = scenario.place.line
        links[scenario.row.removeprefix("methods: ")].append(f"[{line}]({SCENARIOS.as_posix()}#L{line})")
    return render_matrix(links)


def policy_schema() -> str:
    """The JSON Schema of a policy file, for editors."""
    return json.dumps(PolicySpec.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "methods.md": methods,
    "policy.schema.json": policy_schema,
}


def main(arguments: list[str]) -> int:
    """Write every page that is not current, or name them and return 1."""
    pages = {DOCS / name: page() for name, page in PAGES.items()}
    stale = {path: text for path, text in pages.items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"docs/{path.name} is not current: run make docs", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
