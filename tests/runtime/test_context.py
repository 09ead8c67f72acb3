"""The context: any request survives, anything else is refused."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.domain import Direction, Http, InexactNumber, Json, Message, MessageKind, Request, TokenState
from mcp_acl.problems import MessageError
from mcp_acl.runtime.context import decision_id_of, is_only_watched, read_context, write_context

LARGEST = 2**53 - 1
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
jsons: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, jsons, max_size=3)
ids = texts | st.integers(-LARGEST, LARGEST) | st.none()


def messages(members: st.SearchStrategy[tuple[Message, ...]]) -> st.SearchStrategy[Message]:
    return st.builds(Message, st.sampled_from(MessageKind), texts, ids, objects, st.just(False), members)


requests = st.builds(
    Request,
    server=texts,
    message=messages(st.lists(messages(st.just(())), max_size=2).map(tuple)),
    claims=objects,
    token=st.sampled_from(TokenState),
    direction=st.sampled_from(Direction),
    http=st.builds(Http, texts, texts, st.dictionaries(texts, st.lists(texts, max_size=2), max_size=2), texts),
    attributes=objects,
    session_id=texts,
    filters_responses=st.booleans(),
    tasks=st.just({}),
    tools=st.just({}),
    time=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy's form
)


@given(requests)
def test_request_is_the_same_when_it_comes_back(request: Request) -> None:
    assert request == read_context(write_context(request))


def test_it_says_whose_it_is_and_whether_it_is_only_watched() -> None:
    request = Request("s", Message(MessageKind.REQUEST, "m", 1))
    counts, watched = (write_context(request, "id-1", only_watched=one) for one in (False, True))
    assert {"id-1"} == {decision_id_of(counts), decision_id_of(watched)}
    assert request == read_context(watched)
    assert (False, True, False) == (
        is_only_watched(counts, "application/json"),
        is_only_watched(watched, "application/json; charset=utf-8"),
        is_only_watched(watched, "text/event-stream"),
    )


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda rest: b"\x01" + rest))
def test_other_bytes_are_refused(context: bytes) -> None:
    with pytest.raises(MessageError):
        read_context(context)


@given(requests, st.data())
def test_context_cut_short_or_longer_is_refused(request: Request, data: st.DataObject) -> None:
    context = write_context(request)
    cut = data.draw(st.integers(0, len(context) - 1))
    for wrong in (context[:cut], context + b"\xc0"):
        with pytest.raises(MessageError):
            read_context(wrong)


def test_number_that_is_not_exact_comes_back_with_its_digits() -> None:
    request = Request("s", Message(MessageKind.REQUEST, "m", 1, {"n": InexactNumber("1e999")}))
    number = read_context(write_context(request)).message.params["n"]
    assert isinstance(number, InexactNumber)
    assert "1e999" == number.text


def test_claims_of_any_mapping_can_be_carried() -> None:
    claims: Mapping[str, Json] = MappingProxyType(
        {"sub": "ann", "groups": ("a", "b"), "more": MappingProxyType({"k": 1})}
    )
    request = Request("s", Message(MessageKind.REQUEST, "m", 1), claims=claims)
    assert {"sub": "ann", "groups": ["a", "b"], "more": {"k": 1}} == read_context(write_context(request)).claims


def test_context_of_another_version_says_so() -> None:
    with pytest.raises(MessageError, match="version"):
        read_context(b"\x07" + b"x")


def test_other_extensions_of_the_format_are_refused() -> None:
    context = write_context(Request("s", Message(MessageKind.REQUEST, "m", 1, {"n": InexactNumber("7")})))
    with pytest.raises(MessageError):
        read_context(context.replace(b"\xd4\x01", b"\xd4\x02"))


def test_what_json_cannot_be_is_no_part_of_a_context() -> None:
    request = Request("s", Message(MessageKind.REQUEST, "m", 1), claims={"odd": object()})  # type: ignore[dict-item]
    with pytest.raises(NotImplementedError):
        write_context(request)
