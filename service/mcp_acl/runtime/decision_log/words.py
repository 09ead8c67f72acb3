"""What is said in words of a decision, without what it quotes of that which is not recorded. Knows no record.

Conditions and refusals quote, in backticks, what they could not use: a claim, an argument, a name. Where a record leaves that out, its
words do, too. What a condition has made of it (its upper case, its hash) is not known again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from mcp_acl.domain import InexactNumber, Json

LEFT_OUT: Final = "`***`"
_QUOTE: Final = "`"
_QUOTED: Final = re.compile("`([^`]*)`")
_ALL_QUOTED: Final = re.compile("`.*`", re.DOTALL)
_NUMBER: Final = re.compile(r"[-+.:0-9eETZ]+")
"""And dates and times: conditions write them in ways of their own."""
_SHORTEST: Final = 3
"""Characters of what is looked for within a quote."""
_ODD: Final = re.compile(r"[^!-_a-~]")
"""What quotes may show as something else."""
_CUT: Final = "…"
_MOST: Final = 64 * 1024
"""Characters that are looked through for a quote, each text counted for some more. Where there are more, nothing is quoted."""
_EACH: Final = 16


class Words:
    """Words about one message. `unsaid` gives the texts that are not to be quoted; unless it `may_quote` nothing is."""

    def __init__(self, unsaid: Callable[[], Iterable[str]], *, may_quote: bool) -> None:
        self._unsaid = unsaid
        self._may_quote = may_quote
        self._known: dict[str, bool] = {}

    def told(self, text: str) -> str:
        """The text, without all that it quotes if one quote is not for the record: that one may hold backticks itself."""
        if _QUOTE not in text or (self._may_quote and not any(map(self._is_unsaid, _QUOTED.findall(text)))):
            return text
        return _ALL_QUOTED.sub(LEFT_OUT, text)

    def _is_unsaid(self, quoted: str) -> bool:
        if quoted not in self._known:
            self._known[quoted] = self._found(_alike(quoted.removesuffix(_CUT)))
        return self._known[quoted]

    def _found(self, quoted: str) -> bool:
        """Whether it is a part of what is not to be quoted, has some in it, or is a number."""
        if self._texts is None or _NUMBER.fullmatch(quoted):
            return True
        return any(quoted in text or (len(text) >= _SHORTEST and text in quoted) for text in self._texts)

    @cached_property
    def _texts(self) -> Sequence[str] | None:
        found: list[str] = []
        size = 0
        for one in self._unsaid():
            size += len(one) + _EACH
            if size > _MOST:
                return None
            found.append(_alike(one))
        return found


def texts_in(value: Json, masked: frozenset[str], *, is_said: bool) -> Iterator[str]:
    """Every text, number and name at any depth that is not recorded: all of them, or what is masked by its name."""
    if isinstance(value, str):
        if not is_said:
            yield value
    elif isinstance(value, Mapping):
        yield from () if is_said else value
        for name, one in value.items():
            yield from texts_in(one, masked, is_said=is_said and name not in masked)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_in(one, masked, is_said=is_said)
    elif not is_said and value is not None and not isinstance(value, bool):
        yield value.text if isinstance(value, InexactNumber) else str(value)


def _alike(text: str) -> str:
    """The text, the same however it is shown."""
    return _ODD.sub("?", text)
