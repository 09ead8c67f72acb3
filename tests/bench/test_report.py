"""The report: one file that asks for nothing, in which every case is, and nothing that was measured can do anything."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import msgspec
import pytest

from mcp_acl.bench import figures as fig
from mcp_acl.bench import plots
from mcp_acl.bench.report import html
from mcp_acl.bench.results import Case, Latency, Results
from tests.bench import runs

HOSTILE = """</script></title><img src=x onerror=alert(1)>&amp;"'<!--\x00\x1b[2J\u202e"""
VOID = frozenset({"meta", "br", "img", "input", "link"})


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.unclosed: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def said(self, tag: str) -> str:
        return "\n".join(self.texts.get(tag, ()))

    def data(self) -> bytes:
        return self.texts["script"][0].encode()


def everything() -> list[Case]:
    many = [*runs.over("rules", [10, 100, 1000]), *runs.over("entries", [10, 100], interface="filter")]
    return [*runs.hosts_and_interfaces(rounds=3), *many, *runs.over_rate([1000, 4000])]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html(runs.a_run(everything(), notes=["It was busy."])))


def headings(page: Page) -> list[str]:
    return page.texts["h2"]


# ---- one file -------------------------------------------------------------------------------------------------------


def test_it_asks_for_nothing(page: Page) -> None:
    assert not {"link", "img", "iframe", "base", "object", "embed", "form"} & set(page.tags)
    assert not [one for one in page.attributes if one[1] in {"src", "href", "srcset", "action", "xlink:href", "style"}]
    assert not re.search(r"url\(|@import|https?:|//[a-z]", page.said("style"))
    assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|https?:", page.texts["script"][-1])


def test_its_own_policy_lets_its_style_and_its_script_alone_in(page: Page) -> None:
    (policy,) = [value for _, name, value in page.attributes if name == "content" and "default-src" in value]
    for kind, text in (("style", page.texts["style"][0]), ("script", page.texts["script"][-1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_it_is_well_formed(page: Page) -> None:
    assert page.unclosed == []
    assert page.open == []


def test_the_data_is_in_it() -> None:
    run = runs.a_run(runs.hosts_and_interfaces(rounds=2))
    assert msgspec.json.decode(Page(html(run)).data(), type=Results) == run


# ---- what is in it --------------------------------------------------------------------------------------------------


def test_every_case_is_in_the_table_and_in_a_plot(page: Page) -> None:
    rows, marks = set(page.texts["th"]), page.said("title")
    for case in everything():
        assert case.name in rows
        assert case.name in marks


def test_there_is_a_plot_for_each_thing_that_can_be_seen(page: Page) -> None:
    assert headings(page) == [
        "Server CPU for each answer",
        "Latency by percentile",
        "Server CPU against rules",
        "Server CPU against entries",
        "Latency against the rate that is asked at",
        "Round by round",
        "All figures",
        "How it was measured",
    ]


def test_marks_say_their_numbers() -> None:
    case = runs.a_case(seed=1, rounds=3)
    rounds = [
        msgspec.structs.replace(one, server_cpu=cpu, parts={"envoy": 20.0, "python": cpu - 20})
        for one, cpu in zip(case.rounds, (50.0, 60.0, 70.0), strict=True)
    ]
    titles = Page(html(runs.a_run([msgspec.structs.replace(case, rounds=tuple(rounds))]))).said("title")
    assert "grpcio unary: 60.0 µs, rounds from 50.0 µs to 70.0 µs\nenvoy: 20.0 µs\npython: 40.0 µs" in titles
    assert "round 3: 70.0 µs (+16.7%)" in titles
    assert "\n99 %: " in titles


def test_one_message_and_a_whole_list_are_never_drawn_to_one_scale() -> None:
    cases = [
        runs.a_case(name=f"{name} {rules}", facts={"interface": name, "rules": rules}, cpu=cpu, unit=unit, rounds=2)
        for name, cpu, unit in (("unary", 50.0, 1), ("filter", 900.0, 100))
        for rules in (10, 1_000)
    ]
    captions = Page(html(runs.a_run(cases))).texts["figcaption"]
    assert captions[-2:] == ["one message", "a whole list"]


def test_every_plot_is_named_for_those_who_do_not_see_it(page: Page) -> None:
    images = [tag for tag, name, value in page.attributes if (name, value) == ("role", "img")]
    assert set(images) == {"svg"}
    assert page.tags.count("title") > len(images)
    assert page.tags.count("desc") == page.attributes.count(("svg", "class", "plot")) > 0


def test_wrong_answers_stand_at_the_top() -> None:
    page = Page(
        html(runs.a_run([*runs.hosts_and_interfaces(2), runs.a_case(seed=1, name="broken", wrong=3, rounds=2)]))
    )
    assert "broken: 6 of 4,000" in page.texts["li"]
    assert ("div", "role", "alert") in page.attributes
    assert ("div", "role", "alert") not in Page(html(runs.a_run(runs.hosts_and_interfaces(2)))).attributes


def test_notes_and_circumstances_are_said(page: Page) -> None:
    assert "It was busy." in page.texts["li"]
    assert {"mcp-acl bench --json run.json", "AMD EPYC 7R13, 2 cores, Linux 6.1, Python 3.13.1"} <= set(
        page.texts["dd"]
    )


def test_several_runs_stand_beside_each_other() -> None:
    cases = runs.hosts_and_interfaces(2)
    page = Page(html(runs.a_run(cases), runs.a_run(cases, processor="Other")))
    assert page.texts["th"].count(cases[0].name) == 2
    assert {"A", "B"} <= set(page.texts["td"])
    assert "Other, 2 cores, Linux 6.1, Python 3.13.1" in page.texts["dd"]


# ---- what may go wrong ----------------------------------------------------------------------------------------------


def test_hostile_names_are_text_and_nothing_else() -> None:
    case = runs.a_case(seed=1, name=HOSTILE, facts={"host": HOSTILE, HOSTILE: HOSTILE, "rules": 1}, rounds=2)
    other = runs.a_case(seed=2, name=f"b{HOSTILE}", facts={"host": f"b{HOSTILE}", HOSTILE: "c", "rules": 2}, rounds=2)
    parts = tuple(msgspec.structs.replace(one, parts={HOSTILE: 1.0, "x": 2.0}) for one in case.rounds)
    run = msgspec.structs.replace(
        runs.a_run([msgspec.structs.replace(case, rounds=parts), other], notes=[HOSTILE], processor=HOSTILE),
        command=(HOSTILE,),
        versions={HOSTILE: HOSTILE},
    )
    text = html(run)
    page = Page(text)
    assert "img" not in page.tags
    assert page.tags.count("script") == 2
    assert page.unclosed == []
    assert not set("\x00\x1b\u202e") & set(text)
    assert msgspec.json.decode(page.data(), type=Results) == run


def test_a_histogram_that_cannot_be_read_is_replaced_by_what_the_rounds_say() -> None:
    case = runs.a_case(seed=1, rounds=3)
    for broken in ("", "no base64 at all", "HISTFAAAAB542pNpmSzMwMDAxAABzFCaEUoz2X+A"):
        rounds = tuple(
            msgspec.structs.replace(one, latency=msgspec.structs.replace(one.latency, p99=4_321.0, histogram=broken))
            for one in case.rounds
        )
        titles = Page(html(runs.a_run([msgspec.structs.replace(case, rounds=rounds)]))).said("title")
        assert "99 %: 4.32 ms" in titles


def test_nothing_measured_is_a_page_too() -> None:
    nothing = msgspec.structs.replace(runs.a_case(seed=1), rounds=())
    for cases in ([], [nothing]):
        assert "How it was measured" in headings(Page(html(runs.a_run(cases))))


def test_a_case_without_cpu_has_its_latency() -> None:
    case = runs.a_case(seed=1, rounds=2)
    rounds = tuple(msgspec.structs.replace(one, server_cpu=None, client_cpu=None, memory=None) for one in case.rounds)
    found = headings(Page(html(runs.a_run([msgspec.structs.replace(case, rounds=rounds)]))))
    assert found[:2] == ["Latency by percentile", "Round by round"]


def test_what_is_wrong_is_marked_where_it_is_drawn_and_what_is_hollow_is_said() -> None:
    cases = [runs.a_case(name="right"), runs.a_case(name="broken", facts={"host": "envoy"}, wrong=1)]
    text = html(runs.a_run(cases))
    assert text.count("envoy, WRONG") == 1
    assert "grpcio, WRONG" not in text
    assert "hollow ones are beyond the scale" in text


def test_a_latency_beyond_reason_is_drawn_too() -> None:
    case = runs.a_case(seed=1, rounds=1)
    latency = Latency(p50=1.0, p90=1.0, p99=1.0, p999=1e308, max=1e308)
    rounds = tuple(msgspec.structs.replace(one, latency=latency) for one in case.rounds)
    assert "Latency by percentile" in headings(Page(html(runs.a_run([msgspec.structs.replace(case, rounds=rounds)]))))


def test_a_fact_beyond_reason_is_said_and_not_drawn() -> None:
    text = html(runs.a_run([runs.a_case(name=f"{rules % 7}", facts={"rules": rules}) for rules in (5, 10**400)]))
    assert f"{10**400:,}" in text
    assert "Server CPU against rules" not in text


def test_a_case_that_facts_do_not_tell_from_another_has_its_name() -> None:
    cases = [*(runs.a_case(name=name) for name in ("one", "two")), runs.a_case(facts={"host": "envoy"})]
    assert fig.labels(cases) == ["one", "two", "envoy"]


def test_each_process_has_a_line_in_the_table() -> None:
    case = runs.a_case()
    rounds = tuple(msgspec.structs.replace(one, parts={"envoy": 20.0, "python": 40.0}) for one in case.rounds)
    text = html(runs.a_run([msgspec.structs.replace(case, rounds=rounds)]))
    assert "<small>envoy 20.0</small><small>python 40.0</small>" in text


def test_what_is_not_known_or_nothing_leaves_the_rest_as_it_is() -> None:
    case = runs.a_case(rounds=2)
    free = tuple(msgspec.structs.replace(one, server_cpu=0.0, memory=None) for one in case.rounds)
    flags = [runs.a_case(name=f"{denied}", facts={"denied": denied}) for denied in (0, 1)]
    nothing = msgspec.structs.replace(case, name="nothing", rounds=())
    text = html(runs.a_run([*flags, nothing, msgspec.structs.replace(case, rounds=free)]))
    assert "<td>–</td>" in text
    assert "server CPU of 0 rounds" in text
    assert ">denied</div>" in text


def test_axes_have_round_ticks() -> None:
    assert [round(value) for value, _ in plots.linear("", 83.0, str).ticks] == [0, 25, 50, 75, 100]
    assert [round(value) for value, _ in plots.linear("", 0.0, str).ticks] == [0, 1]
    assert [round(value) for value, _ in plots.at_values("", [10, 11, 100], str).ticks] == [10, 100]
