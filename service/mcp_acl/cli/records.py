"""Answers as JSON records: the keys that `--json` prints."""

from collections.abc import Iterable

from mcp_acl.cli.printing import Record
from mcp_acl.domain import Decision, Denial, RuleError, RuleRef
from mcp_acl.engine.explanation import Trial
from mcp_acl.expr.account import Seen
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.gate import Answer


def decision_record(answer: Answer) -> Record:
    """A decision with all that belongs to it."""
    decision = answer.decision
    return {
        "decision": decision.effect,
        "reason": decision.reason,
        "rules": [rule_record(rule) for rule in decision.rules],
        "errors": error_records(decision.errors),
        "message": decision.message,
        "revision": decision.revision,
        "decision_id": answer.decision_id,
        "response_needs": decision.response_needs,
        "denial": None if answer.denial is None else denial_record(answer.denial),
        "shadow": None if answer.shadow is None else shadow_record(answer.shadow),
    }


def shadow_record(decision: Decision) -> Record:
    """A decision that was not made."""
    rules = [rule_record(rule) for rule in decision.rules]
    return {"decision": decision.effect, "reason": decision.reason, "rules": rules}


def denial_record(denial: Denial) -> Record:
    """The answer to the client; its body as text."""
    return {"status": denial.status, "headers": dict(denial.headers), "body": denial.body.decode()}


def rule_record(rule: RuleRef) -> Record:
    """A rule by name and place."""
    return {"policy": rule.policy, "rule": rule.rule, "file": rule.file, "line": rule.line}


def error_records(errors: Iterable[RuleError]) -> list[Record]:
    """Conditions that broke, each with its rule."""
    return [{**rule_record(error.rule), "message": error.message} for error in errors]


def trial_record(trial: Trial) -> Record:
    """A rule that was tried."""
    return {
        **rule_record(trial.rule),
        "effect": trial.effect,
        "applies": trial.applies,
        "why": trial.why,
        "saw": seen_records(trial.saw),
        "missing": trial.missing,
        "remains": trial.remains,
        "in_shadow": trial.in_shadow,
    }


def seen_records(saw: Iterable[Seen]) -> list[Record]:
    """The parts of a condition, each with its value."""
    return [{"text": seen.text, "value": seen.value} for seen in saw]


def policy_records(policies: PolicySet) -> list[Record]:
    """The policies of a set."""
    return [
        {"id": policy.id, "file": policy.file, "servers": policy.servers, "rules": policy.rules, "mode": policy.mode}
        for policy in policies.policies
    ]


def shadow_rule_records(policies: PolicySet) -> list[Record]:
    """The rules of a set that are in shadow, those of policies in shadow among them."""
    return [{**rule_record(one.ref), "effect": one.effect} for policy in policies.policies for one in policy.shadow]
