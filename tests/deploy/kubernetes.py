"""Kubernetes' own kinds, and cert-manager's, against the schemas that the projects publish: what a schema does not name is no field.

The API server's description is in Swagger 2.0; it is read as JSON Schema, in which it is but for three things: texts that are a number as well, no
mention of what may be null, and formats. A kind of cert-manager's is a definition as for any gateway's (`resources`).
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from jsonschema import Draft202012Validator

from tests.deploy.resources import Json, Kind, closed, complaints, kind_of, module, published

_SWAGGER: Final = "api/openapi-spec/swagger.json"
_GROUPS: Final = "x-kubernetes-group-version-kind"
_METADATA: Final = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_INT_OR_STRING: Final = "int-or-string"


def complaints_of(resource: Json) -> list[str]:
    """What is wrong with a resource of any kind that the chart may render, each with its path."""
    kind = kind_of(resource)
    if kind in _kinds():
        return _against(_kinds()[kind], resource)
    return [*complaints(resource, published()[kind]), *_against(_METADATA, resource.get("metadata"))]


def _against(definition: str, value: Json) -> list[str]:
    validator = Draft202012Validator({"$ref": definition, "definitions": _definitions()})
    return [f"{'.'.join(map(str, one.absolute_path))}: {one.message}" for one in validator.iter_errors(value)]


@cache
def _definitions() -> Mapping[str, Json]:
    swagger = json.loads((module("k8s.io/kubernetes") / _SWAGGER).read_text())
    return {name: _read(one) for name, one in swagger["definitions"].items()}


def _read(schema: Json) -> Json:
    if schema.get("format") == _INT_OR_STRING:
        return {"type": ["integer", "string"]}
    return {**closed(schema, is_root=False), _GROUPS: schema.get(_GROUPS, [])}


@cache
def _kinds() -> Mapping[Kind, str]:
    return dict(_named())


def _named() -> Iterator[tuple[Kind, str]]:
    for name, one in _definitions().items():
        for kind in one.get(_GROUPS, []):
            group = f"{kind['group']}/" if kind["group"] else ""
            yield (f"{group}{kind['version']}", kind["kind"]), f"#/definitions/{name}"
