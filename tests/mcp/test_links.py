"""Which URI a block of content names: one, none, or in doubt; and the quick no misses none."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.mcp.links import blocks_of, may_link, uri_of_block, uri_of_contents
from mcp_acl.problems import MessageError


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type":"resource","resource":{"uri":"text:a","text":"x"}}', "text:a"),
        ('{"resource": {"text":"x", "uri":"text:a"}, "type": "resource"}', "text:a"),
        ('{"type":"resource_link","uri":"text:a","resource":{"uri":"text:b"}}', "text:a"),
        ('{"type":"resource\\u005flink","uri":"text:\\u0061"}', "text:a"),
        ('{"type":"\\u0072esource_link","uri":"text:a"}', "text:a"),
        ('{"\\u0074ype":"resource_link","\\u0075ri":"text:a"}', "text:a"),
        ('{"type":"text","text":"\\"resource","uri":"text:a"}', None),
        ('{"type":"text","text":"a","type":"image"}', None),
        ('"resource"', None),
        ('["resource"]', None),
    ],
)
def test_a_block_names_what_its_type_says(text: str, expected: str | None) -> None:
    assert expected == uri_of_block(raw(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"resource","resource":{"uri":"text:a","uri":"text:b"}}',
        '{"type":"resource","resource":{"uri":"text:a","Uri":"text:b"}}',
        '{"type":"resource","resource":{"uri":"text:a","uri\\u0000x":"text:b"}}',
        '{"type":"resource","resource":{"uri":"text:a"},"Resource":{"uri":"text:b"}}',
        '{"type":"resource","resource":[]}',
        '{"type":"resource","resource":{}}',
        '{"type":"resource"}',
        '{"type":"resource_link"}',
        '{"type":"resource_link","uri":null}',
        '{"type":"resource_link","uri":"text:a","URI":"text:b"}',
        '{"type":"resource_link","type":"text","uri":"text:a"}',
        '{"type":["resource"],"uri":"text:a"}',
        '{"resource":{"uri":"text:a"}}',
        '{"type":"resource_link","uri":"\\ud800"}',
    ],
)
def test_a_block_that_can_be_read_in_two_ways_is_in_doubt(text: str) -> None:
    with pytest.raises(MessageError):
        uri_of_block(raw(text))


def test_an_entry_of_contents_names_its_uri() -> None:
    assert "text:a" == uri_of_contents(raw('{"uri":"text:a","text":"x"}'))
    assert [None, None] == [uri_of_contents(raw(one)) for one in ('{"text":"x"}', '"text:a"')]
    for text in ('{"uri":1}', '{"uri":"text:a","uri":"text:a"}', '{"URI":"text:a"}'):
        with pytest.raises(MessageError):
            uri_of_contents(raw(text))


def test_content_is_an_array_of_blocks_or_one() -> None:
    assert [['{"a":1}'], ['{"a":1}', "2"], []] == [
        [bytes(block).decode() for block in blocks_of(raw(text))] for text in ('{"a":1}', '[{"a":1},2]', '"a"')
    ]


SPELLINGS = st.sampled_from(["resource", "resource_link"]).flatmap(
    lambda word: st.tuples(*(st.sampled_from([char, f"\\u{ord(char):04x}", f"\\u{ord(char):04X}"]) for char in word))
)


@given(SPELLINGS.map("".join))
def test_the_quick_no_misses_no_spelling(word: str) -> None:
    assert may_link(f'{{"type":"{word}"}}'.encode())


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
@pytest.mark.untraced
def test_the_quick_no_is_never_wrong(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        if '"resource' in json.dumps(value, ensure_ascii=False).replace('\\"', ""):
            assert may_link(text.encode(errors="replace"))
    assert not may_link(json.dumps({"type": "text", "text": "größe \u00e9\u2028 a resource"}).encode())
