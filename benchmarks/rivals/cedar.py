"""Cedar, the Rust engine, from Python (cedarpy): `permit` and `forbid`, principals and tools as entities.

* Roles and groups are parents of the principal (`principal in Role::"admin"`), as Cedar advises; who has no token is of another type than `User`, and
  `principal is User` asks for it. A prefix is asked of an attribute, as `like` does not read an entity's id.
* Policies are parsed once to a `PolicySet`; a question brings its two entities and its arguments as JSON, which cedarpy parses each time.
  An error in a policy skips it: so `forbid` asks `has` first.
* More than ours: a schema can prove policies sound, and other tools can analyse them. Less: no fractions and no null in arguments (a request with one
  is an error, and denied), no regexes, no rule that reads a list's entries.
* `stable` has the server's tools parsed beforehand and adds the principal to them, as its documentation advises for what is stable; a tool that
  is not among them then has no name. `ready` has all entities parsed beforehand, which a service cannot do; `batch` asks all questions in one
  call.
* Tried: the tool's name in the context instead of in an entity makes no difference.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cedarpy import Entities, PolicySet, is_authorized, is_authorized_batch

from rivals.scenario import QUESTIONS, TOOLS, Question

PACKAGE: Final = "cedarpy"

POLICY: Final = """
    permit (principal is User, action == Action::"call", resource)
        when { [Tool::"echo", Tool::"clock", Tool::"search"].contains(resource) };
    permit (principal in Group::"reporting", action == Action::"call", resource)
        when { resource.name like "report_*" };
    permit (principal in Role::"analyst", action == Action::"call", resource == Tool::"publish")
        when { context.amount <= 1000 && context.path like "/public/*" };
    permit (principal in Role::"admin", action == Action::"call", resource)
        when { resource.name like "delete_*" };
    forbid (principal, action == Action::"call", resource)
        when { principal has contractor && principal.contractor && resource.name like "delete_*" };
"""

_Uid = Mapping[str, str]


def make() -> Callable[[Question], bool]:
    """Ask with a question's entities."""
    policies = PolicySet.from_str(POLICY)

    def ask(question: Question) -> bool:
        return is_authorized(_request(question), policies, _entities(question)).allowed

    return ask


def stable() -> Callable[[Question], bool]:
    """Ask with the server's tools parsed before, and a question's principal."""
    policies = PolicySet.from_str(POLICY)
    tools = Entities.from_json_str(json.dumps([_tool(name) for name in TOOLS]))

    def ask(question: Question) -> bool:
        entities = tools.with_added_json_str(json.dumps(_principals(question)))
        return is_authorized(_request(question), policies, entities).allowed

    return ask


def ready() -> Callable[[Question], bool]:
    """Ask with entities that were parsed before."""
    policies = PolicySet.from_str(POLICY)
    parsed = {question.name: Entities.from_json_str(json.dumps(_entities(question))) for question in QUESTIONS}
    return lambda question: is_authorized(_request(question), policies, parsed[question.name]).allowed


def batch() -> Callable[[], Sequence[bool]]:
    """Ask all questions in one call, with the entities of all."""
    policies = PolicySet.from_str(POLICY)

    def ask() -> Sequence[bool]:
        entities = {
            tuple(entity["uid"].items()): entity for question in QUESTIONS for entity in _entities(question)
        }.values()
        answers = is_authorized_batch([_request(question) for question in QUESTIONS], policies, list(entities))
        return [answer.allowed for answer in answers]

    return ask


def _request(question: Question) -> dict[str, Any]:
    return {
        "principal": _principal(question),
        "action": 'Action::"call"',
        "resource": _uid("Tool", question.tool),
        "context": question.arguments,
    }


def _entities(question: Question) -> list[dict[str, Any]]:
    return [*_principals(question), _tool(question.tool)]


def _principals(question: Question) -> list[dict[str, Any]]:
    """Who asks; none without a token."""
    claims = question.claims
    if not claims:
        return []
    parents = [_uid("Role", claims["role"]), *(_uid("Group", group) for group in claims["groups"])]
    attributes = {"tenant": claims["tenant"], "contractor": claims["contractor"]}
    return [{"uid": _principal(question), "attrs": attributes, "parents": parents}]


def _tool(name: str) -> dict[str, Any]:
    return {"uid": _uid("Tool", name), "attrs": {"name": name}, "parents": []}


def _principal(question: Question) -> _Uid:
    return _uid("User", question.claims["sub"]) if question.claims else _uid("Nobody", "")


def _uid(kind: str, name: str) -> _Uid:
    return {"type": kind, "id": name}


FORMS: Final = {"": make, "tools parsed before": stable, "entities parsed before": ready}
BATCHES: Final = {"all in one call": batch}
