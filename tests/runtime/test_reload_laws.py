"""Reloading: its thread, its memory, and what always holds of what is in force."""

import gc
import random
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.runtime import stamps, store
from mcp_acl.runtime.collector import SLICE, YOUNG, beside_requests, keep_all, uncollected
from mcp_acl.runtime.reload import Reloader
from mcp_acl.runtime.store import read_sources
from tests.runtime.watched import Watched, fill, policy, relinked, replaced


def eventually(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < until
        time.sleep(0.01)


def started(directory: Path) -> Watched:
    watched = Watched(directory)
    watched.reloader = Reloader(watched.gate, directory, read_sources(directory))
    watched.reloader.start(0.02)
    return watched


def test_thread_looks_until_it_is_stopped(tmp_path: Path) -> None:
    watched = started(fill(tmp_path, {"a": 1}))
    fill(tmp_path, {"a": 2})
    eventually(lambda: watched.versions() == {"a": 2})
    watched.reloader.stop()
    assert not [one for one in threading.enumerate() if one.name == "reload"]


def test_no_error_ends_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = started(fill(tmp_path, {"a": 1}))
    looks: list[None] = []
    look = watched.reloader.look

    def broken() -> None:
        looks.append(None)
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(watched.reloader, "look", broken)
        eventually(lambda: len(looks) > 2)
    assert look == watched.reloader.look
    fill(tmp_path, {"a": 2})
    eventually(lambda: watched.versions() == {"a": 2})
    watched.reloader.stop()


def test_what_was_not_started_can_be_stopped(watched: Watched) -> None:
    watched.reloader.stop()


# ---- memory ------------------------------------------------------------------------------------------------


def test_sets_that_were_replaced_are_freed(watched: Watched) -> None:
    alive: list[weakref.ref[object]] = []
    frozen: list[int] = []
    for turn in range(200):
        fill(watched.directory, {"a": 1 + turn % 2, "b": 1 + turn // 2 % 2})
        watched.look(2)
        (grant,) = [
            one for _, group in watched.gate.policies.groups for one in group.grants if one.rule.ref.policy == "a"
        ]
        assert grant.rule.condition is not None
        alive.append(weakref.ref(grant.rule.condition.run))
        frozen.append(gc.get_freeze_count())
        del grant
    assert 200 == len({id(one) for one in alive})
    assert 1 == len({id(one()) for one in alive} - {id(None)})
    assert max(frozen[100:]) < max(frozen[20:100]) + 2000


def test_garbage_is_not_kept_with_what_is_kept() -> None:
    class Cycle:
        pass

    one = Cycle()
    one.__dict__["self"] = one
    alive = weakref.ref(one)
    gc.disable()
    try:
        del one
        keep_all()
        assert alive() is None
    finally:
        gc.enable()


def test_what_calls_hold_for_a_moment_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    before = gc.get_threshold()
    looks: list[object] = []
    monkeypatch.setattr(gc, "callbacks", [lambda phase, info: looks.append(info) if phase == "start" else None])
    try:
        keep_all()
        looks.clear()
        for _ in range(10):
            held = [[number] for number in range(YOUNG // 2)]
            del held
        assert not looks
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)


def test_while_a_set_is_loaded_others_get_the_interpreter_sooner() -> None:
    before = sys.getswitchinterval()
    with suppress(KeyError), beside_requests():
        assert SLICE == pytest.approx(sys.getswitchinterval())
        raise KeyError
    assert before == sys.getswitchinterval()


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_is_collected_while_a_set_is_loaded(collects: bool) -> None:
    (gc.enable if collects else gc.disable)()
    try:
        with suppress(KeyError), uncollected():
            assert not gc.isenabled()
            raise KeyError
        assert collects is gc.isenabled()
    finally:
        gc.enable()


# ---- the law: what is in force was in the directory, as a whole, at some moment --------------------------------------

STEPS = st.sampled_from(["a", "b", "-b", "one", "two", "look", "look", "look", "later"])


class World:
    """A directory behind a link to one of two, everything that was ever in it, and steps that come while it is read."""

    def __init__(self, root: Path) -> None:
        self.places = {name: fill(root / name, {"a": 1, "b": 1}) for name in ("one", "two")}
        self.held: dict[str, dict[str, int]] = {name: {"a": 1, "b": 1} for name in self.places}
        self.current = root / "current"
        self.current.symlink_to(self.places["one"])
        self.place = "one"
        self.version = 1
        self.history = [dict(self.held["one"])]
        self.amid: list[str] = []

    def step(self, step: str) -> None:
        held = self.held[self.place]
        if step in self.places:
            relinked(self.current, self.places[step])
            self.place = step
        elif step == "-b":
            held.pop("b", None)
            (self.places[self.place] / "b.yaml").unlink(missing_ok=True)
        else:
            self.version += 1
            held[step] = self.version
            write = replaced if self.version % 2 else Path.write_text
            write(self.places[self.place] / f"{step}.yaml", policy(step, self.version))
        self.history.append(dict(self.held[self.place]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(STEPS, max_size=40), st.randoms(use_true_random=False))
def test_what_is_in_force_was_in_the_directory_as_a_whole(steps: list[str], chance: random.Random) -> None:
    content = store._content
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patched:
        world = World(Path(root))
        watched = Watched(world.current)

        def amid(path: Path) -> tuple[bytes, stamps.Stamp]:
            for _ in range(chance.choice([0, 0, 1, 2])):
                world.step(chance.choice(["a", "b", "one", "two"]))
            return content(path)

        patched.setattr(store, "_content", amid)
        for step in steps:
            if step == "look":
                watched.look()
            elif step == "later":
                watched.now += 5
            else:
                world.step(step)
            assert watched.versions() in world.history
        patched.setattr(store, "_content", content)
        watched.settle()
        assert world.held[world.place] == watched.versions()


def test_sets_that_are_swapped_all_the_time_never_mix(tmp_path: Path) -> None:
    names = "abcd"
    sets = [fill(tmp_path / str(version), dict.fromkeys(names, version)) for version in range(1, 6)]
    current = tmp_path / "current"
    current.symlink_to(sets[0])
    watched = Watched(current)
    done = threading.Event()

    def swap() -> None:
        chance = random.Random(5)  # noqa: S311 - a seeded test
        while not done.wait(chance.choice([0, 0, 0.002])):
            relinked(current, chance.choice(sets))

    writer = threading.Thread(target=swap)
    writer.start()
    try:
        for _ in range(1500):
            watched.look()
            assert 1 == len(set(watched.versions().values()))
            assert 4 == len(watched.versions())
    finally:
        done.set()
        writer.join()
    relinked(current, sets[4])
    watched.settle()
    assert dict.fromkeys(names, 5) == watched.versions()
