"""The page of methods is what the table says."""

from mcp_acl.mcp.matrix import render_matrix
from mcp_acl.mcp.methods import METHODS


def test_every_method_is_on_the_page() -> None:
    page = render_matrix()
    assert all(f"| `{name}` |" in page for name in METHODS)


def test_scenarios_add_a_column() -> None:
    lines = render_matrix({"tools/call": ["admins", "transfer"]}).splitlines()
    assert [line for line in lines if line.endswith("| Scenarios |")]
    assert "| calls a tool | admins, transfer |" in next(line for line in lines if line.startswith("| `tools/call`"))
    assert next(line for line in lines if line.startswith("| `ping`")).endswith("|  |")
