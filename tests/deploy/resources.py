"""Kubernetes resources against the schemas of their kinds, as an API server reads both: what a schema does not name is no field.

Schemas are read where Go has put the modules that carry them (`make setup`); of kinds that no module carries, from a statement of our own.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

from tests.installed import ROOT, by_go

Json = Any
Kind = tuple[str, str]
"""The `apiVersion` and `kind`."""

DEPLOY: Final = ROOT / "deploy"
_DOWNLOADED: Final = ROOT / ".venv-peers" / "schemas.json"
_FILES: Final = {
    "github.com/envoyproxy/gateway": "charts/gateway-helm/charts/crds/crds/**/*.yaml",
    "istio.io/api": "kubernetes/*.yaml",
    "github.com/cert-manager/cert-manager": "deploy/crds/*.yaml",
}
"""Where a module has its definitions. That of Envoy Gateway has those of the Gateway API too."""
_STATED: Final = Path(__file__).parent / "stated.yaml"


def resources(name: str) -> list[Json]:
    """The resources of a file under deploy/."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def kind_of(resource: Json) -> Kind:
    return resource["apiVersion"], resource["kind"]


def complaints(resource: Json, schema: Json) -> list[str]:
    """What is wrong with a resource, each with its path."""
    found = Draft202012Validator(closed(schema)).iter_errors(resource)
    return [f"{'.'.join(map(str, one.absolute_path))}: {one.message}" for one in found]


@cache
def published() -> Mapping[Kind, Json]:
    """By kind."""
    return dict(_published())


def _published() -> Iterator[tuple[Kind, Json]]:
    for name, files in _FILES.items():
        for file in sorted(module(name).glob(files)):
            for one in yaml.load_all(file.read_text(), yaml.CSafeLoader):
                if one and one.get("kind") == "CustomResourceDefinition":
                    yield from _versions(one["spec"])


def module(name: str) -> Path:
    """The directory of a module."""
    decoder, text = json.JSONDecoder(), by_go(_DOWNLOADED).read_text().strip()
    while text:
        found, end = decoder.raw_decode(text)
        if found["Path"] == name:
            return Path(found["Dir"])
        text = text[end:].strip()
    raise AssertionError(name)


def _versions(spec: Json) -> Iterator[tuple[Kind, Json]]:
    for version in spec["versions"]:
        yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), version["schema"]["openAPIV3Schema"]


def stated() -> Mapping[Kind, Json]:
    """Of kinds that no module carries: the fields that our examples use, in few words."""
    found = yaml.safe_load(_STATED.read_text())
    return {(one["apiVersion"], one["kind"]): {"properties": {"spec": _spelt(one["spec"])}} for one in found["kinds"]}


def _spelt(short: Json) -> Json:
    """`{a: string, b: {c: boolean}}` as a schema. A list is an array of its one member, or the values that there are."""
    if isinstance(short, str):
        return {} if short == "any" else {"type": short}
    if isinstance(short, list) and len(short) == 1:
        return {"type": "array", "items": _spelt(short[0])}
    if isinstance(short, list):
        return {"enum": short}
    return {"type": "object", "properties": {name: _spelt(one) for name, one in short.items()}}


_WORDS: Final = frozenset({"apiVersion", "kind", "metadata"})


def closed(schema: Json, *, is_root: bool = True) -> Json:
    """Without fields that are not named, but for what is kept as it comes; what stands in every resource may always be there."""
    if not isinstance(schema, dict):
        return schema
    found = {key: _inside(key, value) for key, value in schema.items() if not key.startswith("x-")}
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found["additionalProperties"] = False
        if is_root:
            found["properties"] |= {name: {} for name in _WORDS}
    return found


def _inside(key: str, value: Json) -> Json:
    if key == "properties":
        return {name: closed(one, is_root=False) for name, one in value.items()}
    if key in ("items", "additionalProperties", "not"):
        return closed(value, is_root=False)
    if key in ("allOf", "anyOf", "oneOf"):
        # They add to what stands beside them and name no fields of their own.
        return [{**one, "additionalProperties": True} if "properties" in one else one for one in value]
    return value
