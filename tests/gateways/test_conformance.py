"""The official conformance suites of MCP find through the gateway what they find without it, check for check."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from tests.gateways.commands import FORMS
from tests.gateways.suites import SERVER, SUITES, Results, run, serving
from tests.gateways.through import through
from tests.gateways.tokens import Signers
from tests.installed import by_go

HERE: Final = Path(__file__).parent
EXPECTED: Final[Mapping[str, Any]] = yaml.safe_load((HERE / "conformance.yaml").read_text())
POLICY: Final = (HERE / "policies" / "conformance.yaml").read_text()


class Found(NamedTuple):
    """What a suite found without the gateway, and through it."""

    leg: str
    directly: Results
    through: Results


LEGS: Final = [*((leg, FORMS[0]) for leg in SUITES), ("0.2.0-alpha.12, 2025-11-25", FORMS[1])]
"""Each suite, and one of them where gateway and service are one process."""


@pytest.fixture(scope="module", params=LEGS, ids=", ".join)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    leg, form = request.param
    suite = SUITES[leg]
    if suite.server_flags is not None:
        by_go(SERVER)
    directory = tmp_path_factory.mktemp("conformance")
    signers, keys = Signers(), directory / "keys.json"
    keys.write_text(signers.key_set())
    token = signers.token("ES256", {"sub": "suite"})
    # What is fetched bears the token; what is asked by other means is about the server itself, and may be.
    flags: list[str | Path] = ["--jwks", keys, "--allow-anonymous"]
    with (
        serving(suite, directory) as url,
        through(directory / "gateway", {"conformance.yaml": POLICY}, {"fixture": url}, flags, form) as gateway,
    ):
        directly = run(suite, url, directory / "directly", token)
        yield Found(leg, directly, run(suite, gateway["fixture"], directory / "through", token))


def differences(found: Found) -> list[dict[str, Any]]:
    """The checks that came out differently, and those that only one of both made."""
    rows = []
    for scenario in sorted(found.directly.keys() | found.through.keys()):
        directly, through = (Counter(one.get(scenario, ())) for one in (found.directly, found.through))
        statuses: list[dict[str, str]] = [{}, {}]
        for of, checks in zip(statuses, (directly - through, through - directly), strict=True):
            of.update((check, status) for check, status in map(str.split, checks))
        for check in sorted(statuses[0].keys() | statuses[1].keys()):
            came = {"directly": statuses[0].get(check), "through": statuses[1].get(check)}
            rows.append({"leg": found.leg, "scenario": scenario, "check": check, **came})
    return rows


def expected(leg: str) -> Sequence[Mapping[str, Any]]:
    rows = [row for row in EXPECTED["differences"] if row["leg"] == leg]
    assert [] == [row for row in rows if not row["why"].strip()]
    return [{name: value for name, value in row.items() if name != "why"} for row in rows]


def test_every_difference_is_known_and_explained(found: Found) -> None:
    assert expected(found.leg) == differences(found)


def test_the_suite_has_run(found: Found) -> None:
    """What it finds without the gateway is what the data says, so that nothing is missed by both."""
    checks = [check for checks in found.directly.values() for check in checks]
    failures = [check for check in checks if check.endswith(" FAILURE")]
    counts = {"scenarios": len(found.directly), "checks": len(checks), "failures": len(failures)}
    print(found.leg, counts)  # noqa: T201 - the figures
    assert EXPECTED["legs"][found.leg] == counts


def test_the_data_names_every_leg_and_no_other() -> None:
    assert set(SUITES) == set(EXPECTED["legs"])
    assert {row["leg"] for row in EXPECTED["differences"]} <= set(SUITES)
