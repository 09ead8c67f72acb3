"""The expression language by example: every condition of `cases/expr/el.yaml`, by the reference evaluator and compiled."""

from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from tests.expr.el.plain import outcome, table


def _cases() -> list[object]:
    themes = cast("Mapping[str, Mapping[str, Sequence[str]]]", table()["cases"])
    return [
        pytest.param(text, expected, id=f"{theme}: {text}"[:80])
        for theme, outcomes in themes.items()
        for expected, texts in outcomes.items()
        for text in texts
    ]


@pytest.mark.parametrize(("text", "expected"), _cases())
def test_a_condition_comes_to_what_the_real_engine_makes_of_it(text: str, expected: str) -> None:
    assert expected == outcome(text)


@pytest.mark.parametrize("case", cast("Sequence[Mapping[str, str]]", table()["differences"]), ids=lambda one: one["el"])
def test_a_difference_is_deliberate_and_never_wider(case: Mapping[str, str]) -> None:
    assert case["is"] == outcome(case["el"])
    assert case["is"] != case["gravitee"]
    assert "true" != case["is"]


def test_no_condition_stands_twice() -> None:
    texts = [cast("Sequence[object]", param.values)[0] for param in _cases()]  # type: ignore[attr-defined]
    assert len(texts) == len(set(texts))
