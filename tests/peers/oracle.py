"""What a message may make a server run, once it was allowed: nothing, or exactly what was decided. Knows no server."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import unquote

from mcp_acl.domain import InexactNumber, Json, Message
from tests.peers.running import Ran

_DOCS: Final = "demo://docs/"


def agrees(message: Message, ran: Ran) -> bool:
    """Whether `ran` is what was decided: the same method and name, and no argument that was not seen as it is."""
    params = message.params
    decided = (message.method, ran.kind)
    if decided in {("tools/call", "tool"), ("prompts/get", "prompt")}:
        return ran.name == params["name"] and _are_among(ran.arguments or {}, params.get("arguments"))
    if decided == ("resources/read", "resource"):
        return ran.name == params["uri"]
    if decided == ("resources/read", "template"):
        uri = str(params["uri"])
        value = uri.removeprefix(_DOCS)
        return uri != value and ran.arguments["name"] in {value, unquote(value)}
    if decided == ("completion/complete", "completion"):
        return _is_completion(params, ran)
    return False


def _is_completion(params: Mapping[str, Json], ran: Ran) -> bool:
    ref, argument = params["ref"], params["argument"]
    assert isinstance(ref, Mapping)
    assert isinstance(argument, Mapping)
    name = ref["name" if ref["type"] == "ref/prompt" else "uri"]
    return ran.name == name and ran.arguments in ({argument["name"]: argument.get("value")}, {argument["name"]: ""})


def _are_among(ran: Mapping[str, object], decided: Json) -> bool:
    """Servers leave out what they do not know."""
    return all(isinstance(decided, Mapping) and key in decided and _same(decided[key], ran[key]) for key in ran)


def _same(decided: Json, ran: object) -> bool:
    if isinstance(decided, InexactNumber):
        return ran is None or (isinstance(ran, int | float) and not isinstance(ran, bool))
    if isinstance(decided, Mapping):
        return isinstance(ran, dict) and ran.keys() == decided.keys() and _are_among(ran, decided)
    if isinstance(decided, list):
        return isinstance(ran, list) and len(ran) == len(decided) and all(map(_same, decided, ran))
    if decided is None:
        return ran is None or ran == ""  # what Go makes of null where a string belongs
    if isinstance(decided, bool) or isinstance(ran, bool):
        return decided is ran or _is_unpacked(decided, ran)
    return decided == ran or _is_unpacked(decided, ran)


def _is_unpacked(decided: Json, ran: object) -> bool:
    """The Python SDK reads JSON in a string, if the parameter is not a string."""
    if isinstance(decided, str) and not isinstance(ran, str):
        with suppress(ValueError, RecursionError):
            return bool(json.loads(decided) == ran)
    return False
