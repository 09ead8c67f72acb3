"""`Explain`: a question of any interface, what was believed around it and where that is from, and what became of each rule.

The question is read by the adapter of its interface, as that reads it when a gateway asks. Knows none of their messages.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mcp_acl.adapters import ext_authz, ext_mcp, ext_proc_session
from mcp_acl.adapters.facts import Facts, Sources
from mcp_acl.adapters.grpc_api import parsed, reply_for, rule_for
from mcp_acl.adapters.handlers import Metadata
from mcp_acl.adapters.questions import MAX_HEADERS, question_from
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.wire import encode_json
from mcp_acl.domain import Effect
from mcp_acl.engine.explanation import Trial
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.runtime.gate import Gate, Question

Asked = tuple[Question, Facts]

_EFFECTS: Final[Mapping[Effect, pb.Effect]] = {Effect.ALLOW: pb.EFFECT_ALLOW, Effect.DENY: pb.EFFECT_DENY}


def explain(gate: Gate, sources: Sources, filtered_behind: bool, body: bytes) -> bytes:
    """`Explain`. Of several questions the first that is denied, else the first."""
    request = parsed(pb.ExplainRequest, body)
    questions = _questions(gate, sources, filtered_behind, request)
    explained = [(gate.explain(question), facts) for question, facts in questions]
    denied = (one for one in explained if not one[0][0].decision.allowed)
    (answer, trials), facts = next(denied, explained[0])
    decision = reply_for(answer)
    return pb.ExplainResponse(decision=decision, trials=map(_trial, trials), facts=_facts(facts)).SerializeToString()


def _questions(gate: Gate, sources: Sources, filtered_behind: bool, request: pb.ExplainRequest) -> Sequence[Asked]:
    match request.WhichOneof("question"):
        case "check":
            return [_native(question_from(request.check.SerializeToString())[0])]
        case "foreign":
            return _foreign(gate, sources, filtered_behind, request.foreign)
    raise ApiError("`question` is missing; send `check`, or `foreign` with what a gateway asks")


def _foreign(gate: Gate, sources: Sources, filtered_behind: bool, asked: pb.ForeignQuestion) -> Sequence[Asked]:
    metadata = _metadata(asked)
    match asked.WhichOneof("interface"):
        case "ext_authz":
            return [ext_authz.question_from(sources, filtered_behind, metadata, asked.ext_authz)]
        case "ext_proc":
            return [ext_proc_session.question_from(gate, sources, metadata, asked.ext_proc.messages)]
        case "ext_mcp":
            return ext_mcp.questions_from(sources, metadata, asked.ext_mcp)
    raise ApiError("`foreign.interface` is missing; send the bytes that the gateway sends")


def _metadata(asked: pb.ForeignQuestion) -> Metadata:
    """As hosts give it: names in lower case."""
    if len(asked.metadata) > MAX_HEADERS:
        raise ApiError(f"`foreign.metadata` has more than {MAX_HEADERS} entries")
    return [(header.name.lower(), value) for header in asked.metadata for value in header.values]


def _native(question: Question) -> Asked:
    """A caller of ours says by itself what is to be believed."""
    origins = {"server": "`server`", "token": "`principal`"}
    origins |= {f"attributes.{name}": "`attributes`" for name in question.attributes}
    return question, Facts(question.server, question.claims, question.token, question.attributes, origins)


def _facts(facts: Facts) -> Iterator[pb.Fact]:
    """Claims are where the token is from."""
    values: Mapping[str, object] = {
        "server": facts.server,
        "token": facts.token,
        "claims": facts.claims,
        **{f"attributes.{name}": value for name, value in facts.attributes.items()},
    }
    for name, value in values.items():
        origin = facts.origins["token" if name == "claims" else name]
        yield pb.Fact(name=name, value=encode_json(value).decode(), origin=origin)


def _trial(trial: Trial) -> pb.Trial:
    return pb.Trial(
        rule=rule_for(trial.rule),
        effect=_EFFECTS[trial.effect],
        applies=trial.applies,
        why=trial.why,
        saw=[pb.Seen(text=seen.text, value=seen.value) for seen in trial.saw],
        missing=trial.missing,
        remains=trial.remains,
        in_shadow=trial.in_shadow,
    )
