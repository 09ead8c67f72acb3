"""Settings from where they are given: flags before environment before a YAML file before defaults.

Says of each where it came from, and of everything that is wrong at once what to do. Fails closed: a variable or a key that
no setting has is an error, and so is an empty value. Knows no setting by name; `.env` files are not read.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.reader import MAX_NUMBER, resolve
from mcp_acl.policy.source import MAX_SIZE, Document, SourceFile, read_document
from mcp_acl.policy.tree import ListNode, MapNode, Node, ScalarNode
from mcp_acl.problems import Place, Problem, SourceError, nearest
from mcp_acl.runtime.rows import PREFIX, ROWS
from mcp_acl.runtime.settings import Settings, conflicts_of

CONFIG: Final = "MCP_ACL_CONFIG"
"""The variable that names the file, if no flag does."""

_OF_KUBERNETES: Final = tuple(
    (re.compile(f"{PREFIX}(?:[A-Z0-9_]+_)?{name}"), re.compile(value))
    for name, value in (
        ("SERVICE_HOST", ".*"),
        ("SERVICE_PORT(_[A-Z0-9_]+)?", "[0-9]+"),
        ("PORT", "(tcp|udp|sctp)://.*"),
        ("PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?", ".*"),
    )
)
"""What Kubernetes puts into every container beside a Service whose name is `mcp-acl` or begins with it, and its value."""

Texts: TypeAlias = tuple[str, ...]


class SettingsError(SourceError):
    """Settings that cannot be used; carries everything that is wrong with them, each naming its source."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `default`, `flag`, `environment` or `file`, and its name or place there."""

    kind: str = "default"
    name: str = ""
    place: Place = field(default=Place(), repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()

    def problem(self, setting: str, message: str, hint: str = "") -> Problem:
        """What is wrong with the value."""
        named = f"`{setting}`" if self.kind == "file" else self.name or setting
        return Problem("setting", f"{named}: {message}", self.place, hint)


DEFAULT: Final = Origin()


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and the origin of each."""

    settings: Settings
    origins: Mapping[str, Origin]


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was written; of a list, each item."""

    texts: Texts
    origin: Origin


def load_settings(flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None) -> Loaded:
    """The settings in force. A flag that is None is not given. Raises SettingsError with everything that is wrong."""
    problems: list[Problem] = []
    given: dict[str, _Given] = {}
    path = file
    if path is None and CONFIG in environment:
        path = Path(environment[CONFIG])
        if not environment[CONFIG]:
            problems.append(Origin("environment", CONFIG).problem(CONFIG, *_EMPTY))
            path = None
    if path is not None:
        given |= _from_file(path, problems)
    given |= _from_environment(environment, problems)
    given |= _from_flags(flags)
    settings = _settings(given, problems)
    if settings is None or problems:
        raise SettingsError(problems)
    origins = {name: given[name].origin if name in given else DEFAULT for name in ROWS}
    return Loaded(settings, origins)


# ---- three sources ------------------------------------------------------------------------------------------------

_EMPTY: Final = ("it is empty", "give a value, or leave it out")


def _from_flags(flags: Mapping[str, object]) -> Mapping[str, _Given]:
    return {
        name: _Given(_texts_of(value), Origin("flag", ROWS[name].flag))
        for name, value in flags.items()
        if value is not None
    }


def _texts_of(value: object) -> Texts:
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(str, value))
    return (str(value),)


def _from_environment(environment: Mapping[str, str], problems: list[Problem]) -> Mapping[str, _Given]:
    variables = {row.variable: row for row in ROWS.values()}
    given: dict[str, _Given] = {}
    for variable, text in sorted(environment.items()):
        origin = Origin("environment", variable)
        if variable in variables:
            row = variables[variable]
            given[row.name] = _Given(tuple(text.split(",")) if row.kind is tuple else (text,), origin)
        elif variable.upper().startswith(PREFIX) and variable != CONFIG and not _is_of_kubernetes(variable, text):
            known = [name.removeprefix(PREFIX) for name in (*variables, CONFIG)]
            hint = nearest(variable[len(PREFIX) :].upper(), known).replace("`", f"`{PREFIX}", 1)
            problems.append(origin.problem(variable, "there is no such setting", hint or "unset it"))
    return given


def _is_of_kubernetes(variable: str, text: str) -> bool:
    return any(name.fullmatch(variable) and value.fullmatch(text) for name, value in _OF_KUBERNETES)


def _from_file(path: Path, problems: list[Problem]) -> Mapping[str, _Given]:
    document = _document(path, problems)
    if document is None:
        return {}
    if not isinstance(document.root, MapNode):
        problems.append(Problem("setting", "a file of settings is `key: value`", document.place(())))
        return {}
    given: dict[str, _Given] = {}
    for key, entry in document.root.entries.items():
        if key not in ROWS:
            hint = nearest(key, ROWS) or "remove it"
            problems.append(
                Problem("setting", f"{quoted(key)}: there is no such setting", document.place((key,), key=True), hint)
            )
            continue
        place = document.place((key,))
        origin = Origin("file", f"{path}:{place.line}", place)
        several = ROWS[key].kind is tuple
        texts = _texts_in(entry.value, several=several)
        if texts is None:
            problems.append(origin.problem(key, "it must be a list" if several else "it must be one value"))
        else:
            given[key] = _Given(texts, origin)
    return given


def _document(path: Path, problems: list[Problem]) -> Document | None:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_SIZE + 1)
        if len(content) > MAX_SIZE:
            raise ValueError(f"it has more than {MAX_SIZE:,} bytes")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problems.append(Problem("unreadable", f"cannot be read: {why[:1].lower()}{why[1:]}", Place(str(path))))
        return None
    document, found = read_document(SourceFile(str(path), content), "fill it, or do without one")
    problems += found
    return document


def _texts_in(node: Node, *, several: bool) -> Texts | None:
    """What is written, whatever its type looks like: `socket_mode: 0600` is the text `0600`. None for another shape."""
    items = node.items if several and isinstance(node, ListNode) else (node,)
    texts = tuple("" if item.value is None else item.text for item in items if isinstance(item, ScalarNode))
    shaped = not several or isinstance(node, ListNode) or texts == ("",)
    return texts if shaped and len(texts) == len(items) else None


# ---- texts → settings ---------------------------------------------------------------------------------------------


def _settings(given: Mapping[str, _Given], problems: list[Problem]) -> Settings | None:
    """The settings, or every reason why there are none, conflicts among what is right by itself included."""
    values: dict[str, object] = {}
    for name, one in given.items():
        fault = _fault_in(one.texts)
        if fault is None:
            values[name] = _value_of(name, one.texts)
        else:
            problems.append(one.origin.problem(name, *fault))
    wrong = set(given) - set(values)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults = {str(one["loc"][0]): one for one in error.errors() if one["loc"] and one["loc"][0] not in wrong}
        problems += (_problem(name, one, given.get(name)) for name, one in faults.items())
        wrong |= set(faults)
        right = {name: value for name, value in values.items() if name not in wrong}
        problems += _conflicts(Settings.model_construct(None, **right), given, wrong)
    return settings


def _fault_in(texts: Texts) -> tuple[str, str] | None:
    if not all(texts) or not texts:
        return _EMPTY
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return "it is not UTF-8", "give another value"
    return None


def _value_of(name: str, texts: Texts) -> object:
    """The texts as what the setting is made of; numbers and booleans as in YAML, whatever the source."""
    kind = ROWS[name].kind
    if kind is tuple:
        return texts
    (text,) = texts
    if kind is Path:
        return Path(text)
    return text if kind is str or len(text) > MAX_NUMBER else resolve(text)


_WORDS: Final[Mapping[str, str]] = {
    "bool_type": "it must be `true` or `false`",
    "int_type": "it must be a whole number",
    "float_type": "it must be a number",
    "finite_number": "it must be a finite number",
    "literal_error": "it must be {expected}",
    "greater_than": "it must be more than {gt:g}",
    "greater_than_equal": "it must be {ge:g} or more",
    "less_than_equal": "it must be {le:.0f} or less",
    "value_error": "{error}",
}
"""What pydantic finds, in our words."""


def _problem(name: str, error: ErrorDetails, given: _Given | None) -> Problem:
    if given is None:
        row = ROWS[name]
        return DEFAULT.problem(name, "it is missing", f"give `{row.flag}`, `{row.variable}`, or `{name}` in a file")
    message = _WORDS[error["type"]].format(**error.get("ctx", {}))
    return given.origin.problem(
        name, message if error["type"] == "value_error" else f"{message}, not {quoted(given.texts[0])}"
    )


def _conflicts(settings: Settings, given: Mapping[str, _Given], wrong: AbstractSet[str]) -> Iterator[Problem]:
    """What does not go together. Nothing is said of a setting that is wrong by itself."""
    for conflict in conflicts_of(settings):
        if not wrong & set(conflict.fields):
            name = next((one for one in conflict.fields if one in given), conflict.fields[0])
            origin = given[name].origin if name in given else DEFAULT
            yield origin.problem(name, conflict.text)
