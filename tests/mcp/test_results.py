"""Results are read without decoding what passes, and nothing in doubt is read."""

import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.mcp.results import RESULT, EntryReader, find_result, read_members, watched, write_list, write_members
from mcp_acl.problems import MessageError

NAMES = EntryReader("name")
WATCHED = watched("a", "k[1,2,3]", "name", "tools")


def names_of(text: str) -> list[str | None]:
    return list(NAMES.read(msgspec.Raw(text.encode())).names)


def test_members_keep_their_bytes_and_order() -> None:
    members = read_members(b'{"b":{"x":1.0},"a":[ 1 ]}', "message", WATCHED)
    assert [("b", b'{"x":1.0}'), ("a", b"[ 1 ]")] == [(key, bytes(value)) for key, value in members.items()]
    assert b'{"b":{"x":1.0},"a":[ 1 ]}' == write_members(members)


def test_members_may_stand_apart() -> None:
    assert ["a", "b"] == list(read_members(b' { "a" : {"deep": "' + b"x" * 99 + b'"} ,\n "b":2}', "message", WATCHED))


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"1",
        b'{"a":1',
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":1}',
        b'{"a":1, "a":1}',
        b'{"a":1,"A":1}',
        b'{"tools":[],"tool\xc5\xbf":[]}',
        b'{"a":"\\ud800"}',
        b'{"k[1,2,3]":0,"k[1,2,3]":0}',
        b'{"TOOLS":[]}',
        b'{"tool\\u017f":[]}',
        b'{"tools\\u0000":[]}',
        b'{"tools":[],"tools\\u0000x":[]}',
        b'{"tools ":[]}',
        b'{"a": ' + b"1" * 5_000 + b"}",
        b"{" + b'"a":' * 5 + b"1}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_in_doubt_is_refused(text: bytes) -> None:
    with pytest.raises(MessageError):
        read_members(text, "message", WATCHED)


def test_a_large_value_that_looks_like_part_of_a_key_hides_no_duplicate() -> None:
    value = b"[" + b",".join([b"1"] * 60) + b"]"
    with pytest.raises(MessageError):
        read_members(b'{"k' + value + b'": 1, "k' + value + b'": 2, "v": ' + value + b"}", "message", WATCHED)


def test_names_are_read_all_at_once_or_one_by_one() -> None:
    assert ["a", "b"] == names_of('[{"name":"a"},{"title":"t","name":"b"}]')
    assert ["a", "b"] == names_of('[{"name":"a","schema":{"name":{}}},{"name":"b"}]')
    assert [] == names_of("[]")


def test_what_does_not_matter_may_stand_twice_and_beside_its_own_lookalikes() -> None:
    members = read_members(b'{"tools":[],"x":1,"x":2,"X":3}', "message", WATCHED)
    assert {"tools": b"[]", "x": b"2", "X": b"3"} == {key: bytes(value) for key, value in members.items()}
    assert ["a", "b"] == names_of('[{"name":"a","x":1,"x":2},{"name":"b","schema":{"name":1}}]')


def test_very_many_members_are_read() -> None:
    many = b",".join(b'"k%d":["%080d"]' % (number, number) for number in range(200_000))
    assert 200_001 == len(read_members(b'{ "tools":[],' + many + b"}", "message", WATCHED))


@pytest.mark.parametrize(
    "entry",
    [
        "5",
        "null",
        "[]",
        "{}",
        '{"name":1}',
        '{"name":null}',
        '{"name":"a","name":"b"}',
        '{"name":"a","n\\u0061me":"b"}',
        '{"n\\u0061me":"b","name":"a"}',
        '{"name":"a","Name":"b"}',
        '{"name":"a","name\\u0000":"b"}',
        '{"name":"a","name ":"b"}',
        '{"name":"a"," name":"b"}',
        '{"name":"a","name\\t":"b"}',
        '{"name":"a","\\u0020name":"b"}',
        '{"Name":"b"}',
    ],
)
def test_an_entry_whose_name_is_in_doubt_has_none(entry: str) -> None:
    assert [None, "ok"] == names_of(f'[{entry},{{"name":"ok"}}]')
    assert [None] == names_of(f"[{entry}]")


@pytest.mark.parametrize("text", ["{}", "null", '"x"', "[1", "[" * 100_000])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(MessageError):
        names_of(text)


@pytest.mark.parametrize("other", ["ta\u017fkId", "ta\\u017fkId", "tas\u212aId", "tas\\u212AId", "TASKID"])
def test_a_member_that_some_parser_takes_for_the_name_is_a_doubt(other: str) -> None:
    text = f'[{{"taskId":"mine","{other}":"other"}}]'
    assert [None] == list(EntryReader("taskId").read(msgspec.Raw(text.encode())).names)


def test_invalid_utf8_in_a_name_is_a_doubt() -> None:
    raw = msgspec.Raw(b'[{"name":"\xff"},{"name":"ok"}]')
    assert [None, "ok"] == list(NAMES.read(raw).names)


def test_the_entries_that_stay_are_written_as_they_came() -> None:
    entries = NAMES.read(msgspec.Raw(b'[{"name":"a", "x": 1.00},{"name":"b"}]'))
    assert b'[{"name":"a", "x": 1.00}]' == bytes(write_list(entries.raws[:1]))


KEYS = st.text(st.sampled_from('ab\\"é\u017fK'), max_size=3)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(KEYS, st.integers() | st.text(max_size=5)), max_size=5), st.booleans())
def test_members_are_read_as_the_standard_parser_reads_them(pairs: list[tuple[str, object]], spaced: bool) -> None:
    separator = " : " if spaced else ":"
    matter = watched("a", "bk", "é")
    text = "{" + ",".join(json.dumps(k) + separator + json.dumps(v) for k, v in pairs) + "}"
    keys = [key for key, _ in pairs]
    counted = Counter(key.casefold() for key in keys if key.casefold() in matter)
    exact = all(key in matter.values() for key in keys if key.casefold() in matter)
    if not exact or (counted and max(counted.values()) > 1):
        with pytest.raises(MessageError):
            read_members(text.encode(), "message", matter)
    else:
        members = read_members(text.encode(), "message", matter)
        assert dict(pairs) == {key: json.loads(bytes(value)) for key, value in members.items()}


def result_in(text: bytes) -> bytes | None:
    slot = find_result(text, RESULT)
    return None if slot is None else text[slot.start : slot.end]


def test_a_result_without_spaces_is_found_where_it_stands() -> None:
    assert b'{"tools":[{"name":"a"}]}' == result_in(b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}')
    assert b'{"a":"\\"result\\":"}' == result_in(
        b'{"result":{"a":"\\"result\\":"},"id":"\\"result\\":","jsonrpc":"2.0"}'
    )


@pytest.mark.parametrize(
    "text",
    [
        b'{"jsonrpc":"2.0", "id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{ "a":1}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":1},"result":{"a":1}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":1}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"Tools":[]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"Prompts":[]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":1},"more":1}',
        b'{"jsonrpc":"2.0","id":1,"error":{}}',
        b'{"jsonrpc":"2.0","id":{"result":1},"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":[]}',
        b"{",
    ],
)
def test_a_result_in_any_other_text_is_read_member_by_member(text: bytes) -> None:
    assert None is result_in(text)
