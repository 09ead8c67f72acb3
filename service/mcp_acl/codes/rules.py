"""Codes about rules: their methods and names, and what several of them do together."""

from typing import Final

from mcp_acl.codes.rows import in_policy, in_rules, odd_policy, odd_rules

RULES: Final = (
    in_rules(
        "unknown-method",
        'no MCP revision or listed extension has the method; under `feature: "*"` this is a finding',
        "write it as the specification does",
        "- {id: a, methods: [tools/cal]}",
    ),
    in_rules(
        "star-method",
        "`*` stands for all methods of a feature: alone, and never for a part of a name",
        'write `feature: tools` and `methods: ["*"]`, or every method out',
        "- {id: a, methods: [tools/*]}",
    ),
    in_rules(
        "other-feature",
        "a rule that states a feature names a method of another",
        "leave `feature` out: it follows from the methods",
        "- {id: a, feature: tools, methods: [prompts/get]}",
    ),
    in_rules(
        "name-without-target",
        "a name for a method that acts on nothing that has one",
        "leave `name` out, or give the method a rule of its own",
        "- {id: a, methods: [logging/setLevel], name: x}",
    ),
    in_rules(
        "literal-pattern",
        "a plain name looks like a pattern, and would match itself alone",
        "say which it is: {glob: …} or {regex: …}",
        '- {id: a, methods: [tools/call], name: "get_*"}',
    ),
    in_rules(
        "regex",
        "a name's regex is not one of RE2's, or is too large",
        "RE2 knows no look-around and no backreferences; anchors are not needed",
        '- {id: a, methods: [tools/call], name: {regex: "(a"}}',
    ),
    in_rules(
        "template",
        "a name's template is not one of RFC 6570's level 1, or is too large",
        "write it as `report://{year}/{name}`",
        '- {id: a, methods: [resources/read], name: {template: "r://{+x}"}}',
    ),
    in_rules(
        "patterns-too-large",
        "all patterns of the set together are too large",
        "use smaller counts and fewer classes, or literals",
        "\n".join(
            f'- {{id: a{at}, methods: [tools/call], name: {{regex: "{at}(abcdefgh){{900}}"}}}}' for at in range(145)
        ),
        '- {id: a0, methods: [tools/call], name: {regex: "0(abcdefgh){900}"}}    # and 144 more of this size',
    ),
    in_rules(
        "duplicate-rule",
        "two rules of a policy have one id",
        "give each its own",
        "- {id: a, methods: [tools/call], name: x}\n- {id: a, methods: [tools/call], name: y}",
    ),
    in_rules(
        "methods-and-targets",
        "a rule says twice what it is about",
        "move it into one of the targets, or do without `targets`",
        "- {id: a, methods: [tools/call], targets: [{methods: [tools/list]}]}",
    ),
    in_policy(
        "duplicate-policy",
        "two policies of the set have one id",
        "give each its own",
        "version: 1\npolicy: first\nrules: []\n",
        "policy: first    # in two files",
    ),
    in_policy(
        "variable-name",
        "a variable has a name that CEL cannot read",
        "use letters, digits and `_`, the first one no digit, and no word of CEL's own",
        'version: 1\npolicy: p\nvariables: {is-admin: "claims.admin"}\nrules: []\n',
    ),
    in_policy(
        "server-glob",
        "a sign in the name of a server that has no meaning there",
        "only `*`, any characters, and `?`, any one, have a meaning; list the servers",
        'version: 1\npolicy: p\nservers: ["(a|b)"]\nrules: []\n',
    ),
    odd_rules(
        "no-effect",
        "an allow rule on a method that is always permitted, or that the rules on another method decide",
        "write it for the method that the hint names",
        "- {id: a, methods: [ping]}",
    ),
    odd_rules(
        "dead-rule",
        "an unconditional deny rule has all that this allow rule names: no request can reach it",
        "remove one of them",
        "- {id: a, methods: [tools/call], name: x}\n- {id: b, effect: deny, methods: [tools/call]}",
    ),
    odd_rules(
        "covered-rule",
        "an unconditional rule of the same effect has all that this rule names: it changes nothing",
        "remove it",
        "- {id: a, methods: [tools/call], name: x}\n- {id: b, methods: [tools/call]}",
    ),
    odd_rules(
        "message-unused",
        "an allow rule has a message, which is never told",
        "for people, write `description`",
        "- {id: a, methods: [tools/call], name: x, message: Come in.}",
    ),
    odd_rules(
        "literal-template",
        "a literal URI looks like a template, and matches the template's own text alone",
        "write {template: …} for what it expands to",
        '- {id: a, methods: [resources/read], name: "r://{x}"}',
    ),
    odd_rules(
        "glob-sign",
        "a sign in a glob stands for itself, though other globs know it",
        "write {regex: …} for more than `*` and `?`",
        '- {id: a, methods: [tools/call], name: {glob: "[ab]*"}}',
    ),
    odd_policy(
        "unused-variable",
        "nothing uses the variable",
        "use it as `variables.NAME`, or remove it",
        'version: 1\npolicy: p\nvariables: {admin: "claims.admin"}\nrules: []\n',
    ),
    odd_policy(
        "duplicate-server",
        "a server is listed twice",
        "remove it",
        "version: 1\npolicy: p\nservers: [a, a]\nrules: []\n",
    ),
)
