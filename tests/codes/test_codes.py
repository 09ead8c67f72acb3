"""The table of codes is whole: every code of the source has a row, and every example has its code."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from mcp_acl.attack.cases import read_corpus
from mcp_acl.cli import app
from mcp_acl.codes import CODES, GROUPS
from mcp_acl.codes.rows import Code, Form
from mcp_acl.engine.scenario_file import parse_scenarios
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.el.parser import parse_el
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.facts import CEL_ENVIRONMENT, EL_ENVIRONMENT
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import Problem, SourceError
from mcp_acl.runtime.loading import load_settings
from mcp_acl.runtime.store import load_policies

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "service" / "mcp_acl"
HEAD: Final = "version: 1\npolicy: p\n"


# ---- every code of the source ------------------------------------------------------------------------------------------

_MADE_BY: Final = frozenset(
    "Problem problem refusal report unknown _stop SyntaxProblem Finding PatternProblem _problem _finding".split()
)
_TABLES: Final = frozenset(("_ROWS", "_OTHER", "_FIXED"))
_OF_SETTINGS: Final = frozenset(("loading.py", "serve.py"))
"""There `origin.problem` is told a setting; the code is `setting`."""

_SHORT_FAULT: Final = 2
"""Another class of that name is told a kind, a path and a limit at most."""

_CODE: Final = re.compile(r"[a-z]+(-[a-z]+)*")


def texts(node: ast.AST) -> Iterator[str]:
    """Both sides of a conditional too."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
        yield node.value
    if isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def codes_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _MADE_BY or (name == "Fault" and len(node.args) > _SHORT_FAULT):
                yield from texts(node.args[0])
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") in _TABLES and node.value is not None:
            for row in ast.walk(node.value):
                if isinstance(row, ast.Tuple) and row.elts:
                    yield from texts(row.elts[0])


def codes_of_the_source() -> set[str]:
    files = [path for path in PACKAGE.rglob("*.py") if not {"gen", "codes", "gateway"} & set(path.parts)]
    return {code for path in files if path.name not in _OF_SETTINGS for code in codes_in(ast.parse(path.read_text()))}


def test_every_code_of_the_source_has_a_row() -> None:
    made = codes_of_the_source()
    assert 60 < len(made)
    assert set() == made - CODES.keys()


def test_every_row_is_of_a_code_of_the_source() -> None:
    text = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py") if not {"gen", "codes"} & set(path.parts))
    assert [] == [code for code in CODES if f'"{code}"' not in text]


def test_no_code_has_two_rows() -> None:
    assert len(CODES) == sum(map(len, GROUPS.values()))


def test_rows_are_written_as_texts_to_people_are() -> None:
    for row in CODES.values():
        assert (
            row.means[0].islower()
            or not row.means[0].isalpha()
            or row.means.startswith(("CEL", "EL", "YAML"))
            or row.means.startswith("Gravitee")
        )
        assert row.hint
        assert not row.means.endswith(".")
        assert not row.hint.endswith(".")


# ---- every example -----------------------------------------------------------------------------------------------------


def rule_with(key: str, text: str) -> str:
    return f"- id: a\n  methods: [tools/call]\n  {key}: {quoted(text)}\n"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def policy_of(row: Code) -> list[str]:
    """The files of an example."""
    match row.form:
        case Form.CEL:
            return [f"{HEAD}rules:\n{rule_with('cel', row.example)}"]
        case Form.EL:
            return [f"{HEAD}rules:\n{rule_with('condition', row.example)}"]
        case Form.RULES:
            return [f"{HEAD}{_MORE.get(row.code, '')}rules:\n{row.example}\n"]
    return [row.example] * (2 if row.code == "duplicate-policy" else 1)


_MORE: Final = {"too-large": f"variables: {{big: 'size([{'!!!!!!!!1,' * 310}1]) > 1'}}\n"}


def found_in(files: list[str]) -> tuple[Problem, ...]:
    sources = [SourceFile(f"{at}.yaml", text.encode()) for at, text in enumerate(files)]
    try:
        return compile_policies(sources).findings
    except SourceError as error:
        return error.problems


def asked(act: Callable[[], object]) -> tuple[Problem, ...]:
    with pytest.raises(SourceError) as raised:
        act()
    return raised.value.problems


OF_POLICIES: Final = [row for row in CODES.values() if row.form in (Form.CEL, Form.EL, Form.RULES, Form.POLICY)]


@pytest.mark.parametrize("row", OF_POLICIES, ids=lambda row: row.code)
def test_example_has_its_code(row: Code) -> None:
    assert (row.code, row.severity) in {(one.code, one.severity) for one in found_in(policy_of(row))}


def scenarios(row: Code, _directory: Path) -> tuple[Problem, ...]:
    return asked(lambda: parse_scenarios(SourceFile("a.scenarios.yaml", row.example.encode())))


def settings(row: Code, directory: Path) -> tuple[Problem, ...]:
    (directory / "settings.yaml").write_text(row.example)
    return asked(lambda: load_settings({}, {}, directory / "settings.yaml"))


def no_policies(_row: Code, directory: Path) -> tuple[Problem, ...]:
    return asked(lambda: load_policies(directory))


def unreadable(_row: Code, directory: Path) -> tuple[Problem, ...]:
    (directory / "a.yaml").symlink_to(directory / "nothing")
    return asked(lambda: load_policies(directory))


def corpus(_row: Code, directory: Path) -> tuple[Problem, ...]:
    (directory / "index.yaml").write_text("known: x\n")
    return asked(lambda: read_corpus(directory))


def no_input(_row: Code, directory: Path) -> tuple[Problem, ...]:
    (directory / "a.yaml").write_text(f"{HEAD}rules: []\n")
    given = [
        "decide",
        "--policies",
        str(directory),
        "--server",
        "s",
        "--message",
        "{}",
        "--claims",
        "no JSON",
        "--json",
    ]
    output = CliRunner().invoke(app, given).output
    found = re.findall(r'"code": ?"(\w+)"', output)
    return tuple(Problem(code, "") for code in found)


def too_long(row: Code, _directory: Path) -> tuple[Problem, ...]:
    text = "{#a" + " " * 10_000 + "}"
    if row.code == "cel-too-long":
        return asked(lambda: parse_cel(text, CEL_ENVIRONMENT))
    return asked(lambda: parse_el(text, EL_ENVIRONMENT))


PRODUCERS: Final[Mapping[str, Callable[[Code, Path], tuple[Problem, ...]]]] = {
    "cel-too-long": too_long,
    "corpus": corpus,
    "el-too-long": too_long,
    "input": no_input,
    "no-policies": no_policies,
    "scenario": scenarios,
    "scenario-key": scenarios,
    "scenario-value": scenarios,
    "setting": settings,
    "unreadable": unreadable,
}
ELSEWHERE: Final = {
    "internal-error": "tests/runtime/test_reload_refusals.py",
    "remote-content": "tests/runtime/remote/test_bundle.py",
    "remote-signature": "tests/runtime/remote/test_signatures.py",
    "remote-unreachable": "tests/runtime/remote/test_follower.py",
    "unsettled": "tests/runtime/test_reload_refusals.py",
}
"""What needs a directory that is watched, or a host elsewhere, has its test there."""


@pytest.mark.parametrize("code", PRODUCERS)
def test_what_is_no_policy_has_its_code(code: str, tmp_path: Path) -> None:
    assert code in {one.code for one in PRODUCERS[code](CODES[code], tmp_path)}


def test_no_example_is_left_out() -> None:
    assert CODES.keys() == {row.code for row in OF_POLICIES} | PRODUCERS.keys() | ELSEWHERE.keys()
    for code, path in ELSEWHERE.items():
        assert code in (ROOT / path).read_text()


@pytest.mark.parametrize("code", CODES)
def test_row_is_printed_whole(code: str) -> None:
    row = CODES[code]
    text = row.render()
    assert text.startswith(f"{row.severity} [{code}]")
    assert row.hint in text
    assert all(line in text for line in (row.shown or row.example).splitlines())
