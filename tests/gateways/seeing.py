"""What a client sees of a denial, as seen.yaml says it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from tests.gateways.matrix import HERE, SERVERS, STATELESS, Line

SEEN: Final[Mapping[str, Any]] = yaml.safe_load((HERE / "seen.yaml").read_text())

_INFO: Final = {"_meta": {"io.modelcontextprotocol/serverInfo": {"name": "canary", "version": ""}}}
_KINDS: Final = {"ref/prompt": "Prompt", "ref/resource": "Resource template"}
_ISSUES: Final = json.dumps(
    [
        {
            "expected": "object",
            "code": "invalid_type",
            "path": ["task"],
            "message": "Invalid input: expected object, received undefined",
        }
    ],
    indent=2,
)


def told(line: Line, style: str, step: Mapping[str, Any]) -> Any:
    """What is to be seen of a step that is denied."""
    if style == "explicit":
        code, text = SEEN["explicit"]["code"], step.get("rule", SEEN["explicit"]["text"])
        return {"error": shown(line.client, code, text)}
    kind = SEEN["kinds"][SERVERS[line.server]["peer"]]
    answer = SEEN["hidden"][kind][step["do"]]
    return _seen(line, step, answer.get(line.revision, answer))


def shown(client: str, code: int, text: str) -> list[Any]:
    """An error as an SDK shows it."""
    raised, pattern = SEEN["shown"][client]
    return [raised, code, pattern.format(code=code, text=text)]


def refused(line: Line, why: str) -> list[Any]:
    """What a client sees when it connects without a good token."""
    row = SEEN["refused"][line.client]
    raised, code, text = row[line.revision] if isinstance(row, dict) else row
    return [raised, code, text.format(text=SEEN["bad_tokens"][why])]


def without_body(error: Sequence[Any]) -> list[Any]:
    """An error whose message quotes a whole body, with what that body says in its place."""
    raised, code, text = error
    before, brace, body = text.partition("{")
    return [raised, code, before + json.loads(brace + body)["error"]["message"] if brace else text]


def _seen(line: Line, step: Mapping[str, Any], answer: Mapping[str, Any]) -> Any:
    if "error" not in answer:
        return {"result": _result(line, step, answer)}
    code, text = answer["error"]
    if "status" in answer and line.client == "typescript-2":
        return {"error": _of_status(code, text, answer)}
    _, *rest = shown(line.client, code, _named(text, step["with"]))
    raised = answer.get("raised", {}).get(line.client, SEEN["shown"][line.client][0])
    return {"error": [raised, *rest]}


def _result(line: Line, step: Mapping[str, Any], answer: Mapping[str, Any]) -> Any:
    found: dict[str, Any] = {"completion": {"values": []}}
    if "text" in answer:
        found = {"content": [{"type": "text", "text": _named(answer["text"], step["with"])}], "isError": True}
    if line.client == "python":
        found["resultType"] = "complete"
    return {**_INFO, **found} if line.revision == STATELESS else found


def _of_status(code: int, text: str, answer: Mapping[str, Any]) -> list[Any]:
    """A status that is not 200 is an error of the transport to this client, whatever the body says."""
    error = {"code": code, "message": text} | ({"data": answer["data"]} if "data" in answer else {})
    body = json.dumps({"jsonrpc": "2.0", "id": "listen:0", "error": error}, separators=(",", ":"))
    return ["SdkHttpError", "CLIENT_HTTP_NOT_IMPLEMENTED", f"Error POSTing to endpoint: {body}"]


def _named(text: str, asked: Mapping[str, Any]) -> str:
    """`{name}` stands for what was asked for."""
    ref = asked.get("ref", {})
    name = ref.get("name") or ref.get("uri") or asked.get("name") or asked.get("uri") or asked.get("taskId", "")
    return text.replace("{name}", name).replace("{Kind}", _KINDS.get(ref.get("type"), "")).replace("{issues}", _ISSUES)
