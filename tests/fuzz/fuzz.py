"""Fuzz one target with atheris, which is not among what the project needs: `pip install atheris` in an environment that has it too.

    PYTHONPATH=.:service python tests/fuzz/fuzz.py cel -max_total_time=1800 -timeout=20 /tmp/found-cel

Arguments after the target are libFuzzer's; a directory among them takes what is found. Starts from the corpus and from the texts
of `cases/expr`; a file that fails is written to the working directory, to be mended; then its bytes, escaped
as in Python, are a line of the corpus. Without arguments beyond the target it runs for 30 minutes.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import atheris
import yaml

HERE = Path(__file__).parent
CASES = HERE.parent / "cases" / "expr"

with atheris.instrument_imports(include=["mcp_acl", "celpy", "tests.fuzz"]):
    from mcp_acl.expr.cel.functions import GLOBALS, METHODS
    from mcp_acl.expr.cel.macros import GLOBAL_MACROS, METHOD_MACROS
    from tests.fuzz.targets import TARGETS, corpus


def _texts(data: object) -> Iterator[str]:
    """Every text in a file of cases."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for one in data.values() if isinstance(data, dict) else data:
            yield from _texts(one)


def _cases(target: str) -> list[str]:
    file = CASES / ("cel.yaml" if target == "cel" else "el.yaml")
    return list(dict.fromkeys(_texts(yaml.safe_load(file.read_text("utf-8")))))


def _seeds(target: str) -> list[bytes]:
    texts = [text.encode("utf-8", "surrogateescape") for text in _cases(target) if text.isprintable()]
    if target != "names":
        return texts
    words = {word for text in texts for word in re.findall(rb"[A-Za-z_#'\"\\][^ (),]*", text)}
    return [bytes([position]) + word for word in sorted(words)[::7] for position in range(0, 22, 5)]


def _words(target: str) -> set[str]:
    found = {word for text in _cases(target) for word in re.findall(r"[#@A-Za-z_][\w.]*|[^\w\s]{1,3}|\d+\w*", text)}
    if target == "cel":
        found |= {*GLOBALS, *METHODS, *(name for name, _ in (*GLOBAL_MACROS, *METHOD_MACROS))}
    if target == "names":
        found = {"__class__", "__builtins__", "__import__", "exec", "lambda", "\0", "1e400", "0x7fffffffffffffff"}
        found |= {
            "9" * 30,
            "t1",
            "k1",
            "s",
            "n",
            "e",
            "Error",
            "Meter",
            "run",
            "ｔ1",
            "𝓉1",
            "ﬁ",
            "\\u0000",
            "\\\\",
            "'''",
        }
    return found


def _dictionary(target: str) -> str:
    words = [word.encode("utf-8", "replace") for word in sorted(_words(target))]
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words)


def main() -> None:
    target = sys.argv[1]
    options = sys.argv[2:] or ["-max_total_time=1800", "-timeout=20"]
    with tempfile.TemporaryDirectory() as made:
        dictionary, seeds = Path(made) / "dict", Path(made) / "seeds"
        dictionary.write_text(_dictionary(target))
        seeds.mkdir()
        for number, seed in enumerate([*_seeds(target), *corpus(target)]):
            (seeds / str(number)).write_bytes(seed)
        given = [one for one in options if not one.startswith("-")]
        flags = [one for one in options if one.startswith("-")]
        atheris.Setup([sys.argv[0], *flags, f"-dict={dictionary}", "-max_len=400", *given, str(seeds)], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
