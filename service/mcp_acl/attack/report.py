"""What came of an attack, class by class: for people and for programs. Knows nothing of how it was found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mcp_acl.attack.cases import Corpus
from mcp_acl.attack.running import Outcome, Result

WORDS = """\
The gateway must stand before one MCP server, the canary, and enforce:

* a member may call the tools `echo`, `add` (if its argument `a` is at most 1000) and `call_tool` (if its argument `name` is `echo` or `add`),
  get the prompt `greet`, read and complete `demo://public/{name}` and `demo://docs/{name}`, one segment each, and subscribe to the former;
* tasks belong to who made them;
* nobody may use anything else: `secret_delete`, `secret_transfer`, `secret_prompt`, `demo://secret/...`, methods that are not named here, requests
  of the server for sampling, elicitation or roots;
* lists and other responses show nothing that may not be used.

--token is of a member, --other-token of somebody who is none. Without --token nothing is sent, and who sends nothing is a member.
"""
"""The policy of the corpus, for those who have to write it for another gateway."""


@dataclass(frozen=True, slots=True)
class Report:
    """All results."""

    results: Sequence[Result]

    def of(self, outcome: Outcome) -> Sequence[Result]:
        """The results of one outcome."""
        return [one for one in self.results if one.outcome is outcome]

    def broken(self) -> Sequence[Result]:
        """Those whose twin did not pass."""
        return [one for one in self.results if one.twin_passed is False]

    def is_clean(self, *, strict: bool) -> bool:
        """Whether nothing got through; `strict`: and no twin is broken, and nothing ambiguous was let by."""
        if self.of(Outcome.THROUGH):
            return False
        return not (strict and (self.broken() or self.of(Outcome.AMBIGUOUS)))

    def lines(self) -> Iterator[str]:
        """For people."""
        by_class: dict[str, list[Result]] = {}
        for one in self.results:
            by_class.setdefault(one.case.group, []).append(one)
        width = max(map(len, by_class), default=0)
        for name, results in by_class.items():
            part = Report(results)
            yield f"{name:{width}}  {part.counted()}"
            for one in part.of(Outcome.THROUGH):
                yield f"{'':{width}}    GOT THROUGH  {one.case.name}: {one.what}. {one.case.why}"
            for one in part.of(Outcome.AMBIGUOUS):
                yield f"{'':{width}}    let by       {one.case.name}: {one.case.why}"
            for one in part.of(Outcome.UNTRIED):
                if one.what:
                    yield f"{'':{width}}    not tried    {one.case.name}: {one.what}"
            for one in part.broken():
                yield f"{'':{width}}    twin broken  {one.case.name}: the honest message, or its response, did not come through"
        yield ""
        yield f"all: {self.counted()}"

    def counted(self) -> str:
        """How many of each outcome there are."""
        counts = {
            "blocked": len(self.of(Outcome.BLOCKED)),
            "got through": len(self.of(Outcome.THROUGH)),
            "ambiguous and let by": len(self.of(Outcome.AMBIGUOUS)),
            "twins broken": len(self.broken()),
            "not tried": len(self.of(Outcome.UNTRIED)),
        }
        return ", ".join(
            f"{count} {what}" for what, count in counts.items() if count or what in ("blocked", "got through")
        )

    def record(self) -> Mapping[str, object]:
        """For programs."""
        return {
            **{outcome.value: len(self.of(outcome)) for outcome in Outcome},
            "twins_broken": len(self.broken()),
            "cases": [
                {
                    "class": one.case.group,
                    "case": one.case.name,
                    "why": one.case.why,
                    "outcome": one.outcome,
                    "what": one.what,
                    "twin_passed": one.twin_passed,
                }
                for one in self.results
            ],
        }


def policy_text(corpus: Corpus) -> str:
    """The policy in words, and as files of this program."""
    files = "\n".join(file.content.decode() for file in corpus.policies)
    return f"{WORDS}\nAs a policy of mcp-acl, with the server's id `demo` and a claim `role: member`:\n\n{files}"
