"""Codes of what is read beside policies, and of what happens while the service runs."""

from typing import Final

from mcp_acl.codes.rows import PROBLEM, Code, Form


def _row(code: str, means: str, hint: str, form: Form, example: str) -> Code:
    return Code(code, PROBLEM, means, hint, form, example)


SERVICE: Final = (
    _row("scenario", "a scenario contradicts itself, or cannot be read as a message", "put it right as the message says", Form.SCENARIOS, "scenarios:\n  - {name: a, server: s, message: {}, raw: '{}', expect: {decision: allow}}\n"),
    _row("scenario-key", "a scenario has a key that is not known, or lacks one", "take the nearest one", Form.SCENARIOS, "scenarios:\n  - {name: a, sever: s}\n"),
    _row("scenario-value", "a key of a scenario has a value that it cannot have", "write it as the message says", Form.SCENARIOS, "scenarios:\n  - {name: '', server: s, expect: {decision: allow}}\n"),
    _row("setting", "a setting is not known, has no value it can have, or does not go with another", "`mcp-acl config` says where each comes from", Form.SETTINGS, "listn: 127.0.0.1:9191\n"),
    _row("no-policies", "the directory holds no policy file", "files are named `*.yaml`; subdirectories are not read", Form.WORDS, "an empty directory"),
    _row("remote-unreachable", "it is not known what is where the policies come from: it cannot be reached, lets nobody in, or has no such branch", "what was fetched before stays; it is asked again", Form.WORDS, "a host that does not answer"),
    _row("remote-signature", "a signature is required, and neither the commit nor its tag was signed by SSH by somebody in `policies_signers`", "sign it by a key that is in the file", Form.WORDS, "a commit made without `-S`"),
    _row("remote-content", "what was fetched holds what is not taken: a link, a name that leads elsewhere, too much, or no policy files", "put it right where it comes from", Form.WORDS, "an archive with a file `../a.yaml`"),
    _row("unreadable", "a file or directory cannot be read", "let the service read it", Form.WORDS, "a policy file that is a link to nothing"),
    _row("unsettled", "the directory kept changing while it was read", "publish a set at once, as by renaming a directory", Form.WORDS, "files that are being written, one after the other"),
    _row("internal-error", "loading failed by a fault of this program; the set before stays in force", "see the log, and report it", Form.WORDS, "none is known"),
    _row("input", "what a command was given cannot be used", "put it right as the message says", Form.WORDS, "`mcp-acl decide --json` with a message that is no JSON"),
    _row("corpus", "a file of attacks is not written as it must be", "put it right as the message says", Form.WORDS, "a class of attacks without cases"),
)  # fmt: skip
