"""Which kind of answer a client takes, by its header `Accept`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.mcp.accept import Accepted, accepted

BOTH, JSON, STREAM = Accepted(True, True), Accepted(True, False), Accepted(False, True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["application/json, text/event-stream"], BOTH),
        (["application/json", "text/event-stream"], BOTH),
        (["*/*"], BOTH),
        (["application/*,text/*"], BOTH),
        (["application/json;q=0.1, text/event-stream;q=1"], BOTH),
        (["Application/JSON"], JSON),
        (["application/json; charset=utf-8"], JSON),
        (["text/event-stream"], STREAM),
        (["text/*"], STREAM),
        (["text/event-stream, application/json;q=0"], STREAM),
        (["text/event-stream;q=0, */*"], JSON),
        (["*/*, application/json ; Q = 0.000"], STREAM),
        (["*/*;q=0, application/json"], JSON),
        (["application/*;q=0, */*"], STREAM),
        (["application/json;q=0, */*;q=0.5"], STREAM),
        (["application/json;q=high"], JSON),
        (["application/json;q="], JSON),
        # Neither: JSON all the same, as without the header.
        ([], JSON),
        ([""], JSON),
        ([", ;"], JSON),
        (["text/html"], JSON),
        (["application/json;q=0"], JSON),
        (["*/*;q=0"], JSON),
    ],
)
def test_an_answer_is_of_a_kind_the_client_takes(values: list[str], expected: Accepted) -> None:
    assert expected == accepted({"accept": values})


def test_without_the_header_it_is_json() -> None:
    assert accepted({}) == JSON


@given(st.lists(st.text() | st.text(alphabet="*/;q=0., aplictonjsev-r"), max_size=3))
def test_whatever_the_header_says_one_of_them_is_acceptable(values: list[str]) -> None:
    assert any(accepted({"accept": values}))
