"""The codes of all problems and findings there are. `mcp-acl check --explain` and docs/findings.md print them."""

from collections.abc import Mapping
from typing import Final

from mcp_acl.codes.conditions import BOTH_LANGUAGES, IN_CEL, IN_EL
from mcp_acl.codes.files import FILES, SHAPE
from mcp_acl.codes.rows import Code
from mcp_acl.codes.rules import RULES
from mcp_acl.codes.service import SERVICE

GROUPS: Final[Mapping[str, tuple[Code, ...]]] = {
    "Conditions": BOTH_LANGUAGES,
    "CEL": IN_CEL,
    "EL": IN_EL,
    "Rules": RULES,
    "Policy files": SHAPE,
    "YAML": FILES,
    "Scenarios, settings, the service": SERVICE,
}

CODES: Final[Mapping[str, Code]] = {row.code: row for rows in GROUPS.values() for row in rows}
