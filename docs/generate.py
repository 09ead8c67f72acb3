"""Write the pages of this directory that say what tables in the code say; `--check` only compares."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

import yaml

from mcp_acl.attack.cases import Corpus, read_corpus
from mcp_acl.attack.report import WORDS
from mcp_acl.attack.spec import KnownSpec
from mcp_acl.cli.config import as_yaml, file_example
from mcp_acl.codes import GROUPS
from mcp_acl.codes.rows import Code, Form
from mcp_acl.engine.scenario_file import parse_scenarios
from mcp_acl.expr.cel import builder
from mcp_acl.expr.cel.functions import FUNCTIONS as CEL_FUNCTIONS
from mcp_acl.expr.cel.macros import GLOBAL_MACROS, METHOD_MACROS
from mcp_acl.expr.el.access import WHITELIST
from mcp_acl.expr.el.functions import FUNCTIONS as EL_FUNCTIONS
from mcp_acl.expr.el.methods import CONSTRUCTOR
from mcp_acl.expr.el.methods import Row as ElRow
from mcp_acl.mcp.matrix import render_matrix
from mcp_acl.policy import checks, patterns, reader, source, spec
from mcp_acl.policy.conditions import MAX_NODES as MAX_PARTS
from mcp_acl.policy.facts import render_facts
from mcp_acl.policy.schema import json_schema
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.loading import CONFIG
from mcp_acl.runtime.metrics.table import render_metrics
from mcp_acl.runtime.rows import PREFIX, ROWS
from mcp_acl.runtime.settings import Settings

DOCS: Final = Path(__file__).parent
SCENARIOS: Final = [Path("..", "tests", "scenarios", name) for name in ("methods.yaml", "3.3-exchanges.yaml")]

LISTS: Final = Path("..", "tests", "cases", "lists")

CONDITIONS: Final = """\
# Conditions

Written by `make docs` from the tables in the code.

A rule's `cel:` is CEL, its `condition:` is the expression language of Gravitee's Trigger Condition (EL). Both given: both must hold. What
a condition may read, and when it is known, is the same table for both. What can be wrong or odd about one is in [findings.md](findings.md):
`mcp-acl check` finds at load what can never be true, never be equal, or never take what it is given. `mcp-acl explain` says for each rule
what every part was, which fact was missing, and what the call will decide; `mcp-acl eval --parts` says the same of one expression.

{variables}
* *known*: it has its value, or is an error if it is not there.
* *unknown*: the call will bring it. A list shows an entry if an allow rule's condition may still become true, and hides it by a deny rule
  only if the condition cannot become false. A completion is decided the same way.
* *known of a trusted server*: `trust_annotations` is set for the server, and it has listed what is asked for; a tool that it has defined
  otherwise since is not known any more. Else an error.
* *error*: it is never there. A condition that breaks never widens access: an allow rule does not apply, a deny rule does.

## Lists and calls

What a list shows is settled before the call, so it may show what no call will be allowed: never the other way round. What is not seen is a relation
between two reads of one fact that only the call brings, in one condition or in two rules. Twelve policies, each of them tried with every
combination of the sample arguments in its file, each argument also left out; the calls are those of the samples that are allowed.

{lists}
## CEL functions

{functions}
## CEL macros

{macros}

## EL functions

{el_functions}
## EL methods

What Gravitee's whitelist allows of Java's classes; anything else is refused when the policy is read.

{methods}"""

SETTINGS: Final = """\
# Settings

Written by `make docs` from the model in the code.

`mcp-acl serve` and `mcp-acl config` take the same settings; `mcp-acl gateway` takes those of watching (`metrics_…`, `otlp_…`, `trace_…`, `decision_log`, `log_…`) and of
where policies come from (`policies_…`), by their flags alone. Each is taken from the first of these that says it:

1. its flag;
2. its environment variable, `{prefix}` and the setting in capitals;
3. a YAML file, named by `--config` or `{config}`;
4. its default.

`mcp-acl config` prints what is in force and where each value came from; it takes what `serve` takes and loads no policies.

{settings}
* Several names: repeat the flag; in a variable, separate them by commas; in a file, write a list.
* `--no-insecure` takes back what a variable or a file says.
* Numbers and booleans are written as in YAML, whatever the source: `true` and `false`, not `yes` or `1`.
* Relative paths are taken from where the service is started. `.env` files are not read.

What is wrong ends with exit code 2 and names everything at once: a value that cannot be used, settings that do not go together, an empty
value, a key of the file or a variable beginning with `{prefix}` that is no setting. So a misspelt `{prefix}TLS_CLIENT_CA` never leaves a
listener open. Variables that Kubernetes sets beside a Service named `mcp-acl` or `mcp-acl-…` are left alone.

What does not go together:

* a certificate without its key, a key or `tls_client_ca` without a certificate, names without `tls_client_ca`;
* a `listen` that others can reach, without a certificate or `insecure`; an `admin_listen` that others can reach, without `tls_client_ca`
  and `admin_names`, or `insecure`;
* a certificate if all listeners are socket files, and `client_names` if `listen` is one: there is no TLS on a socket file;
* an `admin_listen` with an address of `listen`, or workers whose ports would end beyond 65535;
* a `socket_mode` that lets others write, without `insecure`;
* what says more of `policies_from` without it; `policies_ref` and `policies_signers` where it names an archive; `git+ssh` without
  `policies_key` and `policies_known_hosts`.

## A file to begin with

As `mcp-acl config --file-example` prints it:

```yaml
{example}```
"""


ATTACKS: Final = """\
# Attacks

Written by `make docs` from the corpus in [tests/corpus](../tests/corpus).

{cases} attacks in {classes} classes, each with an honest twin that must pass. Every one of them is asked of the library, the service and the
command line; `mcp-acl attack` sends them through any gateway:

```console
$ mcp-acl attack --print-policy                 # what your gateway must enforce, in words and as a policy
$ mcp-acl attack --target http://127.0.0.1:8080/mcp --canary 127.0.0.1:9800 --token … --other-token …
```

The command runs the canary itself: an MCP server that reads a message as the most lenient of known parsers do, runs nothing, and remembers what
it would have run. It answers as each case asks, also with what must not be seen. Make it the gateway's only upstream. An attack got through if
the canary heard something that is denied, or if something hidden came back; a twin is broken if an honest message, or its response, did not
come through. Cases that need a second principal, or another name of the server, are not tried where that cannot be said. Both ends are on this
machine unless `--anywhere` says otherwise.

{words}
Exit code 0: nothing got through; 1: something did; 2: no honest message came through, so nothing can be said. `--strict` counts broken twins,
and ambiguous messages that were let by: nothing denied is in them, but parsers read them differently.

A file of the corpus says what is sent byte for byte, and why; `service/mcp_acl/attack/spec.py` says how it is written.

## Classes

{groups}
Cases that are *pending* are attacks against what is not there yet; they fail, and a test says so when they do not any more.

## What is known, and whose job it is

Every class that we know of, from three lists: what a list of methods and names lets through, where gateways and access lists broke, and what
parsers were measured to do differently. What an authorizer cannot see is somebody else's job.

{known}"""

FINDINGS: Final = """\
# Problems and findings

Written by `make docs` from the table in the code (`service/mcp_acl/codes`).

A *problem* refuses the policy set, or what a command was given. A *finding* is reported and changes nothing: it is made only where it is certain,
and `mcp-acl check --strict` ends with 1 because of it. `mcp-acl check DIR` reports all of them at once, each with its place and what to do;
`mcp-acl check --explain CODE` prints a row of this page. An example is the shortest that has the code, and a test holds each of them to it.

{groups}"""

_FORMS: Final[Mapping[Form, str]] = {
    Form.CEL: "cel:",
    Form.EL: "condition:",
    Form.RULES: "rules:",
    Form.POLICY: "",
    Form.SCENARIOS: "",
    Form.SETTINGS: "",
    Form.WORDS: "",
}

_LISTS: Final[Mapping[str, str]] = {
    "threats": "What a list of methods and names lets through",
    "bugs": "Where gateways and access lists broke",
    "parsers": "What parsers do differently",
}


def attacks() -> str:
    """Every class of attack, and whose job is what no authorizer sees."""
    corpus = read_corpus()
    tables = (
        f"### {title}\n\n{_table(('Class', 'Shown by', 'Whose job'), map(_known, _of(corpus, name)))}\n"
        for name, title in _LISTS.items()
    )
    return ATTACKS.format(
        cases=len([*corpus.cases()]),
        classes=len(corpus.groups),
        words=WORDS,
        groups=_table(("Class", "Cases", "Pending", "Why it works", "Seen"), _groups(corpus)),
        known="\n".join(tables).rstrip("\n") + "\n",
    )


def _groups(corpus: Corpus) -> Iterator[Sequence[str]]:
    for group in corpus.groups:
        pending = sum(bool(case.pending) for case in group.cases)
        seen = "; ".join(map(_seen, group.seen))
        yield _corpus_file(group.name), str(len(group.cases)), str(pending or ""), group.why, seen


def _seen(text: str) -> str:
    return text.replace("<", "&lt;")


def _of(corpus: Corpus, name: str) -> Iterator[KnownSpec]:
    return (one for one in corpus.known if one.of == name)


def _known(one: KnownSpec) -> Sequence[str]:
    whose = f"{one.whose}: {one.job}" if one.whose else ""
    return one.what, ", ".join(map(_corpus_file, one.files)), whose


def _corpus_file(name: str) -> str:
    return f"[{name}](../tests/corpus/{name}.yaml)"


def findings() -> str:
    """Every code: how grave it is, what it means, what to do, an example."""
    head = ("Code", "", "What it means", "What to do", "For example")
    tables = (f"## {title}\n\n{_table(head, map(_finding, rows))}" for title, rows in GROUPS.items())
    return FINDINGS.format(groups="\n".join(tables))


def _finding(row: Code) -> Sequence[str]:
    text = row.shown or row.example
    if row.form is Form.WORDS:
        example = text
    else:
        lines = (
            [*filter(None, [_FORMS[row.form]]), *text.splitlines()] if "\n" in text else [f"{_FORMS[row.form]} {text}"]
        )
        example = "<br>".join(_code(line.strip()) for line in lines if line.strip())
    return _code(row.code), row.severity, row.means, row.hint, example


def settings() -> str:
    """Every setting: flag, variable, default, meaning; and a file with all of them."""
    head = ("Setting", "Flag", "Variable", "Default", "Meaning")
    rows = (
        (
            _code(row.name),
            _code(f"{row.flag} {row.metavar}" if row.kind is not bool else row.flag),
            _code(row.variable),
            "*must be given*"
            if row.required
            else _code(as_yaml(row.default))
            if row.default not in _NOTHING
            else "*none*",
            row.meaning,
        )
        for row in ROWS.values()
    )
    return SETTINGS.format(prefix=PREFIX, config=CONFIG, settings=_table(head, rows), example=file_example())


_NOTHING: Final = (None, "", ())


def conditions() -> str:
    """Variables, and the functions of both languages."""
    return CONDITIONS.format(
        variables=render_facts(),
        lists=_table(("Policy", "Entry", "In the list", "Calls allowed", "Shown although none can be"), _lists()),
        functions=_table(("Function", "What it gives", "Example"), _cel_functions()),
        macros=", ".join(_macros()) + ".",
        el_functions=_table(("Function", "Arguments", "What it gives"), _el_functions()),
        methods=_table(("Class", "Methods"), _el_methods()),
    )


def _lists() -> Iterator[Sequence[str]]:
    for path in sorted((DOCS / LISTS).glob("*.yaml")):
        case = yaml.safe_load(path.read_text())
        calls = prod(len(many) + 1 for many in case["samples"].values())
        title = f"[{case['what']}]({(LISTS / path.name).as_posix()})"
        for name, tool in case["tools"].items():
            shown = "shown" if tool["shown"] else "hidden"
            yield title, _code(name), shown, f"{len(tool['allowed'])} of {calls}", tool.get("unseen", "")
            title = ""


def _cel_functions() -> Iterator[Sequence[str]]:
    for row in CEL_FUNCTIONS:
        signatures, what, *examples = row.function.doc.splitlines()
        yield _code(signatures), what, "<br>".join(map(_code, examples))


def _macros() -> Iterator[str]:
    yield from (f"`{name}(…)` with {count} arguments" for name, count in GLOBAL_MACROS if name != "has")
    yield "`has(x.y)`"
    names = sorted({name for name, _ in METHOD_MACROS})
    for name in names:
        counts = " or ".join(str(count) for one, count in METHOD_MACROS if one == name)
        yield f"`x.{name}(…)` with {counts}"


def _el_functions() -> Iterator[Sequence[str]]:
    for count, function in EL_FUNCTIONS.values():
        yield _code(function.name), str(count), function.doc


def _el_methods() -> Iterator[Sequence[str]]:
    by_class: defaultdict[str, list[ElRow]] = defaultdict(list)
    for row in WHITELIST.rows():
        if row.callable:
            by_class[row.owner].append(row)
    for owner, rows in sorted(by_class.items()):
        yield _code(owner), " ".join(sorted({_code(_signature(row)) for row in rows}))


def _signature(row: ElRow) -> str:
    params = ", ".join(row.params) + ("…" if row.varargs else "")
    name = f"new {row.owner}" if row.name == CONSTRUCTOR else row.name
    return f"{'static ' if row.static and row.name != CONSTRUCTOR else ''}{name}({params})"


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def _code(text: str) -> str:
    """As code; with a bar, which ends a cell even there, in HTML."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<code>{escaped}</code>" if "|" in text or "`" in text else f"`{text}`"


def methods() -> str:
    """The method table, each row with links to the scenarios that show it."""
    links: defaultdict[str, list[str]] = defaultdict(list)
    for path in SCENARIOS:
        for scenario in parse_scenarios(SourceFile(path.name, (DOCS / path).read_bytes())).scenarios:
            line = scenario.place.line
            links[scenario.row.rpartition(": ")[2]].append(f"[{line}]({path.as_posix()}#L{line})")
    return render_matrix(links)


def policy_schema() -> str:
    """The JSON Schema of a policy file, for editors."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


CHART: Final = Path("..", "deploy", "helm", "mcp-acl", "values.schema.json")
CHART_SAYS: Final = frozenset(
    "policies policies_from policies_ref policies_path policies_signers policies_token policies_key policies_known_hosts policies_ca "
    "host listen admin_listen workers insecure tls_cert tls_key tls_client_ca client_names admin_names socket_mode drain store".split()
)
"""Settings that follow from other values of the chart."""


def chart_schema() -> str:
    """The JSON Schema of the chart's values, all other settings put in. A name in a list has no comma: it becomes a variable."""
    schema = json.loads((DOCS / CHART).read_text())
    found = Settings.model_json_schema()["properties"]
    schema["properties"]["settings"]["properties"] = {
        name: _as_value(found[name]) for name in ROWS if name not in CHART_SAYS
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


_CONSTRAINTS: Final = ("type", "enum", "minimum", "maximum", "description")


def _as_value(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What pydantic says of a setting, without what no validator of Helm's knows. Text that is empty is no value."""
    one = {**found, **found.get("anyOf", [{}])[0]}
    kept = {key: one[key] for key in _CONSTRAINTS if key in one}
    if one["type"] == "array":
        return {**kept, "minItems": 1, "items": {"type": "string", "pattern": "^[^,]+$"}}
    return {**kept, "minLength": 1} if one["type"] == "string" else kept


def architecture() -> str:
    """The architecture, the table of variables put in."""
    return _put_in("../ARCHITECTURE.md", "variables", render_facts())


def watching() -> str:
    """What can be watched, the table of metrics put in."""
    return _put_in("watching.md", "metrics", render_metrics())


def policies() -> str:
    """Policy files, the table of limits put in."""
    return _put_in("policies.md", "limits", _table(("at most", ""), _limits()))


def _limits() -> Iterator[Sequence[str]]:
    yield f"{source.MAX_SIZE:,} bytes", "in a file"
    yield f"{reader.MAX_DEPTH} levels", "of mappings and lists within one another"
    yield f"{reader.MAX_NODES:,}", "keys and values in a file"
    yield f"{reader.MAX_NUMBER} characters", "in a number"
    yield f"{spec.MAX_RULES:,}", "rules in a policy"
    yield f"{spec.MAX_ITEMS:,}", "servers in a policy, targets in a rule, name patterns in a list"
    yield f"{spec.MAX_METHODS}", "methods in a list"
    yield f"{spec.MAX_NAME:,} characters", "in a name pattern"
    yield f"{spec.MAX_EXPRESSION:,} characters", "in a `condition`, a `cel` or a variable"
    yield f"{builder.MAX_DEPTH} levels, {MAX_PARTS:,} parts", "in a condition, its variables put in"
    yield f"{spec.MAX_MESSAGE:,} characters", "in a `message`"
    yield f"{patterns.MAX_PROGRAM:,} RE2 instructions", "for a name pattern"
    yield f"{checks.MAX_PROGRAMS:,} RE2 instructions", "for all name patterns of a set"


def _put_in(page: str, name: str, text: str) -> str:
    """The page as it is, with a text between the marks of a name."""
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = (DOCS / page).read_text().partition(opening)
    return "".join((before, opening, text, closing, rest.partition(closing)[2]))


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "../ARCHITECTURE.md": architecture,
    "attacks.md": attacks,
    "conditions.md": conditions,
    "findings.md": findings,
    "methods.md": methods,
    "policies.md": policies,
    "policy.schema.json": policy_schema,
    "settings.md": settings,
    "watching.md": watching,
    CHART.as_posix(): chart_schema,
}


def main(arguments: Sequence[str]) -> int:
    """Write every page that is not current, or name them and return 1."""
    pages = {DOCS / name: page() for name, page in PAGES.items()}
    stale = {path: text for path, text in pages.items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"docs/{path.name} is not current: run make docs", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
