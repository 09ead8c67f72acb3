"""The page of the documentation that says what clients see, from the data that the tests hold to real ones. Run as a module, it is written."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from tests.gateways.matrix import HANDSHAKE, HERE, STATELESS
from tests.gateways.seeing import SEEN
from tests.peers.running import ROOT

PAGE: Final = ROOT / "docs" / "what-clients-see.md"
CONFORMANCE: Final[Mapping[str, Any]] = yaml.safe_load((HERE / "conformance.yaml").read_text())

_PINNED: Final = re.findall(r"^mcp==(\S+)", (ROOT / "requirements" / "peers.txt").read_text(), re.MULTILINE)
_PACKAGES: Final = json.loads((ROOT / "tests" / "node" / "package.json").read_text())["dependencies"]
_CLIENTS: Final = {
    "python": f"Python SDK {_PINNED[0]}",
    "typescript-1": f"TypeScript SDK {_PACKAGES['@modelcontextprotocol/sdk']}",
    "typescript-2": f"TypeScript SDK {_PACKAGES['@modelcontextprotocol/client']}",
}
_ASKED: Final = {
    "tools/call": "a tool",
    "task": "a tool, called as a task",
    "prompts/get": "a prompt",
    "resources/read": "a resource",
    "completion/complete": "a completion",
    "subscribe": f"a subscription ({STATELESS}: `subscriptions/listen`)",
    "tasks/get": "how a task stands",
    "tasks/result": "a task's result",
    "tasks/cancel": "a task to be cancelled",
}
_TEXT: Final = """\
# What a client sees

Written by `python -m tests.gateways.page` from the data in [tests/gateways](../tests/gateways), which tests hold to what real clients see of real
servers through `mcp-acl gateway`.

What a principal may use it sees as it is without a gateway: the same results, the same lists without the entries that are hidden, in the
same order. A list whose rules ask who somebody is says since 2026-07-28 that nobody else may keep it (`cacheScope`, `ttlMs`).
[clients.yaml](../tests/gateways/clients.yaml) is the whole of it, step by step, for three principals.

* An **update** of a resource arrives if the resource may be read, also where a subscription to it was granted without that.
* A **task** is its maker's. Whoever else asks for it, in the same session even, is denied, administrators included.
* A **session** stays open after a denial, and the next message is decided for itself.
* What a **server asks its client** for (sampling, elicitation, roots; up to {handshake}) and no rule grants does not reach the client. Nobody answers
  the server, so the call that it is about ends with an error: -32603, "the response was withheld: …".

## A denial

The answer is a JSON-RPC error, by default with the code {code}; its `data` holds the `reason` and the `decision_id`. The message is
"{text}", or the `message` of the deny rule.

{explicit}
## A hidden denial

With `denials: hidden` it is what the server says of what it does not have. The SDK shows that as it shows every error, with class and
prefix as above.

{hidden}
*result*: a result with `isError`. *404*: the HTTP status, which the TypeScript SDK 2 shows as an error of the transport: `SdkHttpError`, with
the body in its message. Of `Resource not found` and `Unknown resource` that SDK makes a `ResourceNotFoundError`.

## No good token

HTTP 401 when the client connects; `WWW-Authenticate` says where to get a token. `…` is "{invalid}" or
"{missing}". A client that has an OAuth provider goes there instead of raising.

{refused}
## The conformance suites

The official suites of MCP against the conformance server of the Go SDK, and for extensions, which no SDK has, against a server of our own: directly
and through the gateway, with a policy that allows everything.

{legs}
Where a check comes out differently:

{differences}
"""


def render() -> str:
    """The page as it must be."""
    tokens = SEEN["bad_tokens"]
    return _TEXT.format(
        handshake=HANDSHAKE,
        code=SEEN["explicit"]["code"],
        text=SEEN["explicit"]["text"],
        explicit=_table(("client", "raises", "code", "message"), _explicit()),
        hidden=_table(("asked for", "made with", "error", ""), _hidden()),
        invalid=tokens["signed by somebody else"],
        missing=tokens["no token"],
        refused=_table(("client", "revision", "raises", "code", "message"), _refused()),
        legs=_table(("suite", "scenarios", "checks", "come out differently"), _legs()),
        differences="\n".join(_differences()),
    )


def _table(heads: Sequence[str], rows: Iterator[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _explicit() -> Iterator[Sequence[Any]]:
    code, text = SEEN["explicit"]["code"], SEEN["explicit"]["text"]
    for client, (raised, pattern) in SEEN["shown"].items():
        yield _CLIENTS[client], f"`{raised}`", code, pattern.format(code=code, text=text)


def _hidden() -> Iterator[Sequence[Any]]:
    for method, asked in _ASKED.items():
        for kind, answers in SEEN["hidden"].items():
            answer = answers.get(method)
            for revision in (HANDSHAKE, STATELESS) if answer and HANDSHAKE in answer else ("",):
                if answer:
                    yield asked, f"`{kind}`{revision and f', {revision}'}", *_answer(answer.get(revision, answer))


def _answer(answer: Mapping[str, Any]) -> Sequence[Any]:
    if "values" in answer:
        return "", "no values"
    if "text" in answer:
        return "*result*", answer["text"].replace("{name}", "…")
    code, text = answer["error"]
    named = text.replace("{name}", "…").replace("{Kind} …", "Prompt …, or Resource template …").replace("{issues}", "…")
    return code, named + (f" (*{answer['status']}*)" if "status" in answer else "")


def _refused() -> Iterator[Sequence[Any]]:
    for client, row in SEEN["refused"].items():
        for revision, (raised, code, text) in (row if isinstance(row, dict) else {"any": row}).items():
            yield _CLIENTS[client], revision, f"`{raised}`", code, text.format(text="…")


def _legs() -> Iterator[Sequence[Any]]:
    for leg, counts in CONFORMANCE["legs"].items():
        differ = [row for row in CONFORMANCE["differences"] if row["leg"] == leg]
        failing = f", {counts['failures']} of them fail either way" if counts["failures"] else ""
        yield leg, counts["scenarios"], f"{counts['checks']}{failing}", len(differ) or "none"


def _differences() -> Iterator[str]:
    for row in CONFORMANCE["differences"]:
        yield f"* `{row['check']}` ({row['leg']}): {row['directly']}, through the gateway {row['through']}. {row['why']}"


if __name__ == "__main__":
    PAGE.write_text(render())
