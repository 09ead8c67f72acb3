"""Codes about conditions."""

from typing import Final

from mcp_acl.codes.rows import FINDING, PROBLEM, Code, Form, in_cel, in_el, in_rules, odd_cel, odd_el, odd_rules

BOTH_LANGUAGES: Final = (
    in_cel(
        "not-boolean",
        "the condition has a type that is neither true nor false",
        "compare it with something",
        "size(mcp.name)",
    ),
    odd_cel(
        "always-true",
        "the condition is true for every request",
        "leave the condition out",
        'claims.level > 5 || "a" == "a"',
    ),
    odd_cel(
        "always-false",
        "the condition is false for every request: the rule never applies",
        "write what was meant, or remove the rule",
        "claims.admin && false",
    ),
    odd_cel(
        "always-error",
        "the condition is an error for every request: an allow rule never applies, a deny rule always",
        "write what was meant; the other findings of the condition say what is wrong",
        "1 / 0 == claims.level",
    ),
    odd_el(
        "never-true",
        "the condition is false or an error, whatever the request",
        "write what was meant, or remove the rule",
        "{#mcp.name.startsWith('a') && false}",
    ),
    odd_cel(
        "constant-part",
        "a part of the condition that reads something is the same for every request",
        "leave it out if it is true, or write what was meant",
        'claims.admin || (mcp.name == "x" && false)',
    ),
    odd_cel(
        "never-equal",
        "two values are compared that can never be equal, because they are of different types, or because a fact never has that value",
        "write both sides as the same type; a list holds a value if `contains`, or in CEL `in`, says so",
        "mcp.name == 5 || claims.admin",
    ),
    odd_el(
        "wrong-operand",
        "an operator, a function or a method is given a type that it can never take: this part is an error for every request",
        "give it what it takes",
        "{#request.headers['x-role'].startsWith('admin')}",
    ),
    odd_cel(
        "unknown-member",
        "a name that may be anything is almost one of those that the protocol or the token has",
        "use the name that is known, if that was meant",
        "mcp.annotations.readonlyHint",
    ),
    odd_rules(
        "optional-fact",
        "a deny rule reads a fact that may be missing: its condition is then an error, and the rule denies everybody who lacks it",
        "ask whether it is there first, and say what is to happen if it is not",
        "- {id: a, effect: deny, methods: [tools/call], cel: 'claims.env == \"prod\"'}",
    ),
)

IN_CEL: Final = (
    in_cel("cel-syntax", "the text is not CEL", "the place is where CEL cannot go on", "claims.a =="),
    in_cel(
        "cel-unknown-variable",
        "CEL names a variable that does not exist",
        "the table of variables is in docs/conditions.md; a policy's own are written `variables.NAME`",
        "claim.admin",
    ),
    in_cel(
        "cel-unknown-function",
        "CEL calls a function that does not exist",
        "the table of functions is in docs/conditions.md",
        'mcp.name.startWith("a")',
    ),
    in_cel(
        "cel-arguments",
        "a function or macro is given another number of arguments than it takes, or a macro a name that is none",
        "give it what docs/conditions.md says",
        "mcp.name.startsWith()",
    ),
    in_cel(
        "cel-pattern",
        "a regular expression is not one of RE2's",
        "RE2 knows no look-around and no backreferences",
        'mcp.name.matches("[")',
    ),
    in_cel(
        "cel-too-deep",
        "the expression is nested too deeply",
        "give a part a name under `variables`",
        "!(" * 130 + "claims.a" + ")" * 130,
        "!(!(!( … claims.a … )))",
    ),
    in_cel(
        "cel-too-large",
        "the expression has too many parts",
        "use several rules, or a list and `in`",
        f"size([{'!!!!!!!!1,' * 600}1]) > 1",
        "size([!!!!!!!!1, !!!!!!!!1, … 600 times]) > 1",
    ),
    Code(
        "cel-too-long",
        PROBLEM,
        "the expression has too many characters for CEL",
        "use several rules",
        Form.WORDS,
        "an expression of more than 10,000 characters, where no policy file has refused it before",
    ),
    in_rules(
        "too-large",
        "with the policy's variables put in, the condition has too many parts",
        "use fewer of them, or several rules",
        "- {id: a, methods: [tools/call], cel: 'variables.big && variables.big'}",
        "cel: 'variables.big && variables.big'    # where `big` has 2,800 parts",
    ),
    odd_cel(
        "header-case",
        "CEL asks for a header by a name with a capital: there is none, because headers are kept by their names in lower case",
        "write the name in lower case",
        'request.headers["X-Role"] == "admin" || claims.admin',
    ),
)

IN_EL: Final = (
    in_el("el-syntax", "the text is not EL", "the place is where EL cannot go on", "{#request.method == }"),
    in_el(
        "el-no-block",
        "there is no EL block: the text stands for itself, and is no condition",
        "write `{#…}` or `{(…)}` around EL; CEL goes under `cel:`",
        "{1 == 1}",
    ),
    in_el(
        "el-assignment",
        "the condition would change something, as Spring lets it",
        "write `==` to compare",
        "{#context.attributes['user'] = 'eve'}",
    ),
    in_el(
        "el-forbidden",
        "a class, method or property that Gravitee's whitelist does not allow",
        "the methods that may be called are in docs/conditions.md",
        "{#request.method.getClass() == null}",
    ),
    in_el(
        "el-unsupported",
        "Gravitee allows it, this engine does not: `#xpath` and XML, `Calendar`, the `Format` classes",
        "a message is JSON: read it with `#jsonPath`; compare times as dates or milliseconds",
        "{#xpath(#request.content, '//x') == 'y'}",
    ),
    in_el(
        "el-nondeterministic",
        "the answer would be no fact of the request: chance, or a clock of its own",
        "the time of the request is `new java.util.Date()`",
        "{(T(java.lang.Math).random() < 1)}",
    ),
    in_el(
        "el-unknown-function",
        "there is no such function",
        "there are `#jsonPath`, `#jsonEscape` and `#xmlEscape`",
        "{#jsonpath(#request.content, '$.x') == 'y'}",
    ),
    in_el(
        "el-too-deep",
        "the condition is nested too deeply",
        "use several rules",
        "{(" + "!" * 130 + "#request.method)}",
        "{(!!!! … #request.method)}",
    ),
    in_el(
        "el-too-large",
        "the condition has too many parts",
        "use several rules, or a list and `.contains`",
        f"{{({{{'!!!!!!!!1,' * 600}1}}.size() > 1)}}",
        "{({!!!!!!!!1, !!!!!!!!1, … 600 times}.size() > 1)}",
    ),
    Code(
        "el-too-long",
        PROBLEM,
        "the condition has too many characters for Spring",
        "use several rules",
        Form.WORDS,
        "a condition of more than 10,000 characters, where no policy file has refused it before",
    ),
    odd_el(
        "el-unknown-variable",
        "there is no such variable: it is null, as in Gravitee",
        "the table of variables is in docs/conditions.md",
        "{#contxt.attributes['user'] == 'alice'}",
    ),
    odd_el(
        "el-unknown-property",
        "one of Gravitee's objects has no such property: the condition is an error",
        "use the property that the hint names",
        "{#request.methd == 'POST'}",
    ),
    odd_el(
        "el-bare-name",
        "a name stands where a variable or a text was meant: the condition is an error",
        "write `#` before a variable, and quotes around a text",
        "{(user == 'alice')}",
    ),
    odd_el(
        "el-arguments",
        "a function is given another number of arguments than it takes: the condition is an error",
        "write `#jsonPath(text, '$.name')`",
        "{#jsonPath(#request.content) == 'x'}",
    ),
    odd_el(
        "el-json-path",
        "the path is none that `#jsonPath` can use: the condition is an error",
        "write it as `$.name`, `$['name']`, `$.list[0]` or `$..name`",
        "{#jsonPath(#request.content, '$.[') == 'x'}",
    ),
    odd_el(
        "el-payload-index",
        "`oauth.payload` is a text in Gravitee, so the example of its documentation can never work",
        "write `#jsonPath(#context.attributes['oauth.payload'], '$.scopes').contains('x')`",
        "{#context.attributes['oauth.payload']['scopes'].contains('x')}",
    ),
    odd_el(
        "el-regex",
        "a pattern is none of Java's, or means something that RE2 cannot say: the condition is an error",
        "write it without look-around, backreferences and possessive quantifiers",
        "{#request.method matches '[a'}",
    ),
    Code(
        "null-below",
        FINDING,
        "null is below everything in EL, so this allow rule holds for whoever lacks the fact",
        "compare it with null first: `… != null && …`",
        Form.EL,
        "{#context.attributes['jwt.claims']['level'] < 5}",
    ),
)
