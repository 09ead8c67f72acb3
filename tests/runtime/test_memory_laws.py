"""Two processes' memories on one file, an operator beside them, and a dict that says what they must know."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcp_acl.domain import TaskFact, ToolDefinition, ToolFact
from mcp_acl.runtime.memory import Bounds, Memory
from mcp_acl.runtime.memory.lookup import Recent
from mcp_acl.runtime.memory.review import reviewing

LIFE = 1000.0
SERVERS = st.sampled_from(["weather", "bank", "s3", "s4", "s5"])
IDS = st.sampled_from(["a", "b", "c", "d"])
FACTS = st.builds(TaskFact, st.just("i"), st.sampled_from(["ann", "bob"]), st.sampled_from(["x", "y"]))
WHICH = st.integers(0, 1)
LIVES = st.sampled_from([None, None, 0.0, 40.0, 100.0, 5000.0])
STEPS = st.sampled_from([1.0, 30.0, 61.0, 120.0, 500.0, 1000.0])
DIGESTS = st.sampled_from([b"1", b"1", b"1", b"2", b"3"])


class Task(NamedTuple):
    fact: TaskFact
    expires: float


class Tool(NamedTuple):
    digest: bytes
    expires: float
    changed: bool = False


def definition(digest: bytes) -> ToolDefinition:
    return ToolDefinition(digest, {"title": digest.decode()})


class Remembering(RuleBasedStateMachine):
    """`most` tasks and eight tools are remembered."""

    most = 1000

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.now = 1_000_000.0
        self.file = Path(self.directory.name) / "memory.db"
        bounds = Bounds(LIFE, LIFE, self.most, 8)
        self.workers = [Memory(self.file, bounds, clock=lambda: self.now) for _ in range(2)]
        self.tasks: dict[tuple[str, str], Task] = {}
        self.tools: dict[tuple[str, str], Tool] = {}

    def teardown(self) -> None:
        for worker in self.workers:
            worker.close()
        self.directory.cleanup()

    def _expire(self) -> None:
        self.tasks = {key: one for key, one in self.tasks.items() if one.expires > self.now}
        self.tools = {key: one for key, one in self.tools.items() if one.expires > self.now}

    @rule(which=WHICH, server=SERVERS, task_id=IDS, fact=FACTS, seconds=LIVES)
    def learn_task(self, which: int, server: str, task_id: str, fact: TaskFact, seconds: float | None) -> None:
        key, life = (server, task_id), LIFE if seconds is None else seconds
        known = self.tasks.get(key)
        assert (known is None or known.fact == fact) is self.workers[which].learn_task(server, task_id, fact, seconds)
        if known is None:
            self.tasks[key] = Task(fact, self.now + life)
            self._expire()
            self._evict()
        elif known.fact == fact and self.now + life - known.expires > 0.1 * life:
            self.tasks[key] = Task(fact, max(known.expires, self.now + life))

    def _evict(self) -> None:
        while len(self.tasks) > self.most:
            servers = [server for server, _ in self.tasks]
            greedy = min(servers, key=lambda server: (-servers.count(server), server))
            del self.tasks[next(key for key in self.tasks if key[0] == greedy)]

    @rule(which=WHICH, server=SERVERS, seen=st.dictionaries(IDS, DIGESTS, max_size=4))
    def learn_tools(self, which: int, server: str, seen: dict[str, bytes]) -> None:
        known = {name: self.tools[server, name] for name in seen if (server, name) in self.tools}
        changed = [name for name, one in known.items() if one.digest != seen[name]]
        told = self.workers[which].learn_tools(server, {name: definition(one) for name, one in seen.items()})
        assert sorted(told) == sorted(name for name in changed if not known[name].changed)
        for name, old in known.items():
            if name in changed:
                self.tools[server, name] = Tool(seen[name], self.now + LIFE, changed=True)
            elif old.expires < self.now + LIFE - 0.1 * LIFE:
                self.tools[server, name] = old._replace(expires=self.now + LIFE)
        room = min(8 - len(self.tools), 2 - sum(one == server for one, _ in self.tools))
        for name in [name for name in seen if name not in known][: max(0, room)]:
            self.tools[server, name] = Tool(seen[name], self.now + LIFE)

    @rule(server=SERVERS, name=IDS)
    def accept(self, server: str, name: str) -> None:
        known = self.tools.get((server, name))
        with reviewing(self.file) as review:
            assert review.accept(server, name, self.now) is (known is not None and known.changed)
        if known is not None:
            self.tools[server, name] = known._replace(changed=False)

    @rule(server=SERVERS, name=st.none() | IDS)
    def forget(self, server: str, name: str | None) -> None:
        with reviewing(self.file) as review:
            review.forget(server, name)
        self.tools = {key: one for key, one in self.tools.items() if key != (server, name or key[1])}

    @rule(seconds=STEPS)
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._expire()

    @rule(which=WHICH)
    def start_anew(self, which: int) -> None:
        self.workers[which].close()
        bounds = Bounds(LIFE, LIFE, self.most, 8)
        self.workers[which] = Memory(self.file, bounds, clock=lambda: self.now)

    @invariant()
    def both_know_what_the_dict_says(self) -> None:
        for worker in self.workers:
            for server in ("weather", "bank", "s3", "s4", "s5"):
                tasks, tools = worker.tasks(server), worker.tools(server)
                assert tasks.keys() == {name for one, name in self.tasks if one == server}
                for name in ("a", "b", "c", "d"):
                    task, tool = self.tasks.get((server, name)), self.tools.get((server, name))
                    assert tasks.get(name) == (task.fact if task else None)
                    fact = ToolFact({"title": tool.digest.decode()}) if tool and not tool.changed else None
                    assert tools.get(name) == fact


class Evicting(Remembering):
    """So few tasks that old ones make way; what is at hand of those is let go at once."""

    most = 4

    @invariant()
    def both_know_what_the_dict_says(self) -> None:
        for worker in self.workers:
            worker._tasks._recent = Recent()
        super().both_know_what_the_dict_says()


TestRemembering = Remembering.TestCase
TestRemembering.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestEvicting = Evicting.TestCase
TestEvicting.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
