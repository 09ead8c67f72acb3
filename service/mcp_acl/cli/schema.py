"""`mcp-acl schema`: the JSON Schema of policy files."""

import json

import typer

from mcp_acl.cli.inputs import AsJson
from mcp_acl.policy.spec import PolicySpec


def command(as_json: AsJson = True) -> None:  # noqa: ARG001 - a schema is JSON either way
    """Print the JSON Schema of policy files, for editors."""
    typer.echo(json.dumps(PolicySpec.model_json_schema(), indent=2, ensure_ascii=False))
