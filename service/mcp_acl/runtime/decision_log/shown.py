"""Records of a decision log, found again by the id that a client was told. Knows no queue."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from mcp_acl.runtime.decision_log.file import LogFile


def found_in(path: Path, decision_id: str) -> Iterator[dict[str, Any]]:
    """Every record of a decision, each once, the oldest first. Lines that are none are passed over. Raises OSError if there is no log."""
    wanted = decision_id.encode()
    seen: set[bytes] = set()
    for file in _files(path):
        with file.open("rb") as lines:
            for line in lines:
                if wanted in line and line not in seen and (record := _record(line)).get("id") == decision_id:
                    seen.add(line)
                    yield record


def _files(path: Path) -> Iterator[Path]:
    """The older ones first. Raises FileNotFoundError if there is not one."""
    number = 1
    while LogFile.named(path, number).exists():
        number += 1
    older = [LogFile.named(path, one) for one in range(number - 1, 0, -1)]
    yield from older
    if path.exists() or not older:
        path.stat()
        yield path


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}
    return record if isinstance(record, dict) else {}
