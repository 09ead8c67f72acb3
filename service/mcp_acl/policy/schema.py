"""The JSON Schema of policy files, for editors: made from the models of `spec`.

JSON Schema draft 2020-12. It says what has the right shape; what has a meaning only the checks can say.
"""

from typing import Final, TypeAlias

from mcp_acl.policy.spec import PolicySpec

Schema: TypeAlias = "str | int | float | bool | list[Schema] | dict[str, Schema] | None"

_NULL: Final[Schema] = {"type": "null"}
_NOISE: Final = frozenset(("title", "default"))
"""What pydantic adds for itself."""


def json_schema() -> dict[str, Schema]:
    """The schema of one policy file."""
    members = PolicySpec.model_json_schema().items()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mcp-acl policy",
        **{key: _tidy(value) for key, value in members if key not in _NOISE},
    }


def _tidy(schema: Schema) -> Schema:
    """The same without noise, and without the null that an omitted key has in Python but may not have in a file."""
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _tidy(value) for key, value in schema.items() if key not in _NOISE}
    options = kept.get("anyOf")
    if isinstance(options, list) and _NULL in options:
        del kept["anyOf"]
        for option in options:
            kept.update(option if isinstance(option, dict) and option != _NULL else {})
    return kept
