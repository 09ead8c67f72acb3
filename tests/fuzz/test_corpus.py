"""What the fuzzer found worth keeping, replayed without it."""

from pathlib import Path

import pytest

from tests.fuzz import targets


def test_the_corpus_is_small() -> None:
    assert sum(file.stat().st_size for file in targets.CORPUS.iterdir()) <= 200_000


@pytest.mark.parametrize("target", targets.TARGETS)
def test_nothing_but_declared_errors_comes_of_the_corpus(target: str) -> None:
    inputs = targets.corpus(target)
    assert len(inputs) > 100
    for data in inputs:
        try:
            targets.TARGETS[target](data)
        except Exception as error:
            raise AssertionError(data) from error


def test_it_is_seen_if_generated_code_does_anything() -> None:
    with pytest.raises(AssertionError, match="open"), targets._WATCH.nothing_happens():
        Path(__file__).read_bytes()


def test_a_name_that_generated_code_has_from_elsewhere_is_seen() -> None:
    def run(s: object) -> object:
        return [s.__dict__, lambda: __import__("os")]

    assert {"__dict__", "__import__", "<lambda>"} == targets.foreign_names(run.__code__)
