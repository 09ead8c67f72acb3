"""Codes about files: YAML, and the shape of a policy."""

from typing import Final

from mcp_acl.codes.rows import in_policy, in_rules

_HEAD: Final = "version: 1\npolicy: p\n"

SHAPE: Final = (
    in_policy("missing-key", "a key that must be there is not", "write it", "policy: p\nrules: []\n"),
    in_policy("unknown-key", "there is no such key", "the hint names the nearest", _HEAD + "rule: []\nrules: []\n"),
    in_rules(
        "empty-value",
        "null, an empty text, list or mapping: it never means the same as nothing",
        "give it a value or take it out",
        "- {id: a, methods: []}",
    ),
    in_rules("wrong-type", "a value is of another type than the key takes", "write it as the hint says", "- {id: a, methods: x}"),
    in_rules("wrong-value", "a value is none of those that the key takes", "take one of them", "- {id: a, effect: dney, methods: [ping]}"),
    in_rules("wrong-id", "an id has a sign that ids have not", "use letters, digits, `.`, `_` and `-`", "- {id: a b, methods: [ping]}"),
    in_rules("name-pattern", "a name pattern is of two kinds, or of none that is known", "write a list of patterns", "- {id: a, methods: [tools/call], name: {glob: a, regex: b}}"),
    in_rules(
        "too-long",
        "a text or a list is longer than it may be",
        "shorten it, or use several rules",
        f"- {{id: a, effect: deny, methods: [tools/call], message: {'x' * 1001}}}",
        "- {id: a, effect: deny, methods: [tools/call], message: xxx…}    # 1,001 times",
    ),
    in_rules(
        "more",
        "there are more of the same kind than are shown",
        "put right what is shown, and look again",
        "\n".join(f"- {{id: a{at}, methods: [tools/cal]}}" for at in range(102)),
        "102 rules with `methods: [tools/cal]`",
    ),
)  # fmt: skip

FILES: Final = (
    in_policy("yaml-syntax", "the file is not YAML", "mostly a value that must stand in quotes", _HEAD + "rules: [\n"),
    in_policy("yaml-tab", "a tab indents a line", "indent with spaces", "version: 1\npolicy: p\nrules:\n\t- {id: a}\n"),
    in_policy("yaml-empty", "the file is empty", "begin with `version: 1` and `policy: <id>`", "# nothing\n"),
    in_policy("yaml-documents", "a file holds two YAML documents", "put the second into a file of its own", _HEAD + "rules: []\n---\nversion: 1\n"),
    in_policy("yaml-duplicate-key", "a key stands twice in one mapping", "keep one of them", _HEAD + "rules: []\nrules: []\n"),
    in_policy("yaml-key", "a key is no text", "write `key: value`", _HEAD + "? [a]\n: b\nrules: []\n"),
    in_policy("yaml-alias", "YAML's anchors and aliases are not read", "write the value out, or put it in quotes", _HEAD + "servers: [*a]\nrules: []\n"),
    in_policy("yaml-tag", "YAML's tags are not read", "put the value in quotes", _HEAD + "servers: [!a b]\nrules: []\n"),
    in_policy("yaml-directive", "YAML's directives are not read", "remove the line", "%YAML 1.2\n---\n" + _HEAD + "rules: []\n"),
    in_policy("yaml-number", "a number has too many digits", "put it in quotes", "version: 1\npolicy: 12345678901234567890\nrules: []\n"),
    in_policy("yaml-depth", "mappings and lists are nested too deeply", "a policy needs no such depth", _HEAD + "rules: " + "[" * 40 + "]" * 40 + "\n", "rules: [[[[[[…]]]]]]"),
    in_policy("yaml-size", "a file has too many keys and values", "split it: all files of the directory are one set", _HEAD + "rules: [" + "a," * 200_001 + "]\n", "rules: [a,a,a,…]    # 200,001 times"),
    in_policy("file-size", "a file is too large", "split it: all files of the directory are one set", "#" * (1024 * 1024 + 1), "a file of more than 1,048,576 bytes"),
    in_policy("file-encoding", "a file is not UTF-8 without a byte order mark", "save it as UTF-8", "\ufeff" + _HEAD + "rules: []\n", "U+FEFF before `version: 1`"),
    in_policy("file-character", "a character that nobody sees", 'remove it, or write it as "\\u202e" in double quotes', _HEAD + "description: a\u202eb\nrules: []\n", "description: ab    # with U+202E between the letters"),
)  # fmt: skip
