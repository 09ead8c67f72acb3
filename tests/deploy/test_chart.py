"""The chart: what it renders is what Kubernetes takes, belongs together, and leaves nothing open; what cannot work is refused with what to do."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft7Validator

from mcp_acl.cli import COMMANDS
from mcp_acl.hosts.grpcio import GRACE
from mcp_acl.runtime.loading import load_settings
from mcp_acl.runtime.rows import PREFIX, ROWS
from mcp_acl.runtime.settings import Settings
from tests.deploy.chart import (
    CHART,
    DIGEST,
    EXAMPLES,
    NAMESPACE,
    RELEASES,
    VALUES,
    WORKLOADS,
    RefusedError,
    digest,
    environment,
    example,
    helm,
    of_kind,
    one_of,
    pods,
    release,
    rendered,
    service_container,
    values_of,
    workload,
)
from tests.deploy.kubernetes import complaints_of
from tests.deploy.resources import Json
from tests.installed import ROOT
from tests.test_image import LAST, environment_of, final

SCHEMA: Final[Json] = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS: Final = (CHART / "values.yaml").read_text()
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

all_examples = pytest.mark.parametrize("name", EXAMPLES)

# ---- what is committed ----------------------------------------------------------------------------------------------


def test_releases_are_made_from_the_chart_as_it_is() -> None:
    assert digest() == DIGEST.read_text().strip(), "run `make chart`"
    assert EXAMPLES == sorted(path.stem for path in RELEASES.glob("*.yaml"))


@all_examples
def test_release_is_what_helm_makes_of_the_values(name: str) -> None:
    assert release(name) == (RELEASES / f"{name}.yaml").read_text()


# ---- as Kubernetes reads it -----------------------------------------------------------------------------------------


@all_examples
def test_every_resource_is_as_its_schema_says(name: str) -> None:
    assert {} == {one["metadata"]["name"]: wrong for one in example(name) if (wrong := complaints_of(one))}


def test_a_field_that_is_misspelt_is_found_however_deep() -> None:
    for resource in [*example("mtls"), *example("kept")]:
        unseen = [path for path, wrong in misspelt(resource) if not complaints_of(wrong)]
        assert [] == [path for path in unseen if path[-2] not in FREE], resource["kind"]


FREE: Final = frozenset(
    {"labels", "annotations", "matchLabels", "selector", "nodeSelector", "limits", "requests", "data"}
)
"""Where names are the user's."""


def misspelt(resource: Json) -> Iterator[tuple[tuple[Any, ...], Json]]:
    for path in paths(resource, ()):
        wrong = deepcopy(resource)
        place = wrong
        for step in path[:-1]:
            place = place[step]
        place[f"{path[-1]}X"] = place.pop(path[-1])
        yield path, wrong


def paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if (*path, key) not in (("apiVersion",), ("kind",)):
                yield (*path, key)
                yield from paths(one, (*path, key))
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from paths(one, (*path, number))


@all_examples
def test_helm_s_own_linter_finds_nothing(name: str) -> None:
    said = helm("lint", "--strict", "--values", VALUES / f"{name}.yaml", CHART)
    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "[WARNING]" not in said


@all_examples
def test_names_are_told_apart_and_are_in_the_release_s_namespace(name: str) -> None:
    named = [(one["kind"], one["metadata"]["name"]) for one in example(name)]
    assert len(named) == len(set(named))
    assert {NAMESPACE} == {one["metadata"]["namespace"] for one in example(name)}


def test_chart_is_of_the_project_s_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (PROJECT["version"], PROJECT["version"]) == (chart["version"], chart["appVersion"])
    assert f"mcp-acl:{PROJECT['version']}" == service_container(example("mesh"))["image"]
    assert service_container(example("mtls"))["image"].startswith("registry.example.com/mcp-acl@sha256:")


# ---- the pods -------------------------------------------------------------------------------------------------------


@all_examples
def test_no_container_without_limits_and_none_may_do_anything_but_run(name: str) -> None:
    for pod, template in pods(example(name)):
        spec = template["spec"]
        assert False is spec["automountServiceAccountToken"], pod
        assert False is spec["enableServiceLinks"], pod
        assert (True, {"type": "RuntimeDefault"}) == tuple(
            spec["securityContext"][key] for key in ("runAsNonRoot", "seccompProfile")
        )
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            for amounts in (container["resources"][key] for key in ("requests", "limits")):
                assert {"cpu", "memory"} <= set(amounts), container["name"]
            context = container["securityContext"]
            assert (False, True, True, {"drop": ["ALL"]}) == tuple(
                context[key]
                for key in ("allowPrivilegeEscalation", "readOnlyRootFilesystem", "runAsNonRoot", "capabilities")
            )


@all_examples
def test_user_is_the_image_s_unless_the_platform_chooses(name: str) -> None:
    user, _, group = final(LAST, "USER").partition(":")
    context = workload(example(name))["spec"]["template"]["spec"]["securityContext"]
    chosen = {key: context[key] for key in ("runAsUser", "runAsGroup", "fsGroup") if key in context}
    assert chosen == (
        {} if name == "synced" else {"runAsUser": int(user), "runAsGroup": int(group), "fsGroup": int(group)}
    )


@all_examples
def test_every_volume_is_there_and_is_used(name: str) -> None:
    for pod, template in pods(example(name)):
        spec = template["spec"]
        claimed = [one["metadata"]["name"] for one in workload(example(name))["spec"].get("volumeClaimTemplates", [])]
        there = [one["name"] for one in spec.get("volumes", [])]
        there += claimed if template is workload(example(name))["spec"]["template"] else []
        containers = [*spec["containers"], *spec.get("initContainers", [])]
        mounts = [one for container in containers for one in container.get("volumeMounts", [])]
        assert sorted(there) == sorted({one["name"] for one in mounts}), pod
        # Of a file that is mounted by itself no change is ever seen.
        assert [] == [one for one in mounts if "subPath" in one]


@all_examples
def test_probes_ask_what_is_there_and_never_whether_a_policy_set_was_refused(name: str) -> None:
    container = service_container(example(name))
    ports = {one["containerPort"] for one in container["ports"]}
    probes = [container[f"{one}Probe"] for one in ("startup", "readiness", "liveness")]
    for probe in probes:
        assert "mcp_acl.policies" not in json.dumps(probe)
        if values_of(name).get("insecure"):
            assert probe["grpc"]["port"] in ports
        else:
            program, command, *flags = probe["exec"]["command"]
            assert program == json.loads(final(LAST, "ENTRYPOINT"))[0]
            assert command in COMMANDS
            assert ["--address", environment(container)["MCP_ACL_ADMIN_LISTEN"]] == flags
    startup, readiness, liveness = probes
    # A pod that is busy leaves the Service before it is ended; one that loads a large set is waited for.
    patience = [one["periodSeconds"] * one["failureThreshold"] for one in (readiness, liveness)]
    assert patience[0] < patience[1]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60


@all_examples
def test_pod_has_time_to_drain(name: str) -> None:
    drain = float(environment(service_container(example(name)))["MCP_ACL_DRAIN"])
    spec = workload(example(name))["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] >= drain + 2 * GRACE
    assert "lifecycle" not in service_container(example(name))


@all_examples
def test_no_pod_goes_before_another_is_ready(name: str) -> None:
    resources = example(name)
    spec = workload(resources)["spec"]
    assert spec["minReadySeconds"] > 0
    if "strategy" in spec:
        assert {"maxUnavailable": 0, "maxSurge": 1} == spec["strategy"]["rollingUpdate"]
    else:
        assert "RollingUpdate" == spec["updateStrategy"]["type"]
    several = name != "synced"
    assert several == bool(of_kind(resources, "PodDisruptionBudget"))


# ---- its settings ---------------------------------------------------------------------------------------------------


def settings(name: str) -> Settings:
    """As the service in the image takes the variables of the container."""
    given = environment(service_container(example(name)))
    return load_settings(
        {}, {**environment_of("envoy" if given["MCP_ACL_HOST"] == "envoy" else LAST), **given}, None
    ).settings


@all_examples
def test_every_variable_is_a_setting_and_is_said_once(name: str) -> None:
    names = [one["name"] for one in service_container(example(name))["env"]]
    assert len(names) == len(set(names))
    assert set() == {one for one in names if one.startswith(PREFIX)} - {row.variable for row in ROWS.values()}
    settings(name)


def plain(value: object) -> object:
    """A value of a setting as a file of values has it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def test_settings_arrive_as_they_were_written() -> None:
    found, written = settings("mtls"), values_of("mtls")["settings"]
    assert written == {key: plain(getattr(found, key)) for key in written}
    clients = values_of("mtls")["tls"]["clients"]
    assert (clients["names"], clients["operators"]) == (list(found.client_names), list(found.admin_names))


@all_examples
def test_what_settings_name_is_mounted(name: str) -> None:
    found, container = settings(name), service_container(example(name))
    assert [int(found.listen.rpartition(":")[2])] == [
        one["containerPort"] for one in container["ports"] if one["name"] == "grpc"
    ]
    mounts = {one["mountPath"]: one.get("readOnly", False) for one in container["volumeMounts"]}
    assert found.store is not None
    assert (False, False) == (mounts[str(found.store.parent)], mounts[environment(container)["TMPDIR"]])
    if found.policies_from:
        # It is written to, and outlives the container.
        assert found.policies.is_relative_to(found.store.parent)
    else:
        assert mounts["/policies"]
        assert found.policies.is_relative_to("/policies")
    for file in filter(
        None, (getattr(found, f"policies_{one}") for one in ("token", "key", "known_hosts", "ca", "signers"))
    ):
        assert mounts[str(file.parent)]
    for file in filter(None, (found.tls_cert, found.tls_key, found.tls_client_ca)):
        assert mounts[str(file.parent)]
    if found.decision_log and found.decision_log.is_absolute():
        assert not mounts[str(found.decision_log.parent)]
    if found.metrics_listen:
        assert int(found.metrics_listen.rpartition(":")[2]) in {one["containerPort"] for one in container["ports"]}
    assert bool(found.tls_cert) is not found.insecure
    assert bool(found.tls_client_ca) is not found.insecure


def test_policies_in_a_volume_of_somebody_else_s_are_at_the_path_in_it() -> None:
    assert "/policies/current/policies" == str(settings("synced").policies)


def test_what_is_fetched_is_what_the_values_say() -> None:
    found, remote = settings("remote"), values_of("remote")["policies"]
    assert (remote["remote"]["from"], remote["remote"]["ref"], remote["path"]) == (
        found.policies_from,
        found.policies_ref,
        found.policies_path,
    )
    files = {one: getattr(found, f"policies_{one}") for one in remote["remote"]["files"]}
    assert {one: f"/remote/{one}" for one in files} == {one: str(file) for one, file in files.items()}


def test_every_setting_can_be_given_or_follows_from_other_values() -> None:
    """What is in neither would be out of reach."""
    given = set(SCHEMA["properties"]["settings"]["properties"])
    said = {
        one.removeprefix(PREFIX).lower() for name in EXAMPLES for one in environment(service_container(example(name)))
    }
    said -= {key for name in EXAMPLES for key in values_of(name).get("settings", {})} | {"claims_header"}
    assert set() == said & given
    # Pods are the way to have several processes, and the socket is the pod's own.
    assert {"workers", "socket_mode"} == set(ROWS) - given - said


# ---- what belongs together ------------------------------------------------------------------------------------------


@all_examples
def test_what_selects_pods_selects_those_of_the_service_and_no_others(name: str) -> None:
    resources = example(name)
    own = workload(resources)["spec"]["template"]["metadata"]["labels"]
    others = [
        template["metadata"]["labels"]
        for made_by, template in pods(resources)
        if made_by != workload(resources)["metadata"]["name"]
    ]
    selectors = [one["spec"]["selector"] for one in of_kind(resources, "Service")]
    selectors += [
        one["spec"]["selector"]["matchLabels"] for one in of_kind(resources, "PodDisruptionBudget", *WORKLOADS)
    ]
    selectors += [one["spec"]["podSelector"]["matchLabels"] for one in of_kind(resources, "NetworkPolicy")]
    assert len(selectors) >= 3
    for selector in selectors:
        assert selector.items() <= own.items()
        assert [] == [labels for labels in others if selector.items() <= labels.items()]
        # A selector of a workload can never be changed.
        assert not {"app.kubernetes.io/version", "helm.sh/chart"} & set(selector)


@all_examples
def test_services_lead_to_ports_that_are_there(name: str) -> None:
    container = service_container(example(name))
    ports = {one["name"] for one in container["ports"]}
    whole, headless = sorted(of_kind(example(name), "Service"), key=lambda one: one["spec"].get("clusterIP", ""))
    assert "None" == headless["spec"]["clusterIP"]
    for one in (whole, headless):
        assert ports == {port["targetPort"] for port in one["spec"]["ports"]}
        plain = [port.get("appProtocol") for port in one["spec"]["ports"] if port["name"] == "grpc"]
        assert plain == ["kubernetes.io/h2c" if values_of(name).get("insecure") else None]
    (port,) = [one["containerPort"] for one in container["ports"] if one["name"] == "grpc"]
    assert [port] == [one["port"] for one in headless["spec"]["ports"] if one["name"] == "grpc"]


def test_what_is_scaled_and_what_keeps_is_there() -> None:
    scaled = one_of(example("mtls"), "HorizontalPodAutoscaler")["spec"]
    target = workload(example("mtls"))
    assert (target["kind"], target["metadata"]["name"]) == (
        scaled["scaleTargetRef"]["kind"],
        scaled["scaleTargetRef"]["name"],
    )
    assert "replicas" not in target["spec"]
    assert service_container(example("mtls"))["name"] == scaled["metrics"][0]["containerResource"]["container"]
    kept = workload(example("kept"))
    assert ("StatefulSet", 3) == (kept["kind"], kept["spec"]["replicas"])
    assert "None" == one_of(example("kept"), "Service", name=kept["spec"]["serviceName"])["spec"]["clusterIP"]


def test_certificate_is_for_the_names_by_which_gateways_ask_and_goes_where_it_is_read() -> None:
    certificate = one_of(example("mtls"), "Certificate")["spec"]
    for service in of_kind(example("mtls"), "Service"):
        name = service["metadata"]["name"]
        assert {f"{name}.{NAMESPACE}.svc", f"{name}.{NAMESPACE}.svc.cluster.local"} <= set(certificate["dnsNames"])
    assert "mcp-acl.example.com" in certificate["dnsNames"]
    volumes = {one["name"]: one for one in workload(example("mtls"))["spec"]["template"]["spec"]["volumes"]}
    assert certificate["secretName"] == volumes["tls"]["secret"]["secretName"]
    assert 0o440 == volumes["tls"]["secret"]["defaultMode"]


def test_authorities_of_callers_may_be_in_another_secret() -> None:
    assert "/clients/bundle.crt" == str(settings("kept").tls_client_ca)
    volumes = {one["name"]: one for one in workload(example("kept"))["spec"]["template"]["spec"]["volumes"]}
    assert ("mcp-acl-by-hand", "gateways") == tuple(volumes[one]["secret"]["secretName"] for one in ("tls", "clients"))


# ---- who may connect ------------------------------------------------------------------------------------------------


def test_nobody_but_callers_and_the_test_may_ask() -> None:
    for name in ("mesh", "mtls", "kept"):
        policy = one_of(example(name), "NetworkPolicy")["spec"]
        assert ["Ingress", "Egress"] == policy["policyTypes"]
        asking, *others = policy["ingress"]
        *callers, test = asking["from"]
        assert values_of(name)["networkPolicy"]["callers"] == callers
        assert test["podSelector"]["matchLabels"] == one_of(example(name), "Pod")["metadata"]["labels"]
        assert ["grpc"] == [port["port"] for port in asking["ports"]]
        assert others == (
            [{"from": values_of(name)["ports"]["metrics"]["from"], "ports": [{"port": "metrics", "protocol": "TCP"}]}]
            if name == "mtls"
            else []
        )
        # An empty list of peers is everybody.
        assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])


def test_without_the_test_there_is_no_hole_for_it() -> None:
    resources = rendered({**values_of("mesh"), "test": {"enabled": False}})
    assert [] == of_kind(resources, "Pod")
    assert (
        values_of("mesh")["networkPolicy"]["callers"]
        == one_of(resources, "NetworkPolicy")["spec"]["ingress"][0]["from"]
    )


def test_it_connects_nowhere_unless_told_and_looks_up_names_only_then() -> None:
    assert [] == one_of(example("mesh"), "NetworkPolicy")["spec"]["egress"]
    remote, names = one_of(example("mtls"), "NetworkPolicy")["spec"]["egress"]
    assert values_of("mtls")["networkPolicy"]["egress"] == [remote]
    assert {53} == {one["port"] for one in names["ports"]}
    assert names["to"]


# ---- what cannot work -----------------------------------------------------------------------------------------------

REFUSED: Final[Mapping[str, tuple[Mapping[str, Any], str]]] = {
    "policies twice": ({"policies": {"configMap": "mine"}}, "policies: `files` and `configMap` are given; give one"),
    "nothing to fetch from": (
        {"policies": {"remote": {"secretName": "mine", "files": ["token"]}}},
        "policies.remote.from: it is missing",
    ),
    "files of no Secret": (
        {"policies": {"remote": {"files": ["token"]}}},
        "policies.remote: `secretName` and `files` belong",
    ),
    "neither TLS nor insecure": ({"insecure": False}, "tls: there is no certificate; name a `tls.secretName`"),
    "TLS and insecure": ({"tls": {"secretName": "mine"}}, "tls: `insecure` and `tls.secretName` are given; give one"),
    "names that nobody shows": (
        {"tls": {"clients": {"names": ["gateway"]}}},
        "tls.clients: names and authorities count only",
    ),
    "nobody may ask": ({"networkPolicy": {"callers": []}}, "networkPolicy.callers: nobody could ask"),
    "a peer that is everybody": ({"networkPolicy": {"callers": [{}]}}, "callers"),
    "egress to everywhere": ({"networkPolicy": {"egress": [{"ports": [{"port": 443}]}]}}, "egress"),
    "a port that nobody reaches": ({"ports": {"metrics": {"port": 9464}}}, "ports.metrics.from: nobody could connect"),
    "a port that is taken": (
        {"ports": {"other": {"port": 9191, "from": [{"podSelector": {}}]}}},
        "ports.other: gateways ask there",
    ),
    "fewer than none": (
        {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}},
        "autoscaling: `minReplicas` is more",
    ),
    "a misspelt value": ({"replica": 3}, "replica"),
    "a misspelt setting": ({"settings": {"max_call": 3}}, "max_call"),
    "a setting that the chart says": ({"settings": {"listen": "0.0.0.0:1"}}, "listen"),
    "a setting of another type": ({"settings": {"anonymous": "no"}}, "anonymous"),
    "a setting beyond its bounds": ({"settings": {"max_calls": 0}}, "max_calls"),
    "a name with a comma": ({"settings": {"attribute_metadata": ["a,b"]}}, "attribute_metadata"),
    "a variable that the chart says": (
        {"extraEnv": [{"name": "MCP_ACL_DRAIN", "value": "1"}]},
        "extraEnv: `MCP_ACL_DRAIN` is said",
    ),
    "a file that is not read": ({"policies": {"files": {"weather.yml": "version: 1"}}}, "weather.yml"),
    "a path that leads out": ({"policies": {"path": "../secrets"}}, "path"),
    "root": ({"podSecurityContext": {"runAsUser": 0}}, "runAsUser"),
    "maybe root": ({"podSecurityContext": {"runAsNonRoot": False}}, "runAsNonRoot"),
    "no limits": ({"resources": {"limits": None}}, "limits"),
    "no replicas": ({"replicas": 0}, "replicas"),
    "labels of the selector": ({"podLabels": {"app.kubernetes.io/name": "other"}}, "app.kubernetes.io/name"),
    "an unknown host": ({"host": "nginx"}, "host"),
    "a digest that is none": ({"image": {"digest": "latest"}}, "digest"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_and_says_why(case: str, tmp_path: Any) -> None:
    values, text = REFUSED[case]
    more = tmp_path / "more.yaml"
    more.write_text(yaml.safe_dump(dict(values)))
    with pytest.raises(RefusedError, match=re.escape(text)):
        rendered(VALUES / "mesh.yaml", "--values", str(more))


def over(values: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """Values over others, as Helm puts them: mappings are merged, and what is null is taken out."""
    merged = {**values, **more}
    for name in values.keys() & more.keys():
        if isinstance(values[name], dict) and isinstance(more[name], Mapping):
            merged[name] = over(values[name], more[name])
    return {name: one for name, one in merged.items() if one is not None}


@pytest.mark.parametrize("case", [case for case, (_, text) in REFUSED.items() if ": " not in text])
def test_what_is_wrong_by_itself_is_refused_by_the_schema(case: str) -> None:
    """The same where there is no Helm. What does not go together templates say."""
    values = over(yaml.safe_load(DEFAULTS), values_of("mesh"))
    assert [] == [*Draft7Validator(SCHEMA).iter_errors(values)]
    assert [*Draft7Validator(SCHEMA).iter_errors(over(values, REFUSED[case][0]))]


@all_examples
def test_value_file_is_as_the_schema_says(name: str) -> None:
    values = over(yaml.safe_load(DEFAULTS), values_of(name))
    assert [] == [*Draft7Validator(SCHEMA).iter_errors(values)]


def test_nothing_is_rendered_without_being_told_the_three_things() -> None:
    with pytest.raises(RefusedError, match="policies: there are none"):
        rendered({})


# ---- pages ----------------------------------------------------------------------------------------------------------

PAGE: Final = (ROOT / "docs" / "deployment.md").read_text()


def test_values_of_the_page_can_be_installed() -> None:
    blocks = [
        yaml.safe_load(block)
        for block in re.findall(r"^```yaml\n# values.yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    ]
    assert blocks
    policies = {"policies": {"files": {"weather.yaml": (ROOT / "policies" / "weather" / "weather.yaml").read_text()}}}
    for block in blocks:
        assert {} == {
            one["metadata"]["name"]: wrong for one in rendered({**policies, **block}) if (wrong := complaints_of(one))
        }


def test_variables_and_values_of_the_page_are_there() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", PAGE))
    assert set() == named - {row.variable for row in ROWS.values()}
    values = {".".join(path) for path in described(SCHEMA, ())}
    dotted = re.findall(r"`([a-z]+(?:\.[a-zA-Z]+)+)(?:: [^`]*)?`", PAGE)
    assert len(dotted) > 5
    assert (
        set()
        == {
            one
            for one in dotted
            if one.partition(".")[0] in SCHEMA["properties"] and not one.endswith((".yaml", ".conf"))
        }
        - values
    )


# ---- the file of values -------------------------------------------------------------------------------------------


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    assert {*described(SCHEMA, ())} - {("global",)} == {*given(yaml.safe_load(DEFAULTS), SCHEMA, ())}


def described(schema: Json, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths of values that a schema names, as deep as defaults say anything."""
    for name, one in schema.get("properties", {}).items():
        if path and path[0] in FREE_FORM:
            continue
        yield (*path, name)
        yield from described(one, (*path, name))


FREE_FORM: Final = frozenset({"settings", "podSecurityContext", "resources", "probes"})


def given(values: Any, schema: Json, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, one in values.items():
        yield (*path, name)
        inside = schema["properties"][name]
        if "properties" in inside and (*path, name)[0] not in FREE_FORM and one:
            yield from given(one, inside, (*path, name))
        elif "properties" in inside and (*path, name)[0] not in FREE_FORM:
            yield from described(inside, (*path, name))


def test_every_value_has_a_comment() -> None:
    """Its own line above it, or, where it is a mapping of values that have one, none."""
    lines = DEFAULTS.splitlines()
    missing = [
        ".".join(path)
        for path, line, is_leaf in marked(yaml.compose(DEFAULTS), SCHEMA, ())
        if is_leaf and not lines[line - 1].lstrip().startswith("#")
    ]
    assert [] == missing


def marked(node: Any, schema: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, bool]]:
    for key, value in node.value:
        inside = schema["properties"][key.value]
        parent = "properties" in inside and (*path, key.value)[0] not in FREE_FORM and bool(value.value)
        yield (*path, key.value), key.start_mark.line, not parent
        if parent:
            yield from marked(value, inside, (*path, key.value))


def test_schema_of_settings_says_what_the_model_says() -> None:
    """`make docs-check` compares it; here is that a value of each can be given."""
    samples: dict[str, Any] = {}
    for name, row in ROWS.items():
        if name in SCHEMA["properties"]["settings"]["properties"]:
            samples[name] = plain(row.example)
    resources = rendered({**values_of("mesh"), "settings": samples})
    found = environment(service_container(resources))
    loaded = load_settings({}, {**environment_of(LAST), **found}, None).settings
    assert samples == {key: plain(getattr(loaded, key)) for key in samples}
