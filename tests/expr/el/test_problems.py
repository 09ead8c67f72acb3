"""What is said of a condition that cannot be used, or that can hardly mean what it says: where it is, and what to write."""

import pytest

from mcp_acl.expr.el.parser import MAX_DEPTH, MAX_LENGTH, MAX_NODES, parse_el
from mcp_acl.expr.el.roots import EL_VARIABLES
from mcp_acl.problems import Problem, SourceError
from tests.expr.el.plain import ENVIRONMENT


def _refusal(text: str) -> Problem:
    with pytest.raises(SourceError) as caught:
        parse_el(text, ENVIRONMENT)
    return next(problem for problem in caught.value.problems if not problem.is_finding)


@pytest.mark.parametrize(
    ("text", "message", "column", "hint"),
    [
        ("{#token in {'a'}}", "`in` is not expected here", 9, "there is no `in`"),
        ("{#token contains 'a'}", "`contains` is not expected here", 9, "there is no operator `contains`"),
        ("{#token <> 'a'}", "`>` is not expected here", 10, "there is no `<>`: write `!=`"),
        ("{#token === 1}", "`=` is not expected here", 11, "there is no `===`: write `==`"),
        ("{#token =~ 'a'}", "`~` is not expected here", 10, "there is no `=~`"),
        ("{#token | true}", "`|` is not expected here", 9, "write `||`"),
        ("{#token; 1}", "`;` is not expected here", 8, "a condition is one expression"),
        ("{(has(claims.a) && )}", "`)` is not expected here", 20, "this looks like CEL: put it under `cel`"),
        ("{(1 1)}", "`1` is not expected here", 5, ""),
        ("{#token == \u20ac}", "`\u20ac` cannot stand here", 12, ""),
        ("{#a{b{c}}}", "`{` is not expected here", 4, "a block allows one level of braces inside"),
        ("{# 'abc }", "the text that starts with ' is not closed", 4, "`{` in a quoted text counts"),
        ("{#token == 'a}", "the text that starts with ' is not closed", 12, "`{` in a quoted text counts"),
        ("{#}", "the expression ends too early", 2, ""),
        ("{#token", "`{` is not closed", 1, "`{` in a quoted text counts"),
        ("{#token.contains('a'", "`(` is not closed", 17, "`{` in a quoted text counts"),
        ("{#a['{']]}", "`]` closes nothing that is open", 9, ""),
        ("{#token ==}", "the expression ends too early", 10, ""),
        ("{(T)}", "`T` needs a class: `T(String)`", 3, ""),
        ("{#token = 'a'}", "a condition may not change anything", 9, "write `==` to compare"),
    ],
)
def test_a_refusal_says_where_and_what_to_write(text: str, message: str, column: int, hint: str) -> None:
    problem = _refusal(text)
    assert (message, column) == (problem.message, problem.place.column)
    assert problem.hint.startswith(hint)
    assert bool(hint) is bool(problem.hint)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{#token" + " " * MAX_LENGTH + "}", "el-too-long"),
        ("{(" + "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH + ")}", "el-too-deep"),
        ("{#token" + ".a" * (MAX_DEPTH + 1) + "}", "el-too-deep"),
        ("{({" + "a," * (MAX_NODES // 2) + "a})}", "el-too-large"),
    ],
)
def test_the_size_of_a_condition_is_bounded(text: str, code: str) -> None:
    assert code == _refusal(text).code


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("{#context.attributes['oauth.payload']['scopes'] == 'a'}", "el-payload-index", "write `#jsonPath("),
        ("{#context.attributes['oauth.payload'].scopes == 'a'}", "el-payload-index", "write `#jsonPath("),
        ("{#context.attributes['oauth.payload'][scopes] == 'a'}", "el-payload-index", "write `#jsonPath("),
        ("{#token.name.matches('[')}", "el-regex", ""),
        ("{#token.name.matches('(?=a)b')}", "el-regex", ""),
        ("{#request.xmlContent == null}", "el-unsupported", ""),
        ("{#request.headrs == null}", "el-unknown-property", "did you mean `headers`?"),
        ("{#contex}", "el-unknown-variable", "did you mean `context`?"),
        ("{(new int[2][3])}", "el-unsupported", ""),
        ("{('x'.#f('y'))}", "el-unknown-function", ""),
        ("{(name == 'a')}", "el-bare-name", "write `#` before a variable, and quotes around a text"),
    ],
)
def test_a_finding_says_what_to_write_instead(text: str, code: str, hint: str) -> None:
    findings = parse_el(text, ENVIRONMENT).findings
    assert code in [finding.code for finding in findings]
    assert any(finding.hint.startswith(hint) for finding in findings if finding.code == code)


@pytest.mark.parametrize(
    "text", ["{#context.attributes['oauth.payload'].length() > 1}", "{#token.name.matches(#token.pattern)}"]
)
def test_what_is_fine_has_no_finding(text: str) -> None:
    assert () == parse_el(text, ENVIRONMENT).findings


def test_the_time_is_no_fact_where_the_environment_has_none() -> None:
    untimed = {variable.name: variable for variable in EL_VARIABLES if variable.name != "now"}
    assert ["el-unsupported"] == [finding.code for finding in parse_el("{(new java.util.Date())}", untimed).findings]
