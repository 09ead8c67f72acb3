"""The examples for control planes against the schemas of their kinds, as the projects publish them."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc  # type: ignore[import-untyped]

from tests.deploy.resources import DEPLOY, Json, Kind, complaints, kind_of, module, published, resources, stated

FILES: Final = sorted(
    str(path.relative_to(DEPLOY))
    for where in ("envoy-gateway", "istio", "kgateway", "kuadrant")
    for path in (DEPLOY / where).glob("*.yaml")
)
OPERATOR: Final = "IstioOperator"
EVERYTHING: Final = [one for name in FILES for one in resources(name) if one["kind"] != OPERATOR]
OURS: Final = "gateway.kgateway.dev/"


def schema_of(kind: Kind) -> Json:
    return (stated() if kind[0].startswith(OURS) else published())[kind]


def called(resource: Json) -> str:
    return f"{resource['kind']}-{resource['metadata']['name']}"


@pytest.mark.parametrize("resource", EVERYTHING, ids=called)
def test_resource_is_as_its_schema_says(resource: Json) -> None:
    assert [] == complaints(resource, schema_of(kind_of(resource)))


@pytest.mark.parametrize("resource", EVERYTHING, ids=called)
def test_field_that_is_misspelt_is_found(resource: Json) -> None:
    """Wherever the schema says what there is: the check looks as deep as the example goes."""
    schema = schema_of(kind_of(resource))
    found = [path for path, wrong in misspelt(resource) if complaints(wrong, schema)]
    assert "spec" in {path.partition(".")[0] for path in found}
    free = (
        "spec.configPatches",
        "spec.workloadSelector",
        "spec.extAuth.contextExtensions",
        "spec.http2ProtocolOptions",
    )
    others = [path for path, _ in misspelt(resource) if path.startswith("spec.") and not path.startswith(free)]
    assert set(others) <= set(found)


def misspelt(resource: Json) -> Iterator[tuple[str, Json]]:
    for path in paths(resource["spec"], ("spec",)):
        wrong = deepcopy(resource)
        place = wrong
        for step in path[:-1]:
            place = place[step]
        place[f"{path[-1]}x"] = place.pop(path[-1])
        yield ".".join(map(str, path)), wrong


def paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield (*path, name)
            yield from paths(one, (*path, name))
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from paths(one, (*path, number))


def test_mesh_configuration_of_istio_is_as_its_interface_says(tmp_path: Path) -> None:
    root = module("istio.io/api")
    made = tmp_path / "mesh"
    include = [f"-I{root}", f"-I{root}/common-protos"]
    command = ["", *include, "--include_imports", f"--descriptor_set_out={made}", "mesh/v1alpha1/config.proto"]
    assert 0 == protoc.main(command)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(made.read_bytes()).file:
        pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("istio.mesh.v1alpha1.MeshConfig"))
    (operator,) = [one for one in resources("istio/ext-authz.yaml") if one["kind"] == OPERATOR]
    config = operator["spec"]["meshConfig"]
    json_format.ParseDict(config, kind())
    config["extensionProviders"][0]["envoyExtAuthzGrpc"]["failClosed"] = True
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(config, kind())


def test_every_file_has_a_page_beside_it_that_names_it() -> None:
    for name in FILES:
        page = DEPLOY / Path(name).parent / "README.md"
        assert Path(name).name in page.read_text()


def test_every_example_of_a_page_is_yaml() -> None:
    for page in DEPLOY.glob("*/README.md"):
        for block in page.read_text().split("```yaml\n")[1:]:
            assert yaml.safe_load(block.partition("```")[0])
