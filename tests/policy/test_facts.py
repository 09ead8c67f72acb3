"""The table of variables is complete, and it is the one people read."""

from pathlib import Path

from mcp_acl.policy.facts import (
    CEL_FACTS,
    EL_FACTS,
    UNKNOWN_BEFORE_CALL,
    FactRow,
    Source,
    When,
    render_facts,
    sources_of,
)

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"
ROWS: tuple[FactRow, ...] = (*CEL_FACTS, *EL_FACTS)


def test_the_architecture_holds_the_table() -> None:
    assert render_facts() in ARCHITECTURE.read_text()


def test_every_variable_has_a_slot_of_its_own_and_says_what_it_is() -> None:
    assert len(ROWS) == len({row.variable.attribute for row in ROWS})
    assert [] == [row.variable.name for row in ROWS if not row.variable.doc]


def test_what_only_the_call_brings_is_unknown_before_it() -> None:
    unknown = {row.variable.attribute for row in ROWS if row.in_list is When.UNKNOWN}
    assert unknown == UNKNOWN_BEFORE_CALL
    assert {"arguments", "meta", "el_arguments", "el_meta", "el_request_content", "el_request_json_content"} == unknown


def test_what_depends_on_who_asks_is_marked() -> None:
    by_name = {(row.language, row.variable.name): row.variable for row in ROWS}
    for key in (
        ("cel", "claims"),
        ("cel", "request.headers"),
        ("cel", "attributes"),
        ("el", "context"),
        ("el", "token"),
    ):
        assert Source.PRINCIPAL in sources_of(frozenset({by_name[key]}))
    assert Source.PRINCIPAL not in sources_of(frozenset({by_name["cel", "request.time"], by_name["el", "now"]}))
