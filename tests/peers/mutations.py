"""Mutations of honest messages, by class: what servers are known, or may be feared, to read in another way than we do.

A mutation is a function of a draft and the generator that changes the draft's text, bytes or headers. The classes are the
rows of `MUTATIONS`; what each does to a message lies with it. Nothing here knows servers, or how we decide.
"""

import gzip
import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from tests.peers import spellings
from tests.peers.drafts import Draft
from tests.peers.messages import ALLOWED, LEGACY, MODERN, Asked, Sent, headers_for, text_of, value_of


class Mutated(NamedTuple):
    """A message that was changed, and how: `honest` if it was not."""

    what: str
    sent: Sent


Mutation = Callable[[Draft], None]


# ---- keys -----------------------------------------------------------------------------------------------------------


def _repeated_key(draft: Draft) -> None:
    draft.beside(text_of)


def _repeated_key_escaped(draft: Draft) -> None:
    draft.beside(lambda key: spellings.escaped(key, draft.rng))


def _key_like_another(draft: Draft) -> None:
    draft.beside(lambda key: spellings.like(key, draft.rng))


def _key_respelled(draft: Draft) -> None:
    draft.respelled(lambda key: spellings.like(key, draft.rng))


def _key_escaped(draft: Draft) -> None:
    draft.respelled(lambda key: spellings.escaped(key, draft.rng))


def _more_members(draft: Draft) -> None:
    mine, _ = draft.rng.choice(draft.objects())
    key = draft.rng.choice(spellings.MEMBERS)
    mine[key] = draft.rng.choice([dict(draft.other.params), value_of(draft.other, draft.version), "x", None, []])
    draft.again()


# ---- the text -------------------------------------------------------------------------------------------------------


def _byte_order_mark(draft: Draft) -> None:
    draft.body = (
        draft.rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf" * 2)) + draft.text.encode()
    )


def _other_encoding(draft: Draft) -> None:
    encoding = draft.rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7", "cp037"))
    draft.body = draft.text.encode(encoding)
    if draft.rng.random() < 0.5:
        draft.set_header("Content-Type", f"application/json; charset={encoding}".encode())


def _invalid_utf_8(draft: Draft) -> None:
    bad = draft.rng.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xc3", b"\xf5\x80\x80\x80", b"\xe2\x82"))
    body = draft.text.encode()
    at = draft.rng.choice([at for at, byte in enumerate(body) if byte == 0x22]) + draft.rng.randint(0, 1)
    draft.body = body[:at] + bad + body[at:]


def _in_a_string(draft: Draft) -> None:
    """Lone surrogates, control characters, line separators: raw or escaped, within a string."""
    mine, key = draft.rng.choice(draft.strings())
    mark = "@mark@"
    mine[key] = draft.rng.choice((mine[key] + mark, mark + mine[key]))
    text = text_of(draft.value)
    draft.text = text.replace(mark, draft.rng.choice(spellings.IN_STRINGS), 1)


def _deep(draft: Draft) -> None:
    depth = draft.rng.choice((10, 63, 64, 65, 128, 200, 255, 256, 1000, 5000))
    opening, closing = draft.rng.choice((("[", "]"), ('{"a":', "}")))
    deep = opening * depth + "1" + closing * depth
    old = draft.rng.choice(('"arguments":{', '"params":{', '"jsonrpc":'))
    draft.text = draft.text.replace(old, f'{old}"deep":{deep},' if old.endswith("{") else f'"deep":{deep},{old}', 1)


def _number(draft: Draft) -> None:
    number = draft.rng.choice(spellings.NUMBERS)
    if draft.asked.method == "tools/call":
        draft.params["arguments"] = {draft.rng.choice(("text", "a", "b")): "@number@"}
    else:
        draft.params[draft.rng.choice(("arguments", "_meta", "cursor"))] = "@number@"
    draft.text = text_of(draft.value).replace('"@number@"', number, 1)


def _syntax(draft: Draft) -> None:
    """What only lenient parsers take: comments, commas, quotes, things before and after."""
    text, other = draft.text, text_of(value_of(draft.other, draft.version))
    comma = text.index(",") + 1
    draft.text = draft.rng.choice((
        f"{text}{other}", f"{text}\n{other}", f"{other}\n{text}", f"{text},", f"{text}}}", f"{text}\0", f"{text}\0{other}",
        f"\0{text}", f"\x1e{text}\n", f"data: {text}\n\n", f"/*{other}*/{text}", f"{text}//{other}", f"#{other}\n{text}",
        f"{text[:comma]}/*{other}*/{text[comma:]}", f"{text[:comma]},{text[comma:]}", f"{text[:-1]},}}",
        text.replace('"', "'"), text.replace('"name"', "name"), text.replace('"method"', "'method'"), f" \t\r\n{text} \n",
        f"\x0b{text}", f"\u00a0{text}", f"\u2028{text}", f"({text})", text[:-1], f"{text[:-1]}]", f"for(;;);{text}",
        text.replace(":", " :\t").replace(",", "\r\n,"), json.dumps(text),
    ))  # fmt: skip


def _escapes(draft: Draft) -> None:
    """The same text, or nearly, written with escapes."""
    for mine, key in draft.strings():
        if draft.rng.random() < 0.5:
            old = f"{text_of(key)}:{text_of(mine[key])}"
            draft.text = draft.text.replace(old, f"{text_of(key)}:{spellings.escaped(mine[key], draft.rng)}", 1)


# ---- the message ----------------------------------------------------------------------------------------------------


def _id(draft: Draft) -> None:
    new = draft.rng.choice((
        "null", "true", "{}", "[]", "1.0", "1.5", "1e3", "1e400", "-1", "-0", "01", '""', '"a"', "9007199254740993",
        "18446744073709551616", '"\\u0000"', '{"method":"tools/call"}', "[1]", "1" * 400,
    ))  # fmt: skip
    draft.text = draft.text.replace('"id":1', f'"id":{new}' if draft.rng.random() < 0.9 else '"x":1', 1)


def _batch(draft: Draft) -> None:
    mine, other = draft.text, text_of(value_of(draft.other, draft.version, 2))
    draft.text = draft.rng.choice((
        f"[{mine}]", f"[{mine},{other}]", f"[{mine},{other},{mine}]", f"[{mine},\n{other}]", f"[{other},{mine}]",
        f"[[{mine}]]", "[]", f"[{mine},]", f'{{"0":{mine},"length":1}}', f'{{"batch":[{mine}]}}', f'{mine[:-1]},"batch":[{other}]}}', f"[null,{mine}]",
    ))  # fmt: skip


def _response_too(draft: Draft) -> None:
    draft.value[draft.rng.choice(("result", "error"))] = draft.rng.choice(
        ({}, None, {"code": 1, "message": "x"}, dict(draft.other.params), "x")
    )
    if draft.rng.random() < 0.3:
        draft.value.pop(draft.rng.choice(("method", "id", "params")))
    draft.again()


def _other_shape(draft: Draft) -> None:
    """Objects where strings are expected, strings where objects are, and so on."""
    mine, others = draft.rng.choice(draft.objects())
    key = draft.rng.choice([*mine])
    value, other = mine[key], others.get(key, "echo")
    mine[key] = draft.rng.choice((
        [value], {"name": value}, json.dumps(value), None, True, 0, {}, [], [value, other], {"0": value}, {"toString": other},
        {key: other}, {"value": value, "name": other},
    ))  # fmt: skip
    draft.again()


def _other_method(draft: Draft) -> None:
    """The params of one method under the name of another, most of which are allowed and run nothing."""
    method = draft.rng.choice((
        "tools/list", "prompts/list", "resources/list", "resources/templates/list", "ping", "initialize", "server/discover",
        "notifications/initialized", "notifications/cancelled", "notifications/progress", "tools/call", "prompts/get",
        "resources/read", "resources/subscribe", "completion/complete", "logging/setLevel", "tasks/get", "sampling/createMessage",
    ))  # fmt: skip
    draft.value = value_of(draft.asked._replace(method=method), draft.version)
    draft.headers = list(headers_for(draft.asked._replace(method=method), draft.version))
    if draft.rng.random() < 0.5:
        draft.set_header("Mcp-Name")
    if method.startswith("notifications/") or draft.rng.random() < 0.1:
        draft.value.pop("id")
    draft.again()


def _spelling(draft: Draft) -> None:
    """Another spelling of a method, a name, a type or a version."""
    places = [one for one in draft.strings() if one[1] in {"method", "name", "type", "jsonrpc"}]
    mine, key = draft.rng.choice(places)
    mine[key] = json.loads(spellings.like(mine[key], draft.rng))
    draft.again()


def _uri(draft: Draft) -> None:
    public = draft.rng.choice(
        ("demo://public/one", "demo://secret/one", "demo://docs/two", "demo://docs/../secret/one")
    )
    uri = spellings.uri(public, draft.rng)
    draft.asked = Asked("resources/read", {"uri": uri})
    if draft.rng.random() < 0.2:
        argument = {"name": "name", "value": "t"}
        draft.asked = Asked("completion/complete", {"ref": {"type": "ref/resource", "uri": uri}, "argument": argument})
    draft.value = value_of(draft.asked, draft.version)
    mirrored = quote(uri, safe=":/?#[]@!$&'()*+,;=%{}~") if draft.rng.random() < 0.2 else uri
    encoded = mirrored.encode()
    if not mirrored.isascii() or not mirrored.isprintable() or mirrored != mirrored.strip():
        encoded = b"=?base64?" + b64encode(encoded) + b"?="
    if draft.version == MODERN:
        draft.set_header("Mcp-Method", draft.asked.method.encode())
        draft.set_header("Mcp-Name", *([encoded] if draft.asked.method == "resources/read" else []))
    draft.again()


def _reference(draft: Draft) -> None:
    """A completion whose reference says more than one thing."""
    ref = draft.rng.choice((
        {"type": "ref/prompt", "name": "greet", "uri": "demo://docs/{name}"},
        {"type": "ref/resource", "uri": "demo://docs/{name}", "name": "secret_prompt"},
        {"type": "ref/prompt", "uri": "demo://docs/{name}"}, {"type": "ref/resource", "name": "secret_prompt"},
        {"type": "ref/tool", "name": "secret_prompt"}, {"name": "secret_prompt"}, "secret_prompt", ["ref/prompt", "secret_prompt"],
        {"type": "ref/prompt", "name": "secret_prompt", "title": "greet"}, {"type": "ref/resource", "uri": "demo://secret/one"},
        {"type": "ref/resource", "uri": "demo://docs/{other}"}, {"type": "ref/resource", "uri": "demo://{area}/one"},
    ))  # fmt: skip
    draft.asked = Asked("completion/complete", {"ref": ref, "argument": {"name": "who", "value": "A"}})
    draft.value = value_of(draft.asked, draft.version)
    draft.headers = list(headers_for(draft.asked, draft.version))
    draft.again()


def _meta(draft: Draft) -> None:
    meta: dict[str, Any] = dict(draft.params.get("_meta", {}))
    prefix = "io.modelcontextprotocol/"
    meta[
        draft.rng.choice(
            (f"{prefix}protocolVersion", f"{prefix}clientInfo", "progressToken", "name", f"{prefix}related-task")
        )
    ] = draft.rng.choice((LEGACY, MODERN, "2099-01-01", 1, None, {}, ["x"], dict(draft.other.params)))
    draft.params["_meta"] = draft.rng.choice((meta, meta, meta, None, [], "x", [meta]))
    if draft.rng.random() < 0.2:
        draft.value["_meta"] = meta
    draft.again()


# ---- headers --------------------------------------------------------------------------------------------------------


def _content_type(draft: Draft) -> None:
    kind = draft.rng.choice(spellings.CONTENT_TYPES)
    draft.set_header("Content-Type", *([kind] if draft.rng.random() < 0.8 else [kind, b"application/json"]))


def _utf_7(draft: Draft) -> None:
    """A message in ASCII that says something else in UTF-7: a quote, a comma or a brace may be hidden in a string."""
    secret = {key: value for key, value in draft.other.params.items() if key != "_meta"}
    hidden = f'x","_":""}},{text_of(secret)[1:-1]},"z":{{"z":"'
    place = draft.rng.choice(("arguments", "other"))
    draft.params[place] = {"text": "@hidden@"}
    if draft.rng.random() < 0.3:
        draft.value["id"] = "@hidden@"
        hidden = f'x","method":"{draft.other.method}","params":{text_of(secret)},"jsonrpc":"2.0","z":"'
    coded = "".join(
        one if one.isalnum() else f"+{b64encode(one.encode('utf-16-be')).decode().rstrip('=')}-" for one in hidden
    )
    draft.text = text_of(draft.value).replace("@hidden@", coded, 1)
    if draft.rng.random() < 0.7:
        draft.set_header("Content-Type", draft.rng.choice(spellings.UTF_7))


def _content_encoding(draft: Draft) -> None:
    body = draft.text.encode()
    coding, packed = draft.rng.choice((
        (b"gzip", gzip.compress(body)), (b"x-gzip", gzip.compress(body)), (b"deflate", zlib.compress(body)),
        (b"deflate", zlib.compress(body, wbits=-15)), (b"br", body), (b"identity", body), (b"gzip", body), (b"aws-chunked", body),
    ))  # fmt: skip
    draft.body = packed
    draft.set_header("Content-Encoding", coding)


def _mirrored(draft: Draft) -> None:
    """`Mcp-Method` and `Mcp-Name`: absent, repeated, of the other message, encoded."""
    for name, mine, other in _mirrors(draft):
        change = draft.rng.randrange(8)
        coded = b"=?base64?" + b64encode(other) + b"?="
        values: Sequence[bytes] = (
            (), (other,), (mine, other), (other, mine), (coded,), (coded.replace(b"base64", b"BASE64"),),
            (b" \t" + mine,), (mine.upper(),),
        )[change]  # fmt: skip
        draft.set_header(draft.rng.choice((name, name.lower(), name.upper())), *values)
        if draft.rng.random() < 0.5:
            draft.headers = [one for one in draft.headers if one[0] != name] + [(name, value) for value in values]


def _mirrors(draft: Draft) -> list[tuple[str, bytes, bytes]]:
    def name_of(asked: Asked) -> bytes:
        return str(asked.params.get("name", asked.params.get("uri", "x"))).encode()

    return [
        ("Mcp-Method", draft.asked.method.encode(), draft.rng.choice((b"tools/list", b"tools/call", b"ping"))),
        ("Mcp-Name", name_of(draft.asked), name_of(draft.other)),
    ]


def _version(draft: Draft) -> None:
    versions = (LEGACY.encode(), MODERN.encode(), b"2025-03-26", b"2024-11-05", b"", b"x", b"2099-01-01")
    draft.set_header("MCP-Protocol-Version", *draft.rng.choices(versions, k=draft.rng.randrange(3)))
    if draft.rng.random() < 0.5:
        _mirrored(draft)


# ---- blindly --------------------------------------------------------------------------------------------------------


def _bytes(draft: Draft) -> None:
    body, rng = bytearray(draft.sent().body), draft.rng
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(body))
        edit = rng.randrange(5)
        if edit == 0:
            body[at] ^= 1 << rng.randrange(8)
        elif edit == 1:
            body.insert(at, rng.choice(b'{}[]":,\\/ \0\xff0en'))
        elif edit == 2:
            del body[at : at + rng.choice((1, 1, 2, 8))]
        elif edit == 3:
            body[at:at] = body[at : at + rng.choice((1, 4, 16, 64))]
        else:
            body[at] = rng.randrange(256)
        body = body or bytearray(b"{}")
    draft.body = bytes(body)


def _splice(draft: Draft) -> None:
    mine, other = draft.sent().body, text_of(value_of(draft.other, draft.version)).encode()
    marks = _marks(other)
    at, to = draft.rng.choice(_marks(mine)), draft.rng.choice(marks)
    end = draft.rng.choice([*marks, len(other)])
    draft.body = mine[:at] + other[to : max(to, end)] + (mine[at:] if draft.rng.random() < 0.7 else b"")


def _marks(text: bytes) -> list[int]:
    return [at for at, byte in enumerate(text) if byte in b'{}",:'] or [0]


MUTATIONS: Final[Mapping[str, Mutation]] = {
    one.__name__[1:].replace("_", " "): one
    for one in (
        _repeated_key, _repeated_key_escaped, _key_like_another, _key_respelled, _key_escaped, _more_members,
        _byte_order_mark, _other_encoding, _invalid_utf_8, _in_a_string, _deep, _number, _syntax, _escapes,
        _id, _batch, _response_too, _other_shape, _other_method, _spelling, _uri, _reference, _meta,
        _content_type, _utf_7, _content_encoding, _mirrored, _version, _bytes, _splice,
    )
}  # fmt: skip


def mutated(rng: Random) -> Mutated:
    """One message: one in fifty as it was, one in eight changed in two ways."""
    draft = Draft(rng)
    if rng.random() < 0.02:
        return Mutated("honest" if draft.asked in ALLOWED else "honest, secret", draft.sent())
    what, change = rng.choice([*MUTATIONS.items()])
    change(draft)
    if rng.random() < 0.125:
        what = "two at once"
        _AFTER[rng.randrange(len(_AFTER))](draft)
    return Mutated(what, draft.sent())


_AFTER: Final[Sequence[Mutation]] = (_bytes, _splice, _version, _mirrored, _content_type)
"""What can be done to a message that was changed already: they take the body as it is."""
