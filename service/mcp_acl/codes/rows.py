"""What a row of the table of codes is: a code, how grave it is, what it means, what to do, and an example that has it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from mcp_acl.problems import Severity

PROBLEM: Final = Severity.PROBLEM
FINDING: Final = Severity.FINDING


class Form(StrEnum):
    """What the text of an example is."""

    CEL = "cel"
    EL = "el"
    RULES = "rules"
    """What stands under `rules:` of a policy."""

    POLICY = "policy"
    """A whole policy file."""

    SCENARIOS = "scenarios"
    """A whole file of scenarios."""

    SETTINGS = "settings"
    """A whole file of settings."""

    WORDS = "words"
    """No text has it; this says when it comes."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code. `shown` stands for an example that is too long to be shown."""

    code: str
    severity: Severity
    means: str
    hint: str
    form: Form
    example: str
    shown: str = ""

    def render(self) -> str:
        """The row for a person at a terminal."""
        example = "\n".join(f"    {line}" for line in (self.shown or self.example).splitlines())
        lines = [f"{self.severity} [{self.code}]", f"  {self.means}", f"  = {self.hint}"]
        return "\n".join([*lines, "", f"  for example ({self.form}):", example])


class _Row(Protocol):
    def __call__(self, code: str, means: str, hint: str, example: str, shown: str = "") -> Code: ...


def _of(form: Form, severity: Severity) -> _Row:
    def row(code: str, means: str, hint: str, example: str, shown: str = "") -> Code:
        return Code(code, severity, means, hint, form, example, shown)

    return row


in_cel: Final = _of(Form.CEL, PROBLEM)
in_el: Final = _of(Form.EL, PROBLEM)
in_rules: Final = _of(Form.RULES, PROBLEM)
in_policy: Final = _of(Form.POLICY, PROBLEM)
odd_cel: Final = _of(Form.CEL, FINDING)
odd_el: Final = _of(Form.EL, FINDING)
odd_rules: Final = _of(Form.RULES, FINDING)
odd_policy: Final = _of(Form.POLICY, FINDING)
