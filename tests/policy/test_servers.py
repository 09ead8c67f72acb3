"""Settings of servers: what a policy file may say, and what holds where several say it."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.servers import (
    DenialStyle,
    LinkedResources,
    ServerInfo,
    ServerKind,
    ServerSettings,
    Wrapper,
    combined,
)
from mcp_acl.policy.settings_spec import SettingsSpec
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import SourceError

ALL = """
settings:
  denials: hidden
  denial_code: 4030
  kind: typescript-1
  json_responses: true
  server_info: {name: toolbox, version: "1.2"}
  linked_resources: deny
  trust_annotations: true
  wrappers: [{tool: call_tool, argument: name, arguments: input}]
  accept_batches: true
  lenient_uris: true
  drop_instructions: true
  max_ttl_ms: 0
"""


def policy(policy_id: str, settings: str = "", servers: str = "") -> SourceFile:
    return SourceFile(f"{policy_id}.yaml", f"version: 1\npolicy: {policy_id}\n{servers}{settings}rules: []\n".encode())


def settings_of(*files: SourceFile, server: str = "weather") -> ServerSettings:
    view = compile_policies(files).view(server)
    assert view is not None
    return view.settings


def problem(settings: str) -> str:
    with pytest.raises(SourceError) as refused:
        compile_policies([policy("one", f"settings: {settings}\n")])
    return "; ".join(f"{one.message}: {one.hint}" for one in refused.value.problems)


def test_every_setting_can_be_said() -> None:
    assert settings_of(policy("one", ALL)) == ServerSettings(
        DenialStyle.HIDDEN,
        4030,
        ServerKind.TYPESCRIPT_1,
        json_responses=True,
        server_info=ServerInfo("toolbox", "1.2"),
        linked_resources=LinkedResources.DENY,
        trust_annotations=True,
        wrappers=(Wrapper("call_tool", "name", "input"),),
        accept_batches=True,
        lenient_uris=True,
        drop_instructions=True,
        max_ttl_ms=0,
    )


def test_what_is_not_said_is_as_it_is_by_default() -> None:
    assert settings_of(policy("one")) == ServerSettings()


def test_the_models_say_what_the_values_hold() -> None:
    assert [field.name for field in fields(ServerSettings)] == list(SettingsSpec.model_fields)


def test_a_server_without_a_version_has_an_empty_one() -> None:
    said = settings_of(policy("one", "settings: {server_info: {name: toolbox}}\n"))
    assert said.server_info == ServerInfo("toolbox", "")


def test_settings_hold_for_the_servers_of_their_policy_alone() -> None:
    files = (policy("one", ALL, "servers: [other]\n"), policy("two"))
    assert settings_of(*files) == ServerSettings()
    assert settings_of(*files, server="other").denials is DenialStyle.HIDDEN


def test_settings_are_part_of_the_revision() -> None:
    revisions = {compile_policies([policy("one", text)]).revision for text in ("", ALL)}
    assert len(revisions) == 2


SAID = st.fixed_dictionaries(
    {},
    optional={
        "denials": st.sampled_from(DenialStyle),
        "linked_resources": st.sampled_from(LinkedResources),
        "trust_annotations": st.booleans(),
        "wrappers": st.lists(st.builds(Wrapper, st.sampled_from("ab"), st.just("name")), min_size=1).map(tuple),
        "accept_batches": st.booleans(),
        "lenient_uris": st.booleans(),
        "drop_instructions": st.booleans(),
        "max_ttl_ms": st.integers(0, 100_000),
    },
)


@given(st.lists(SAID, min_size=1, max_size=4))
def test_one_more_policy_never_makes_a_server_less_strict(said: list[dict[str, object]]) -> None:
    before, after = combined(said[:-1]), combined(said)
    for name in said[-1].keys() & {name for one in said[:-1] for name in one}:
        was, now = getattr(before, name), getattr(after, name)
        match name:
            case "denials" | "linked_resources":
                order = ["explicit", "hidden", "pass", "strip", "deny"]
                assert order.index(now) >= order.index(was)
            case "wrappers":
                assert set(now) >= set(was)
            case "drop_instructions":
                assert now >= was
            case _:
                assert now <= was


@given(st.lists(SAID, max_size=4))
def test_their_order_does_not_matter(said: list[dict[str, object]]) -> None:
    def known(one: ServerSettings) -> object:
        return {field.name: getattr(one, field.name) for field in fields(one)} | {"wrappers": set(one.wrappers)}

    assert known(combined(said)) == known(combined(said[::-1]))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{denial: hidden}", "did you mean `denials`?"),
        ("{denials: silent}", "`denials` must be `explicit` or `hidden`, not `silent`"),
        ("{kind: go}", "`kind` must be `python`, `typescript-1` or `typescript-2`, not `go`"),
        ("{linked_resources: keep}", "`linked_resources` must be `strip`, `deny` or `pass`, not `keep`"),
        ("{trust_annotations: 1}", "`trust_annotations` must be `true` or `false`, not the number 1"),
        ("{denial_code: -32001}", "codes from -32768 to -32000 are reserved"),
        ("{denial_code: 9999999999}", "`denial_code` cannot be the number 9999999999"),
        ("{denial_code: '403'}", "`denial_code` must be a whole number, not the text `403`"),
        ("{max_ttl_ms: -1}", "take 0 to 86400000 milliseconds"),
        ("{}", "`settings` is empty"),
        ("{wrappers: []}", "`wrappers` is empty"),
        ("{wrappers: [{argument: name}]}", "`tool` is missing"),
        ("{wrappers: [{tool: a, argument: b, args: c}]}", "did you mean `arguments`?"),
        ("{server_info: {version: '1'}}", "`name` is missing"),
        ("{server_info: {name: a, version: 1}}", "`version` must be text, not the number 1: put it in quotes"),
        ("{server_info: {name: a, versoin: '1'}}", "did you mean `version`?"),
        ("{server_info: a}", "`server_info` must be a mapping, not the text `a`"),
        ("[hidden]", "`settings` must be a mapping, not a list"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_what_to_do(settings: str, told: str) -> None:
    assert told in problem(settings)


def test_a_server_that_no_policy_governs_has_settings_as_they_are_by_default() -> None:
    policies = compile_policies([policy("one", ALL, "servers: [other]\n")])
    assert (ServerSettings(), DenialStyle.HIDDEN) == (policies.settings("weather"), policies.settings("other").denials)
