"""The page of methods is what the table says."""

from pathlib import Path

from mcp_acl.mcp.exchanges import EXCHANGES
from mcp_acl.mcp.matrix import render_matrix
from mcp_acl.mcp.methods import METHODS


def test_every_method_is_on_the_page() -> None:
    page = render_matrix()
    assert all(f"| `{name}` |" in page for name in METHODS)


def test_no_row_of_the_page_is_without_a_scenario() -> None:
    page = (Path(__file__).parents[2] / "docs" / "methods.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") > 6]
    assert len(METHODS) + 1 + len(EXCHANGES) == len(rows)
    assert [] == [row for row in rows if not row.endswith(") |")]


def test_scenarios_add_a_column() -> None:
    lines = render_matrix({"tools/call": ["admins", "transfer"]}).splitlines()
    assert [line for line in lines if line.endswith("| Scenarios |")]
    assert "| calls a tool | admins, transfer |" in next(line for line in lines if line.startswith("| `tools/call`"))
    assert next(line for line in lines if line.startswith("| `ping`")).endswith("|  |")
