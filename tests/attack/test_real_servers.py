"""The corpus, and honest clients, through a gateway to servers of the MCP SDKs: what such a server has run is what counts.

Every server says after a test what it was made to run, and by which message.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from mcp_acl.attack.cases import Exchange
from mcp_acl.attack.reading import shows
from mcp_acl.attack.sending import Response, Target, target_of
from tests.attack.entrances import corpus
from tests.attack.proxy import gateway
from tests.attack.real import SERVERS, SPEAK_MODERN, Line, attempts, opened, reply_of, told, why_not, without_secrets
from tests.peers.messages import LEGACY, MODERN, Asked, headers_for, text_of, value_of
from tests.peers.running import CLIENTS, Peer, Ran, Talker, running, talking
from tests.serving import serving

CASES = [case for case in corpus().cases() if not why_not(case)]
LATE = 0.1
"""Seconds after the last answer in which a server may still run something."""

STYLES = {
    "explicit": "denials: explicit",
    **{kind: f"denials: hidden\n  kind: {kind}" for kind in ("python", "typescript-1", "typescript-2")},
}
"""The corpus's policy again for servers of these names, with other settings."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service as it is run, on the corpus's policy."""
    directory = tmp_path_factory.mktemp("policies")
    [file] = corpus().policies
    text = file.content.decode()
    (directory / file.name).write_text(text)
    for name, settings in STYLES.items():
        own = text.replace("policy: demo", f"policy: {name}").replace("[demo]", f"[{name}]")
        (directory / f"{name}.yaml").write_text(own.replace("denials: hidden", settings))
    with serving(directory) as address:
        yield address


class Behind(NamedTuple):
    """A server, and the gateway before it."""

    name: str
    peer: Peer
    service: str
    gateway: Target

    @property
    def itself(self) -> Target:
        return target_of(self.peer.url)

    @property
    def kind(self) -> str:
        return SERVERS[self.name][0]

    @property
    def has_sessions(self) -> bool:
        return "--sessions" in SERVERS[self.name][1]

    def line(self, target: Target) -> Line:
        return Line(target, self.itself if self.has_sessions else None)

    @contextmanager
    def known_as(self, name: str) -> Iterator[str]:
        """The URL of another gateway, for which the policies have another name."""
        with gateway(self.service, (self.peer.host, self.peer.port), corpus().claims, name) as url:
            yield url

    def ran(self) -> Mapping[str, Sequence[Ran]]:
        """What has run since this was asked before, by the message that made it run."""
        time.sleep(LATE)
        found: dict[str, list[Ran]] = {}
        for one in self.peer.ran():
            found.setdefault(one.message, []).append(one._replace(message=""))
        return found


@pytest.fixture(scope="module", params=SERVERS)
def behind(request: pytest.FixtureRequest, service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    name, flags = SERVERS[request.param]
    with (
        running(name, tmp_path_factory.mktemp("peer"), *flags) as peer,
        gateway(service, (peer.host, peer.port), corpus().claims) as url,
    ):
        yield Behind(request.param, peer, service, target_of(url))


@pytest.fixture
def server(behind: Behind) -> Behind:
    """One that has told all that it has run."""
    behind.peer.ran()
    return behind


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the figures


def secret(ran: Mapping[str, Sequence[Ran]]) -> list[str]:
    """The messages that made something run which nobody may use."""
    return [name for name, all_ran in ran.items() if any("secret" in one.name for one in all_ran)]


# ---- the corpus -----------------------------------------------------------------------------------------------------

OTHERWISE = {
    "completion/concrete-uri": "values for a URI that has no variable lead to nothing that is known, so they are left out",
    "replays/get-with-a-token-that-is-not-good": "Go says in plain text that it has no such stream, and is quoted in JSON alone",
    "replays/delete-with-a-token-that-is-not-good": "Go says in plain text that it has no sessions to end, and is quoted in JSON alone",
}
"""Twins that may be answered in another way, and why. The status is the same."""


def test_most_messages_of_the_corpus_can_be_sent_to_real_servers() -> None:
    counts = Counter(map(why_not, corpus().cases()))
    say(str(counts))
    assert counts[""] > 200


def test_no_attack_makes_a_server_run_anything_or_tells_what_is_hidden(server: Behind) -> None:
    line = server.line(server.gateway)
    said = {str(case): told(line.send(case.attack, str(case)), case.attack) for case in CASES}
    ran = server.ran()
    say(f"{server.name}: {len(CASES)} attacks, {len(CASES) - len(ran)} made nothing run")
    assert {} == ran
    assert {} == {name: words for name, words in said.items() if words}


def test_without_a_gateway_attacks_make_a_server_run_what_is_denied(server: Behind) -> None:
    line = server.line(server.itself)
    for case in CASES:
        line.send(case.attack, str(case))
    ran = server.ran()
    say(f"{server.name}: without a gateway {len(ran)} made something run, {len(secret(ran))} what is called secret")
    assert len(secret(ran)) > 20


def test_honest_twin_is_answered_and_runs_as_without_a_gateway(server: Behind) -> None:
    through, direct = server.line(server.gateway), server.line(server.itself)
    differ, results = {}, 0
    for case in CASES:
        for attempt in attempts(case.twin):
            real = reply_of(direct.send(case.twin, f"direct {case}", attempt)).without_secrets()
            answer = through.send(case.twin, f"through {case}", attempt)
            if is_same := reply_of(answer) == real and real.status != 0:
                break
        results += real.is_result
        assert not told(answer, case.twin)
        if not is_same:
            differ[str(case)] = f"{reply_of(answer)}\n{' ' * len(str(case))}  {real}"
    say(f"{server.name}: {len(CASES)} twins, {len(CASES) - len(differ)} equal, {results} with a result")
    ran = server.ran()
    assert differ.keys() <= OTHERWISE.keys(), "\n".join(f"{name}: {both}" for name, both in differ.items())
    assert [] == secret(ran)
    assert len(ran) > 50
    assert {} == {name: ran[name] for name in ran if ran[name] != ran.get(other_way(name))}


def other_way(name: str) -> str:
    way, _, case = name.partition(" ")
    return f"{'direct' if way == 'through' else 'through'} {case}"


# ---- lists, values, and streams that are taken up again --------------------------------------------------------------

LISTS = [Asked(f"{kind}/list", {}) for kind in ("tools", "prompts", "resources", "resources/templates")]
DOCUMENTS = Asked(
    "completion/complete",
    {"ref": {"type": "ref/resource", "uri": "demo://docs/{name}"}, "argument": {"name": "name", "value": ""}},
)


def exchange_of(asked: Asked, version: str, principal: str = "member") -> Exchange:
    headers = {name: [value.decode()] for name, value in headers_for(asked, version)}
    body = text_of(value_of(asked, version)).encode()
    return replace(CASES[0].twin, body=body, headers=headers, principal=principal)


@pytest.mark.parametrize("version", [LEGACY, MODERN])
def test_lists_and_values_are_those_of_the_server_without_what_is_hidden(server: Behind, version: str) -> None:
    if version == MODERN and server.name not in SPEAK_MODERN:
        pytest.skip("does not speak it")
    through, direct = server.line(server.gateway), server.line(server.itself)
    for asked in (*LISTS, DOCUMENTS):
        exchange = exchange_of(asked, version)
        real = direct.send(exchange, "")
        answer = through.send(exchange, "")
        assert told(real, exchange)
        assert not told(answer, exchange)
        assert reply_of(real).is_result
        assert reply_of(real).without_secrets() == reply_of(answer)
        assert shows_something(answer)
        for principal in ("other", "anonymous"):
            theirs = exchange_of(asked, version, principal)
            assert not shows_something(through.send(theirs, ""), theirs)
    assert {""} >= server.ran().keys()


def shows_something(response: Response, exchange: Exchange | None = None) -> bool:
    """Whether a response names anything that servers have, and that it was not asked about."""
    names = ("echo", "greet", "demo://public", "demo://docs", '"values":["')
    asked = b"" if exchange is None else exchange.body
    return any(shows(response.body.replace(b" ", b""), name) and not shows(asked, name) for name in names)


def test_stream_that_is_taken_up_again_is_filtered_for_who_takes_it_up(server: Behind) -> None:
    if not server.has_sessions:
        pytest.skip("has no streams that can be taken up again")
    real = taken_up(server, server.itself, "member", "echo")
    mine = taken_up(server, server.gateway, "member", "echo")
    theirs = taken_up(server, server.gateway, "other", '"tools":')
    nobodys = taken_up(server, server.gateway, "invalid", "")
    real_again = taken_up(server, server.itself, "member", "echo", NOTICE)
    mine_again = taken_up(server, server.gateway, "member", "", NOTICE)
    assert shows(real.body, "secret_delete")
    assert (True, False) == (shows(mine.body, "echo"), shows(mine.body, "secret"))
    assert (False, False) == (shows(theirs.body, "echo"), shows(theirs.body, "secret"))
    assert (401, False) == (nobodys.status, shows(nobodys.body, "tools"))
    assert shows(real_again.body, "secret_delete")
    assert (400, False) == (mine_again.status, shows(mine_again.body, "secret"))


NOTICE = text_of({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode()


def taken_up(server: Behind, target: Target, principal: str, until: str, body: bytes = b"") -> Response:
    """A list of the member's, as it comes to whoever takes up its stream from the first event, with a body that servers do not read."""
    asked = exchange_of(LISTS[0], LEGACY)
    version = {"MCP-Protocol-Version": [LEGACY]}
    for attempt in attempts(replace(asked, method="GET")):
        session = {"Mcp-Session-Id": [opened(server.gateway, "member")]}
        first = Line(server.gateway).send(replace(asked, headers={**asked.headers, **session}), "")
        event = re.findall(rb"^id: ?(.+?)\r?$", first.body, re.MULTILINE)[0].decode()
        headers = {
            "Accept": ["text/event-stream"],
            "Content-Type": None,
            "Last-Event-ID": [event],
            **version,
            **session,
        }
        again = replace(asked, principal=principal, method="GET", body=body, headers=headers)
        response = Line(target).send(again, "", attempt)
        if response.status and shows(response.body.replace(b" ", b""), until):
            break
    return response


# ---- clients --------------------------------------------------------------------------------------------------------


def used(tool: str, prompt: str, uri: str) -> list[Asked]:
    """What a client asks for, beside lists."""
    reference = {"ref": {"type": "ref/prompt", "name": prompt}, "argument": {"name": "who", "value": "A"}}
    return [
        Asked("tools/call", {"name": tool, "arguments": {"text": "hello"}}),
        Asked("prompts/get", {"name": prompt, "arguments": {"who": "Ann"}}),
        Asked("resources/read", {"uri": uri}),
        Asked("completion/complete", reference),
    ]


GRANTED = used("echo", "greet", "demo://public/one")
SECRET = used("secret_delete", "secret_prompt", "demo://secret/one")
ABSENT = used("no_such", "no_such", "demo://no/such")
TOLD = {
    "python": ["MCPError", 403, "access denied by policy"],
    "typescript-1": ["McpError", 403, "MCP error 403: access denied by policy"],
    "typescript-2": ["ProtocolError", 403, "access denied by policy"],
}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Talker]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(talking(name, tmp_path_factory.mktemp("client"))) for name in CLIENTS}


@pytest.mark.parametrize("name", CLIENTS)
def test_client_sees_what_its_principal_may_use_and_uses_it(
    server: Behind, clients: Mapping[str, Talker], name: str
) -> None:
    url = f"http://{server.gateway.address}/mcp"
    steps = [*LISTS, *GRANTED, DOCUMENTS]
    real = clients[name].talk(server.peer.url, "member", steps)
    assert ["result"] * len(steps) == [kind for one in real for kind in one]
    server.ran()
    assert without_secrets(real) == clients[name].talk(url, "member", steps)
    kinds = [one.kind for all_ran in server.ran().values() for one in all_ran]
    assert ["tool", "prompt", "resource", "completion", "completion"] == kinds
    theirs = clients[name].talk(url, "other", LISTS)
    entries = [value for one in theirs for value in one["result"].values() if isinstance(value, list)]
    assert [[]] * len(LISTS) == entries


@pytest.mark.parametrize("name", CLIENTS)
def test_client_is_told_that_it_is_denied(server: Behind, clients: Mapping[str, Talker], name: str) -> None:
    with server.known_as("explicit") as url:
        seen = clients[name].talk(url, "member", SECRET) + clients[name].talk(url, "other", GRANTED)
    assert [{"error": TOLD[name]}] * len([*SECRET, *GRANTED]) == seen
    assert {} == server.ran()


@pytest.mark.parametrize("name", CLIENTS)
def test_client_cannot_tell_what_is_hidden_from_what_is_not_there(
    server: Behind, clients: Mapping[str, Talker], name: str
) -> None:
    if server.kind not in STYLES:
        pytest.skip("it is not known how such a server says it")
    absent = unnamed(clients[name].talk(server.peer.url, "member", ABSENT), ABSENT)
    server.ran()
    with server.known_as(server.kind) as url:
        assert absent == unnamed(clients[name].talk(url, "member", SECRET), SECRET)
        assert absent == unnamed(clients[name].talk(url, "other", GRANTED), GRANTED)
    assert {} == server.ran()


def unnamed(seen: Sequence[Mapping[str, Any]], steps: Sequence[Asked]) -> list[Any]:
    """What was seen with a mark for what was asked for, and without what the server says it is."""
    found = []
    for one, step in zip(seen, steps, strict=True):
        named = step.params.get("ref", step.params)
        value = json.loads(json.dumps(one).replace(named.get("name", named.get("uri")), "~"))
        value.get("result", {}).pop("_meta", None)
        found.append(value)
    return found
