"""`mcp-acl schema`: the JSON Schema of policy files."""

import json

import typer

from mcp_acl.cli.inputs import AsJson
from mcp_acl.policy.schema import json_schema


def command(as_json: AsJson = True) -> None:  # noqa: ARG001 - a schema is JSON either way
    """Print the JSON Schema of policy files, for editors."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
