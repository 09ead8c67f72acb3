"""What the most lenient of parsers find, and how files of the corpus are refused."""

from pathlib import Path

import pytest

from mcp_acl.attack.cases import DIRECTORY, read_corpus
from mcp_acl.attack.reading import Thing, is_denied, is_secret, secrets_in, shows, things_of
from mcp_acl.problems import SourceError

CALL = '{"method":"tools/call","params":{"name":"%s"}}'


def names(body: str | bytes, **headers: str) -> set[str]:
    raw = body.encode() if isinstance(body, str) else body
    return {
        thing.name for thing in things_of(raw, {name.replace("_", "-"): [value] for name, value in headers.items()})
    }


@pytest.mark.parametrize(
    "body",
    [
        '{"method":"tools/call","params":{"name":"a","Name":"b"}}',
        '{"method":"tools/call","params":{"name":"a","name\\u0000x":"b"}}',
        '{"method":"tools/call","params":{"name":"a"},"param\\u017f":{"name":"b"}}',
        f"[{CALL % 'a'},[{CALL % 'b'}]]",
        f"{CALL % 'a'}\n{CALL % 'b'}",
        '{"method":"tools/call","params":{"name":["a","b"]}}',
        '{"method":"tools/call","params":"{\\"name\\":\\"a\\", \\"name\\":\\"b\\"}"}',
        '{"method":"tools/call","params":{"name":"a","arguments":{"x":["b"]}}}',
    ],
)
def test_everything_that_somebody_would_run_is_found(body: str) -> None:
    assert {"a", "b"} <= names(body)


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + (CALL % "a").encode(),
        (CALL % "a").encode("utf-16"),
        (CALL % "a").encode("utf-16-le"),
        (CALL % "a").encode("utf-32"),
        (CALL % "a").replace("{", "{/* x */", 1).encode(),
        (CALL % "a").replace("}}", ",},}").encode(),
        b")]}',\n" + (CALL % "a").encode() + b" x",
        (CALL % f'a","x":{"[" * 200_000}{"]" * 200_000},"y":"').encode(),
        b'{"method":"tools/call","params":{"name":"a","x":NaN,"y":"\xff\n"}}',
    ],
)
def test_message_is_found_in_whatever_form(body: bytes) -> None:
    assert "a" in names(body)


@pytest.mark.parametrize("body", ["", "x", "{", "5", "[]", "{}", '{"method":'])
def test_nothing_is_found_where_there_is_nothing(body: str) -> None:
    assert set() == names(body)


def test_headers_name_things_too() -> None:
    assert {"echo", "b"} == names(CALL % "echo", mcp_name="b")
    assert {"echo", "b"} == names(CALL % "echo", mcp_name="=?BASE64?Yg?=")
    assert {"=?base64?\xff?="} == names("", mcp_name="=?base64?\xff?=")


@pytest.mark.parametrize(
    "text", ["secret", "SECRET", "%73ecret", "%2573ecret", "se\u200bcret", "ｓｅｃｒｅｔ", "a secret b", "se\tcret"]
)
def test_secret_is_secret_however_it_is_spelled(text: str) -> None:
    assert is_secret(text)
    assert secrets_in(text.encode())
    assert is_denied(Thing("tools/call", text))


def test_secret_is_found_in_escapes() -> None:
    assert secrets_in(b'"\\u0073ecret"')
    assert shows(b'"demo:\\/\\/public\\/a"', "demo://public/a")
    assert not secrets_in(b'"echo"')


@pytest.mark.parametrize("method", ["admin/reset", "Tools/Call", "logging/setLevel", "secret"])
def test_method_that_nobody_was_granted_is_denied(method: str) -> None:
    assert is_denied(Thing(method, ""))
    assert not is_denied(Thing("tools/call", "echo"))


@pytest.mark.parametrize("number", ["1001", "NaN", "1e400", '"x"', "null", "[1]"])
def test_number_that_may_be_large_is_denied(number: str) -> None:
    body = f'{{"method":"tools/call","params":{{"name":"add","arguments":{{"a":{number}}}}}}}'
    assert any(map(is_denied, things_of(body.encode(), {})))


# ---- files that cannot be used --------------------------------------------------------------------------------------

INDEX = (DIRECTORY / "index.yaml").read_text()
CLASS = """\
version: 1
class: one
why: x
seen: [x]
cases:
  - {id: a, why: x, send: "1", twin: {send: "2"}}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "index.yaml").write_text(INDEX)
    (tmp_path / "one.yaml").write_text(CLASS)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "demo.yaml").write_text("version: 1\npolicy: demo\nrules: []\n")
    return tmp_path


def test_small_corpus_is_read(directory: Path) -> None:
    (case,) = read_corpus(directory).cases()
    assert (b"1", b"2", 6) == (case.attack.body, case.twin.body, case.line)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("class: one", "class: two", 2),
        ("version: 1", "version: 2", 1),
        (', twin: {send: "2"}', "", 6),
        ("why: x, send", "sned: 1, why: x, send", 6),
        ("seen: [x]", "seen: []", 4),
        ("id: a", "id: A b", 6),
        ("why: x\n", "why: &x x\n", 3),
    ],
)
def test_file_that_is_wrong_is_refused_with_its_place(directory: Path, before: str, after: str, line: int) -> None:
    (directory / "one.yaml").write_text(CLASS.replace(before, after, 1))
    with pytest.raises(SourceError) as caught:
        read_corpus(directory)
    assert ("one.yaml", line) == (caught.value.problems[0].place.file, caught.value.problems[0].place.line)


@pytest.mark.parametrize("entry", ["of: bugs, name: x, what: x", "of: bugs, name: x, what: x, files: [a], whose: we"])
def test_class_without_files_and_without_a_job_is_refused(directory: Path, entry: str) -> None:
    (directory / "index.yaml").write_text(f"{INDEX}  - {{{entry}}}\n")
    with pytest.raises(SourceError):
        read_corpus(directory)
