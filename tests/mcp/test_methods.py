"""The table is complete, and says of each method what the schemas say."""

import pytest

from mcp_acl.domain import Direction, Feature, MessageKind
from mcp_acl.mcp.methods import (
    METHODS,
    REVISIONS,
    SKILLS_EXTENSION,
    TASKS_EXTENSION,
    UI_EXTENSION,
    Method,
    MethodClass,
    method_named,
    methods_of,
)
from tests.mcp.wire import cases

SENDS = cases("methods")


def sent(origin: str, direction: Direction) -> set[str]:
    side = "from_client" if direction is Direction.CLIENT_TO_SERVER else "from_server"
    return {row.name for row in METHODS.values() if origin in getattr(row, side)}


def test_every_revision_and_extension_is_covered() -> None:
    assert [*REVISIONS, TASKS_EXTENSION, SKILLS_EXTENSION, UI_EXTENSION] == list(SENDS)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("origin", SENDS)
def test_each_side_sends_what_the_schemas_say(origin: str, direction: Direction) -> None:
    assert set(SENDS[origin][direction]) == sent(origin, direction)


@pytest.mark.parametrize("row", METHODS.values(), ids=METHODS)
def test_a_row_is_whole(row: Method) -> None:
    assert row.name.startswith("notifications/") == (row.kind is MessageKind.NOTIFICATION)
    assert row.directions
    assert (row.method_class in (MethodClass.TARGET, MethodClass.TASK)) == bool(row.target)
    assert row.decided_as in METHODS
    assert row.result_list == bool(row.list_key) == bool(row.list_member)
    assert row.method_class is not MethodClass.LIST or row.result_list
    assert row.target_is_uri == (row.target == ("uri",) or row.list_member in ("uri", "uriTemplate"))
    assert row.doc


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resources/unsubscribe", "resources/subscribe"),
        ("notifications/resources/updated", "resources/read"),
        ("tools/call", "tools/call"),
        ("resources/directory/read", "resources/directory/read"),
    ],
)
def test_a_method_is_decided_as(name: str, expected: str) -> None:
    assert expected == METHODS[name].decided_as


def test_lists_and_what_identifies_their_entries() -> None:
    assert {
        "tools/list": ("tools", "name"),
        "resources/list": ("resources", "uri"),
        "resources/templates/list": ("resourceTemplates", "uriTemplate"),
        "resources/directory/read": ("resources", "uri"),
        "prompts/list": ("prompts", "name"),
        "tasks/list": ("tasks", "taskId"),
        "skills/list": ("skills", "uri"),
    } == {row.name: (row.list_key, row.list_member) for row in METHODS.values() if row.result_list}


def test_only_these_are_always_permitted() -> None:
    assert {
        "initialize",
        "notifications/initialized",
        "ping",
        "server/discover",
        "notifications/cancelled",
        "notifications/progress",
        "notifications/tools/list_changed",
        "notifications/resources/list_changed",
        "notifications/prompts/list_changed",
        "notifications/roots/list_changed",
    } == {row.name for row in METHODS.values() if row.method_class is MethodClass.ALWAYS}


@pytest.mark.parametrize(
    "name", ["", "Tools/call", "tools/call ", "tools/call\n", "tools", "events/list", "rpc.discover"]
)
def test_an_unknown_method_has_no_row(name: str) -> None:
    assert method_named(name) is None


def test_a_known_list_changed_has_its_own_row() -> None:
    assert METHODS["notifications/tools/list_changed"] is method_named("notifications/tools/list_changed")


def test_any_list_changed_is_always_permitted_in_both_directions() -> None:
    row = method_named("notifications/widgets/list_changed")
    assert row is not None
    assert ("notifications/widgets/list_changed", MethodClass.ALWAYS) == (row.name, row.method_class)
    assert row.name == row.decided_as
    assert frozenset(Direction) == row.directions


@pytest.mark.parametrize(
    "name",
    [
        "notifications//list_changed",
        "notifications/list_changed",
        "notifications/a/b/list_changed",
        "notifications/a/list_changed/x",
        "notifications/a/list_changed\n",
        "x/notifications/a/list_changed",
        "notifications/\0/list_changed",
    ],
)
def test_only_one_plain_segment_is_a_list_changed(name: str) -> None:
    assert method_named(name) is None


def test_methods_of_a_feature() -> None:
    assert ["skills/list", "skills/get"] == list(methods_of(Feature.SKILLS))
    assert all(methods_of(feature) for feature in Feature)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        METHODS["x"] = METHODS["ping"]  # type: ignore[index]
