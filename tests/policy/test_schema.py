"""The JSON Schema says what the models say."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from mcp_acl.mcp.methods import METHODS
from mcp_acl.policy.schema import json_schema
from mcp_acl.policy.source import SourceFile, read_document
from mcp_acl.policy.spec import load_policies
from mcp_acl.policy.tree import Plain

CASES = Path(__file__).parents[1] / "cases" / "problems"
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

SHAPE = {
    "empty-value",
    "missing-key",
    "name-pattern",
    "too-long",
    "unknown-key",
    "wrong-id",
    "wrong-type",
    "wrong-value",
}


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert "https://json-schema.org/draft/2020-12/schema" == SCHEMA["$schema"]
    assert SCHEMA == json.loads(json.dumps(SCHEMA))


@pytest.mark.parametrize(
    "data",
    [
        {"version": 1, "policy": "p", "rules": []},
        {"version": 1, "policy": "p", "servers": ["a", "b-*"], "variables": {"a": "b"}, "rules": []},
        {"version": 1, "policy": "p", "rules": [{"id": "a", "methods": ["tools/call"]}]},
        {"version": 1, "policy": "p", "rules": [{"id": "a", "feature": "*", "methods": ["events/poll"]}]},
        {"version": 1, "policy": "p", "rules": [{"id": "a", "methods": ["tools/call"], "name": ["a", {"glob": "b*"}]}]},
        {"version": 1, "policy": "p", "rules": [{"id": "a", "methods": ["tools/call"], "name": {"any": True}}]},
        {"version": 1, "policy": "p", "rules": [{"id": "a", "effect": "deny", "targets": [{"methods": ["ping"]}]}]},
    ],
)
def test_good_files_are_valid(data: object) -> None:
    assert [] == [error.message for error in VALIDATOR.iter_errors(data)]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"id": "a"},
        {"methods": ["tools/call"]},
        {"id": "a b", "methods": ["tools/call"]},
        {"id": "a", "methods": []},
        {"id": "a", "methods": "tools/call"},
        {"id": "a", "methods": [""]},
        {"id": "a", "methods": [1]},
        {"id": "a", "methods": ["tools/call"], "name": None},
        {"id": "a", "methods": ["tools/call"], "name": ""},
        {"id": "a", "methods": ["tools/call"], "name": []},
        {"id": "a", "methods": ["tools/call"], "name": [["a"]]},
        {"id": "a", "methods": ["tools/call"], "name": {"any": False}},
        {"id": "a", "methods": ["tools/call"], "name": {"glob": "a", "regex": "b"}},
        {"id": "a", "methods": ["tools/call"], "targets": [{"methods": ["ping"]}]},
        {"id": "a", "name": "b", "targets": [{"methods": ["ping"]}]},
        {"id": "a", "methods": ["tools/call"], "effect": "permit"},
        {"id": "a", "methods": ["tools/call"], "effect": None},
        {"id": "a", "methods": ["tools/call"], "feature": "tool"},
        {"id": "a", "methods": ["tools/call"], "cel": True},
        {"id": "a", "methods": ["tools/call"], "when": "x"},
    ],
)
def test_bad_rules_are_not(rule: object) -> None:
    assert not VALIDATOR.is_valid({"version": 1, "policy": "p", "rules": [rule]})


def shape_cases() -> list[tuple[str, Plain, bool]]:
    """Every file of the problem cases that can be read, and whether its shape is wrong."""
    cases: list[tuple[str, Plain, bool]] = []
    for path in sorted(CASES.glob("*/*.yaml")):
        file = SourceFile(path.name, path.read_bytes())
        document, problems = read_document(file)
        if document is not None and not problems:
            found = {problem.code for problem in load_policies([file])[1]}
            cases.append((f"{path.parent.name}/{path.name}", document.plain(), bool(found & SHAPE)))
    return cases


@pytest.mark.parametrize(("name", "data", "is_bad"), shape_cases())
def test_the_schema_refuses_what_the_models_refuse(name: str, data: Plain, is_bad: bool) -> None:
    beyond = name.startswith("methods-and-targets")
    assert (is_bad or beyond) == (not VALIDATOR.is_valid(data)), name


def test_editors_offer_every_method() -> None:
    text = json.dumps(SCHEMA)
    assert all(f'"{method}"' in text for method in METHODS)


def test_every_key_is_described() -> None:
    definitions = SCHEMA["$defs"]
    assert isinstance(definitions, dict)
    for schema in (SCHEMA, definitions["RuleSpec"], definitions["TargetSpec"]):
        assert isinstance(schema, dict)
        properties = schema["properties"]
        assert isinstance(properties, dict)
        assert [] == [
            key for key, value in properties.items() if isinstance(value, dict) and "description" not in value
        ]
