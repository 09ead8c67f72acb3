"""Real clients of three SDKs, through the gateway to real servers: what each principal gets, and what it is told when it gets nothing.

The table is clients.yaml, what a denial looks like is seen.yaml; both say it for every server, client and revision.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from tests.gateways.matrix import (
    HERE,
    LINES,
    PRINCIPALS,
    SERVERS,
    STATELESS,
    Line,
    Tokens,
    clients,
    entries_of,
    name_of,
    servers,
    talk,
)
from tests.gateways.page import PAGE, render
from tests.gateways.seeing import SEEN, refused, told, without_body
from tests.gateways.through import through
from tests.installed import needed
from tests.peers.running import CLIENTS, COMMANDS, ROOT, Talker

STYLES: Final = ("explicit", "hidden")
LONGEST_MS: Final = 60_000
"""How long a client may keep what depends on who asks, if no policy says otherwise."""
SHIPPED: Final = ROOT / "policies" / "everything" / "everything.yaml"


class World(NamedTuple):
    """All that runs: servers, a gateway for each style before all of them, clients."""

    servers: Mapping[str, str]
    gateways: Mapping[str, Mapping[str, str]]
    clients: Mapping[str, Talker]
    tokens: Tokens
    directly: dict[Line, Sequence[Any]]

    def direct(self, line: Line) -> Sequence[Any]:
        """What whoever asks sees without a gateway."""
        if line not in self.directly:
            self.directly[line] = talk(self.clients[line.client], self.servers[line.server], line, "admin", self.tokens)
        return self.directly[line]

    def seen(self, line: Line, gateway: str, principal: str) -> Sequence[Any]:
        """What a principal sees through a gateway."""
        return talk(self.clients[line.client], self.gateways[gateway][line.server], line, principal, self.tokens)


def policies(style: str) -> Mapping[str, str]:
    """The policy files; to hide denials it must be said what each server is made with."""
    files = [HERE / "policies" / "fixtures.yaml", HERE / "policies" / "everything-more.yaml", SHIPPED]
    found = {file.name: file.read_text() for file in files}
    for name, one in SERVERS.items() if style == "hidden" else ():
        settings = {"denials": style, "kind": SEEN["kinds"][one["peer"]], "json_responses": "--json" in one["flags"]}
        if one["peer"] == "python":
            settings["server_info"] = {"name": "canary"}
        policy = {"version": 1, "policy": f"hidden-{name}", "servers": [name], "settings": settings, "rules": []}
        found[f"hidden-{name}.yaml"] = yaml.safe_dump(policy)
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    for name, command in (*COMMANDS.items(), *CLIENTS.items()):
        for path in command if name != "go" else ():
            needed(path, f"`{path.name}`", "WITHOUT_PEERS")
    directory = tmp_path_factory.mktemp("clients")
    tokens = Tokens(directory)
    with ExitStack() as stack:
        urls = stack.enter_context(servers(directory))
        flags: list[str | Path] = ["--jwks", tokens.jwks]
        gateways = {
            style: stack.enter_context(through(directory / style, policies(style), urls, flags)) for style in STYLES
        }
        single = through(directory / "single", policies("explicit"), urls, flags, form="one process")
        gateways["one process"] = stack.enter_context(single)
        yield World(urls, gateways, stack.enter_context(clients(directory)), tokens, {})


def by_line(test: Any) -> Any:
    return pytest.mark.parametrize("line", LINES, ids=str)(test)


# ---- what is got ------------------------------------------------------------------------------------------------------


@by_line
def test_without_a_gateway_everybody_gets_everything(world: World, line: Line) -> None:
    """So that what is denied is denied by the gateway, and nothing that is compared is an error on both sides."""
    refused = [
        step["do"]
        for step, seen in zip(line.steps, world.direct(line), strict=True)
        if "result" not in seen and step["with"].get("name") != "no_such"
    ]
    assert refused in ([], ["tasks/cancel"])


@by_line
@pytest.mark.parametrize("principal", PRINCIPALS)
@pytest.mark.parametrize("style", STYLES)
def test_a_principal_gets_what_the_table_says_and_is_told_so_of_the_rest(
    world: World, line: Line, principal: str, style: str
) -> None:
    assert [] == differences(world, line, style, principal, style)


@pytest.mark.parametrize("line", {line.server: line for line in LINES}.values(), ids=str)
@pytest.mark.parametrize("principal", PRINCIPALS[:1])
def test_it_is_the_same_where_gateway_and_service_are_one_process(world: World, line: Line, principal: str) -> None:
    assert [] == differences(world, line, "explicit", principal, "one process")


def differences(world: World, line: Line, style: str, principal: str, gateway: str) -> list[Any]:
    """What was done, was to be seen and was seen, where the last two differ."""
    found = zip(line.steps, world.direct(line), world.seen(line, gateway, principal), strict=True)
    expected = [(step["do"], wanted(line, style, step, principal, direct), seen) for step, direct, seen in found]
    return [one for one in expected if one[1] != one[2]]


def wanted(line: Line, style: str, step: Mapping[str, Any], principal: str, direct: Any) -> Any:
    """What is to be seen of a step, given what is seen of it without a gateway."""
    said = step[principal]
    if said is False:
        return told(line, style, step)
    return direct if said is True else only(direct, said)


def only(direct: Mapping[str, Any], names: Sequence[str]) -> Any:
    """A list with these entries alone, in its order."""
    entries = entries_of(direct)
    assert entries is not None
    kept = [one for one in entries if (one if isinstance(one, str) else name_of(one)) in names]
    return json.loads(json.dumps(direct).replace(json.dumps(entries), json.dumps(kept)))


def test_every_entry_that_the_table_names_is_there(world: World) -> None:
    listed: dict[str, set[str]] = {}
    named: dict[str, set[str]] = {}
    for line in LINES:
        steps = SERVERS[line.server]["steps"]
        for step, direct in zip(line.steps, world.direct(line), strict=True):
            if isinstance(step["admin"], list):
                entries = entries_of(direct) or ()
                listed.setdefault(steps, set()).update(one if isinstance(one, str) else name_of(one) for one in entries)
                named.setdefault(steps, set()).update(*(step[principal] for principal in PRINCIPALS))
    assert {steps: set() for steps in named} == {steps: named[steps] - listed[steps] for steps in named}


@pytest.mark.parametrize("server", [name for name, one in SERVERS.items() if one["stateless"]])
def test_a_list_that_depends_on_who_asks_is_for_nobody_else_to_keep(world: World, server: str) -> None:
    line = Line(server, "typescript-2", STATELESS)
    lists: list[tuple[str, Mapping[str, Any]]] = [
        ("tools/list", {}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("prompts/list", {}),
    ]
    found = world.clients[line.client].talk(
        world.gateways["explicit"][server], world.tokens.of["analyst"], lists, line.mode
    )
    assert ["private"] * len(lists) == [one["result"]["cacheScope"] for one in found]
    assert [] == [one for one in found if one["result"]["ttlMs"] > LONGEST_MS]


WITHHELD: Final = {"explicit": "the response was withheld: ", "hidden": "Internal error"}


# ---- what a server asks its client for ----------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_what_a_server_asks_a_model_for_reaches_those_alone_for_whom_it_is_granted(world: World, style: str) -> None:
    talker, url = world.clients["typescript-1"], world.gateways[style]["typescript-1"]
    asked = [("ask", {"name": "ask", "patience": 20_000})]
    [seen] = talker.talk(url, world.tokens.of["admin"], asked, samples=True)
    assert {"asked": ["sampling/createMessage"], "raised": ""} == seen["result"]
    asked = [("ask", {"name": "ask", "patience": 500}), ("tools/call", {"name": "echo"})]
    seen, after = talker.talk(url, world.tokens.of["analyst"], asked, samples=True)
    assert [] == seen["result"]["asked"]
    assert seen["result"]["raised"].startswith(f"MCP error -32603: {WITHHELD[style]}")
    assert "result" in after


# ---- who has no good token ----------------------------------------------------------------------------------------------


@by_line
def test_whoever_has_no_good_token_cannot_begin(world: World, line: Line) -> None:
    url = world.gateways["explicit"][line.server]
    talker = world.clients[line.client]
    for why, token in world.tokens.bad.items():
        [seen] = talker.talk(url, token, [("tools/list", {})], line.mode)
        assert {"refused": refused(line, why)} == {name: without_body(one) for name, one in seen.items()}


# ---- the page -----------------------------------------------------------------------------------------------------------


def test_the_page_says_what_the_data_says() -> None:
    assert render() == PAGE.read_text(), "run `python -m tests.gateways.page`"
