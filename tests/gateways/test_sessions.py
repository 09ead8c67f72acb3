"""Many sessions at once through a real Envoy, while the service is killed and comes back."""

from pathlib import Path

from tests.gateways.soak import Soak, run

GATEWAY_ERROR = "503"


def test_sessions_see_nothing_wrong_while_the_service_is_killed(tmp_path: Path) -> None:
    report = run(Soak(sessions=150, seconds=9.0, pause=1.0, kills=1), tmp_path)
    seen = report.seen
    assert [] == seen.wrong
    assert {"list", "own", "other"} == {kind for kind, number in seen.good.items() if number > 100}
    assert seen.good["own"] <= seen.reached["call"]
    assert seen.events > 100
    assert all(what.startswith((GATEWAY_ERROR, "0 ")) for what in seen.failed), seen.failed
    last = max(seen.by_second)
    assert 0 == sum(seen.failed_by_second[second] for second in range(last - 1, last + 1)), seen.failed_by_second
