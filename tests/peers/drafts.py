"""A message in the making: its value, text and headers, and another message whose parts may be put into it."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tests.peers.messages import ALLOWED, LEGACY, MODERN, SECRET, Sent, headers_for, text_of, value_of


class Draft:
    """A message in the making, and another that may be put in its place: `other` is secret if this one is allowed, or allowed."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.version = rng.choice((LEGACY, LEGACY, MODERN))
        is_allowed = rng.random() < 0.7
        self.asked = rng.choice(ALLOWED if is_allowed else SECRET)
        self.other = rng.choice([one for one in (SECRET if is_allowed else ALLOWED) if one.method == self.asked.method])
        self.value = value_of(self.asked, self.version)
        self.headers = list(headers_for(self.asked, self.version))
        self.text = text_of(self.value)
        self.body: bytes | None = None

    def again(self) -> None:
        """The text of a value that was changed."""
        self.text = text_of(self.value)

    def sent(self) -> Sent:
        body = self.text.encode("utf-8", "surrogatepass") if self.body is None else self.body
        return Sent(body, tuple(self.headers))

    @property
    def params(self) -> dict[str, Any]:
        params: dict[str, Any] = self.value["params"]
        return params

    def objects(self) -> list[tuple[dict[str, Any], Mapping[str, Any]]]:
        """The objects of the message whose members matter, each with what the other message has there."""
        other = value_of(self.other, self.version)
        pairs: list[tuple[dict[str, Any], Mapping[str, Any]]] = [(self.value, other), (self.params, other["params"])]
        pairs += [
            (mine, other["params"].get(key, {}))
            for key in ("arguments", "ref", "argument", "_meta")
            if isinstance(mine := self.params.get(key), dict)
        ]
        return pairs

    def beside(self, spelled: Callable[[str], str]) -> None:
        """Add a member beside one that is there: its key as `spelled` writes it in JSON, its value the other message's."""
        mine, others = self.rng.choice(self.objects()[:4])
        key = self.rng.choice([*mine])
        added = f"{spelled(key)}:{text_of(others.get(key, mine[key]))}"
        old = f"{text_of(key)}:{text_of(mine[key])}"
        new = f"{old},{added}" if self.rng.random() < 0.6 else f"{added},{old}"
        self.text = self.text.replace(old, new, 1)

    def respelled(self, spelled: Callable[[str], str]) -> None:
        """Write the key of a member in another way, often with the other message's value."""
        mine, others = self.rng.choice(self.objects()[:4])
        key = self.rng.choice([*mine])
        value = others.get(key, mine[key]) if self.rng.random() < 0.5 else mine[key]
        old = f"{text_of(key)}:{text_of(mine[key])}"
        self.text = self.text.replace(old, f"{spelled(key)}:{text_of(value)}", 1)

    def set_header(self, name: str, *values: bytes) -> None:
        self.headers = [one for one in self.headers if one[0] != name] + [(name, value) for value in values]

    def strings(self) -> list[tuple[dict[str, Any], str]]:
        """The members that hold a string."""
        return [(one, key) for one, _ in self.objects() for key, value in one.items() if isinstance(value, str)]
