"""The wire cases: data files, and texts that stand for bytes."""

from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).parents[1] / "cases" / "wire"


def cases(name: str) -> Any:
    return yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8"))


def body_of(case: dict[str, str]) -> bytes:
    """`body` is text sent as UTF-8; `bytes` is text whose every character is one byte."""
    return case["body"].encode() if "body" in case else case["bytes"].encode("latin-1")
