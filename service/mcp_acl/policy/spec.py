"""A policy file as it is written: the models of its keys, and a file read into them.

With `settings_spec` the only place in the core that knows pydantic. What a value means beyond its shape is for `checks`; how a fault is said to a
person is for `wording`. Every model is frozen and refuses keys it does not know.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Strict,
    StringConstraints,
    Tag,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from mcp_acl.domain import Effect, Feature, Mode
from mcp_acl.mcp.methods import METHODS
from mcp_acl.policy.patterns import NamePattern
from mcp_acl.policy.settings_spec import STRICT, ServerInfoSpec, SettingsSpec, WrapperSpec
from mcp_acl.policy.source import Document, SourceFile, read_document
from mcp_acl.policy.tree import Path, Plain
from mcp_acl.policy.wording import NAME_KINDS, Fault, Keys, empty_paths, problems_of
from mcp_acl.problems import Problem

MAX_RULES: Final = 20_000
MAX_ITEMS: Final = 1_000
"""Servers of a policy, targets of a rule, name patterns of a target."""

MAX_METHODS: Final = 200
MAX_NAME: Final = 4_096
MAX_EXPRESSION: Final = 10_000
MAX_MESSAGE: Final = 1_000

FEATURES: Final = ("*", *(feature.value for feature in Feature))


class _Spec(BaseModel):
    model_config = STRICT


def _exactly(kind: type) -> BeforeValidator:
    """Python takes 1, 1.0 and True for the same; a policy file does not."""

    def check(value: object) -> object:
        if type(value) is not kind:
            raise PydanticCustomError("literal_error", "wrong type")
        return value

    return BeforeValidator(check)


def _known_feature(value: str) -> str:
    if value not in FEATURES:
        raise PydanticCustomError("feature", "unknown feature")
    return value


Id: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
NameText: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
Expression: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=MAX_EXPRESSION)]
FeatureName: TypeAlias = Annotated[str, AfterValidator(_known_feature), WithJsonSchema({"enum": list(FEATURES)})]
Method: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1),
    WithJsonSchema(
        {
            "description": 'a method of the table, `*` for every one of the feature, or any other under `feature: "*"`',
            "anyOf": [{"enum": ["*", *METHODS]}, {"type": "string", "minLength": 1}],
        }
    ),
]
Methods: TypeAlias = Annotated[tuple[Method, ...], Strict(strict=False), Field(min_length=1, max_length=MAX_METHODS)]

# ---- name patterns ------------------------------------------------------------------------------------------------


class AnyName(_Spec):
    """`{any: true}`: every name, as if no name were given."""

    any: Annotated[Literal[True], _exactly(bool)]


class LiteralName(_Spec):
    """`{literal: …}`: that name, byte for byte; the same as a plain string."""

    literal: NameText


class RegexName(_Spec):
    """`{regex: …}`: RE2, the whole name."""

    regex: NameText


class GlobName(_Spec):
    """`{glob: …}`: `*` is any run of characters, `?` exactly one."""

    glob: NameText


class TemplateName(_Spec):
    """`{template: …}`: RFC 6570 level 1, as in `report://{year}/{name}`."""

    template: NameText


def _kind(value: object) -> str | None:
    """Which of the forms a name pattern has, in angle brackets; None if it is in none of them, or in two."""
    if isinstance(value, str):
        return "<text>"
    keys = value if isinstance(value, Mapping) else getattr(type(value), "model_fields", ())
    kinds = [kind for kind in NAME_KINDS if kind in keys]
    return f"<{kinds[0]}>" if len(kinds) == 1 else None


def _kind_or_list(value: object) -> str | None:
    return "<list>" if isinstance(value, list | tuple) else _kind(value)


OneName: TypeAlias = (
    Annotated[NameText, Tag("<text>")]
    | Annotated[AnyName, Tag("<any>")]
    | Annotated[LiteralName, Tag("<literal>")]
    | Annotated[RegexName, Tag("<regex>")]
    | Annotated[GlobName, Tag("<glob>")]
    | Annotated[TemplateName, Tag("<template>")]
)
_Names: TypeAlias = Annotated[
    tuple[Annotated[OneName, Discriminator(_kind)], ...],
    Strict(strict=False),
    Field(min_length=1, max_length=MAX_ITEMS),
    Tag("<list>"),
]
Name: TypeAlias = Annotated[OneName | _Names, Discriminator(_kind_or_list)]


def _pattern(name: OneName) -> NamePattern:
    match name:
        case str():
            return NamePattern("literal", name)
        case LiteralName(literal=text):
            return NamePattern("literal", text)
        case RegexName(regex=text):
            return NamePattern("regex", text)
        case GlobName(glob=text):
            return NamePattern("glob", text)
        case TemplateName(template=text):
            return NamePattern("template", text)
    return NamePattern("any")


# ---- policies and rules -------------------------------------------------------------------------------------------


class TargetSpec(_Spec):
    """Methods and the names they may have: one of several pairs under one condition."""

    methods: Methods = Field(description="MCP methods, or `*` alone for every method of the feature")
    name: Name | None = Field(None, description="one name pattern or a list of them; omitted: any name")


class NameAt(NamedTuple):
    """A name pattern, and where in its rule its text stands."""

    pattern: NamePattern
    path: Path


class Naming(NamedTuple):
    """Methods and names of a rule, and where in it: `()` or `("targets", index)`."""

    methods: tuple[str, ...]
    names: tuple[NameAt, ...]
    path: Path


_BY_METHODS: Final[dict[str, JsonValue]] = {"required": ["methods"], "not": {"required": ["targets"]}}
_BY_TARGETS: Final[dict[str, JsonValue]] = {
    "required": ["targets"],
    "not": {"anyOf": [{"required": ["methods"]}, {"required": ["name"]}]},
}


class RuleSpec(_Spec):
    """One rule: effect, methods, names and condition."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_BY_METHODS, _BY_TARGETS]})

    id: Id = Field(description="unique in the policy; appears in every decision it makes")
    description: Text | None = Field(None, description="for people")
    effect: Annotated[Effect, Strict(strict=False)] = Field(Effect.ALLOW, description="what the rule says")
    mode: Annotated[Mode, Strict(strict=False)] = Field(
        Mode.ENFORCE, description="`shadow`: told what it would change, and changes nothing"
    )
    feature: FeatureName | None = Field(None, description="follows from the methods; `*` lets a rule name any method")
    methods: Methods | None = Field(None, description="MCP methods, or `*` alone for every method of the feature")
    name: Name | None = Field(None, description="one name pattern or a list of them; omitted: any name")
    targets: (
        Annotated[tuple[TargetSpec, ...], Strict(strict=False), Field(min_length=1, max_length=MAX_ITEMS)] | None
    ) = Field(None, description="instead of `methods` and `name`: several pairs of them under one condition")
    condition: Expression | None = Field(None, description="EL, as in Gravitee's Trigger Condition: `{#…}`")
    cel: Expression | None = Field(None, description="CEL; with `condition` as well, both must hold")
    message: Annotated[str, StringConstraints(min_length=1, max_length=MAX_MESSAGE)] | None = Field(
        None, description="told to the client when this rule denies"
    )

    @property
    def is_conditional(self) -> bool:
        """Whether it has a condition in either language."""
        return self.condition is not None or self.cel is not None

    @cached_property
    def namings(self) -> tuple[Naming, ...]:
        """What the rule names, each pair of methods and names with its path in the rule."""
        pairs: list[tuple[Sequence[str], Name | None, Path]] = []
        if self.methods is not None:
            pairs.append((self.methods, self.name, ()))
        pairs += [(one.methods, one.name, ("targets", index)) for index, one in enumerate(self.targets or ())]
        return tuple(Naming(tuple(methods), _names(name, (*path, "name")), path) for methods, name, path in pairs)


def _names(name: Name | None, path: Path) -> tuple[NameAt, ...]:
    """The patterns of a `name`; none written is `any`, which stands nowhere."""
    if name is None:
        return (NameAt(NamePattern("any"), path[:-1]),)
    if isinstance(name, tuple):
        return tuple(_named(one, (*path, index)) for index, one in enumerate(name))
    return (_named(name, path),)


def _named(name: OneName, path: Path) -> NameAt:
    return NameAt(_pattern(name), path if isinstance(name, str) else (*path, *type(name).model_fields))


class PolicySpec(_Spec):
    """One policy file."""

    version: Annotated[Literal[1], _exactly(int)] = Field(description="the version of this format")
    policy: Id = Field(description="unique in the set; appears in every decision")
    description: Text | None = Field(None, description="for people")
    mode: Annotated[Mode, Strict(strict=False)] = Field(
        Mode.ENFORCE, description="`shadow`: all of it is told what it would change, and changes nothing"
    )
    servers: Annotated[tuple[Text, ...], Strict(strict=False), Field(min_length=1, max_length=MAX_ITEMS)] | None = (
        Field(None, description="server ids, or globs of `*` and `?`, that the policy governs; omitted: every server")
    )
    variables: Annotated[dict[str, Expression], Field(min_length=1)] | None = Field(
        None, description="CEL texts by name, used as `variables.NAME`; a variable may use those above it"
    )
    settings: SettingsSpec | None = Field(None, description="how messages of these servers are treated")
    rules: Annotated[tuple[RuleSpec, ...], Strict(strict=False), Field(max_length=MAX_RULES)] = Field(
        description="the rules; `[]` denies all but what is always permitted"
    )


_KEYS: Final = Keys(
    policy=tuple(PolicySpec.model_fields),
    rule=tuple(RuleSpec.model_fields),
    target=tuple(TargetSpec.model_fields),
    settings=tuple(SettingsSpec.model_fields),
    wrapper=tuple(WrapperSpec.model_fields),
    server_info=tuple(ServerInfoSpec.model_fields),
    features=FEATURES,
)


# ---- reading ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy and the document it was read from, whose paths are those of the policy's values.

    `whole` is false if parts of the file had problems and were left out, of the document too: such a policy is good for
    finding more problems and for nothing else.
    """

    spec: PolicySpec
    document: Document
    whole: bool = True

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.document.file

    def targets_of(self, rule: RuleSpec) -> Iterator[tuple[tuple[str, ...], tuple[NamePattern, ...]]]:
        """The pairs of methods and name patterns of a rule."""
        for naming in rule.namings:
            yield naming.methods, tuple(name.pattern for name in naming.names)


def load_policies(files: Sequence[SourceFile]) -> tuple[tuple[LoadedPolicy, ...], tuple[Problem, ...]]:
    """The policies of some files, and every problem of their text and shape. Raises nothing, whatever the bytes are.

    If one problem is not a finding the set must be refused: policies are then returned so that more can be said of them.
    """
    policies: list[LoadedPolicy] = []
    problems: list[Problem] = []
    for file in files:
        policy, found = _read_policy(file)
        problems += found
        if policy is not None:
            policies.append(policy)
    return tuple(policies), tuple(problems)


def _read_policy(file: SourceFile) -> tuple[LoadedPolicy | None, tuple[Problem, ...]]:
    document, problems = read_document(file, "begin with `version: 1` and `policy: <id>`")
    if document is None:
        return None, problems
    data = document.plain()
    spec, faults = _validate(data)
    if not faults and spec is not None:
        return LoadedPolicy(spec, document, whole=not problems), problems
    problems = (*problems, *problems_of(faults, document, _KEYS))
    rest = document.without({_part(fault.path) for fault in faults})
    spec, _ = _validate(rest.plain())
    return (None if spec is None else LoadedPolicy(spec, rest, whole=False)), problems


def _part(path: Path) -> Path:
    """What is left out for a fault: a rule, or a key of the policy."""
    return path[:2] if path[:1] == ("rules",) else path[:1]


def _validate(data: Plain) -> tuple[PolicySpec | None, tuple[Fault, ...]]:
    """The policy, or all that keeps the data from being one.

    Empty values are found apart, because pydantic takes null for a value that is not there.
    """
    spec: PolicySpec | None = None
    faults: list[Fault] = []
    try:
        spec = PolicySpec.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        faults = [_fault(data, detail) for detail in details]
    version = [fault for fault in faults if fault == Fault("literal_error", ("version",))]
    if version:
        return None, tuple(version)
    unknown = {fault.path for fault in faults if fault.kind == "extra_forbidden"}
    empty = {path: Fault("empty", path) for path in empty_paths(data) if not _is_under(path, unknown)}
    faults = [fault for fault in faults if not _is_under(fault.path, empty) and fault.kind not in _TOLD_APART]
    return None if faults or empty else spec, (*faults, *empty.values())


_TOLD_APART: Final = ("too_short", "string_too_short")
"""Kinds pydantic gives to empty values, and to lists of which no item is right."""


def _fault(data: Plain, detail: ErrorDetails) -> Fault:
    return Fault(detail["type"], _path(data, detail["loc"]), int(detail.get("ctx", {}).get("max_length", 0)))


def _path(data: Plain, loc: Sequence[str | int]) -> Path:
    """Where a fault is. Pydantic's location also names the form it took a name pattern for, which is no part of a path."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, Mapping) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        elif str(part).startswith("<"):
            continue
        path.append(part)
    return tuple(path)


def _is_under(path: Path, paths: Container[Path]) -> bool:
    return any(path[:length] in paths for length in range(len(path) + 1))
