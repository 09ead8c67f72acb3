"""The service of a soak: two workers with mutual TLS, a decision log that is rotated, metrics; and what is done to it. Knows no schedule.

What it is given (policies, certificates) is put in the place of what was there by rename, as those do who run services.
"""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import psutil
import trustme

from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.rows import PREFIX

CLIENT: Final = "gateway.soak"
"""The one name that may ask."""
WORKERS: Final = 2
ALLOWED: Final = "0.02"
"""The share of what is allowed that is recorded: denials are what is looked for."""
_MOST_FILES: Final = 1000
_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 60.0
_MIB: Final = 1024.0 * 1024.0
_LOCAL: Final = "127.0.0.1"


class SoakError(Exception):
    """The soak cannot go on. The text says why."""


def put(file: Path, content: bytes) -> None:
    """In the place of what is there, at once."""
    written = file.with_name(f".{file.name}")
    written.write_bytes(content)
    written.rename(file)


# ---- certificates ----------------------------------------------------------------------------------------------------


class Authorities:
    """Who signs: for each change another authority, beside which the one before is still believed."""

    def __init__(self, directory: Path) -> None:
        self.chain, self.key, self.bundle = (directory / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self._believed: deque[trustme.CA] = deque(maxlen=2)
        self._left: trustme.CA | None = None
        self.shown = b""
        """The certificate that the service is to show."""
        self.change()
        self.tls = self.client()
        """What clients encrypt with."""

    def change(self) -> None:
        """Another authority, and a certificate of the service that it has signed. Clients keep what they have."""
        if len(self._believed) == self._believed.maxlen:
            self._left = self._believed[0]
        self._believed.append(trustme.CA())
        issued = self._believed[-1].issue_cert(_LOCAL)
        self.shown = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
        put(self.bundle, b"".join(one.cert_pem.bytes() for one in self._believed))
        put(self.key, issued.private_key_pem.bytes())
        put(self.chain, b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    def client(self) -> ssl.SSLContext:
        """Of a client with a certificate of the newest authority."""
        return self._context(self._believed[-1])

    def renew(self) -> None:
        """Give clients new certificates."""
        self.tls = self.client()

    def strangers(self) -> Mapping[str, ssl.SSLContext]:
        """Clients that must not be let in, by what is wrong with them."""
        found = {"no certificate": self._context(None), "another authority's certificate": self._context(trustme.CA())}
        return found | (
            {"a certificate of an authority that has gone": self._context(self._left)} if self._left else {}
        )

    def _context(self, signer: trustme.CA | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.bundle.read_text())
        context.set_alpn_protocols(["h2"])
        if signer is not None:
            signer.issue_cert(CLIENT).configure_cert(context)
        return context


# ---- the process -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs. `addresses` and `metrics` are of its workers; worker 0 lives as long as it, worker 1 is killed again and again."""

    directory: Path
    authorities: Authorities
    addresses: Sequence[str]
    metrics: Sequence[str]
    process: psutil.Process
    steady: int

    @property
    def log(self) -> Path:
        return self.directory / "log" / "decisions.jsonl"

    def put(self, files: Sequence[SourceFile]) -> None:
        """Policies in the place of those of the same name."""
        for file in files:
            put(self.directory / "policies" / file.name, file.content)

    def memory(self) -> dict[str, float]:
        """MiB that are resident, by process."""
        names = {self.process.pid: "supervisor", self.steady: "worker 0"}
        found = {}
        for process in (self.process, *self.process.children()):
            try:
                found[names.get(process.pid, "worker 1")] = process.memory_info().rss / _MIB
            except psutil.Error:
                continue
        return found

    def victim(self) -> psutil.Process | None:
        """Worker 1, if it lives."""
        return next((one for one in self.process.children() if one.pid != self.steady), None)

    def turned(self) -> int:
        """How many files of the log were turned by their size."""
        return sum(file.suffix[1:].isdigit() for file in self.log.parent.iterdir())


@contextmanager
def serving(directory: Path, files: Sequence[SourceFile], log_size: int) -> Iterator[Service]:
    """Run it, with everything it has under `directory`. Raises SoakError."""
    for name in ("policies", "tls", "log"):
        (directory / name).mkdir(mode=0o700)
    authorities = Authorities(directory / "tls")
    for file in files:
        put(directory / "policies" / file.name, file.content)
    metrics = _free_ports()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with (directory / "service.log").open("wb") as log:
        command = [sys.executable, "-P", "-m", "mcp_acl", "serve", "--attached"]
        command += _flags(directory, authorities, f"{_LOCAL}:{metrics}", log_size)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment)
        try:
            ready = _ready(process, directory)
            urls = [f"http://{_LOCAL}:{metrics + worker}/metrics" for worker in range(WORKERS)]
            found = psutil.Process(process.pid)
            yield Service(directory, authorities, ready["listening"], urls, found, ready["pids"][0])
        finally:
            _end(process)


def _flags(directory: Path, authorities: Authorities, metrics: str, log_size: int) -> list[str]:
    log = directory / "log" / "decisions.jsonl"
    return [
        *("--policies", str(directory / "policies"), "--host", "grpcio", "--workers", str(WORKERS)),
        *("--listen", f"{_LOCAL}:0", "--metrics-listen", metrics, "--client-names", CLIENT),
        *("--tls-cert", str(authorities.chain), "--tls-key", str(authorities.key)),
        *("--tls-client-ca", str(authorities.bundle), "--decision-log", str(log), "--log-allowed", ALLOWED),
        *("--log-size", str(log_size), "--log-files", str(_MOST_FILES)),
    ]


def _free_ports() -> int:
    """The first of as many ports in a row as there are workers."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind((_LOCAL, 0))
            port: int = first.getsockname()[1]
            try:
                second.bind((_LOCAL, port + 1))
            except (OSError, OverflowError):
                continue
            return port


def _ready(process: "subprocess.Popen[bytes]", directory: Path) -> Mapping[str, list[Any]]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SoakError(f"the service ended before it was ready: {(directory / 'service.log').read_text()}")
    found: Mapping[str, list[Any]] = json.loads(line)
    return found


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# ---- metrics ---------------------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """What metrics say of a worker."""

    revision: str
    refused: bool
    dropped: int


_REVISION: Final = re.compile(r'^mcp_acl_policies_info\{[^}]*revision="([^"]*)"', re.MULTILINE)
_REFUSED: Final = re.compile(r"^mcp_acl_policies_refused 1", re.MULTILINE)
_DROPPED: Final = re.compile(r"^mcp_acl_log_dropped_total\{[^}]*deny[^}]*\} ([0-9.e+]+)", re.MULTILINE)


def told_by(url: str) -> Told | None:
    """What the metrics of a worker say; None where there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10.0) as answer:  # noqa: S310 - our own
            text = answer.read().decode()
    except OSError:
        return None
    revision, dropped = _REVISION.search(text), _DROPPED.search(text)
    return Told(revision[1] if revision else "", bool(_REFUSED.search(text)), int(float(dropped[1])) if dropped else 0)


# ---- the log ---------------------------------------------------------------------------------------------------------


class Record(msgspec.Struct):
    """What is looked at of a record."""

    kind: str
    id: str
    effect: str = ""
    reason: str = ""
    revision: str = ""


@dataclass(slots=True)
class Found:
    """What the log holds of the denials that clients were told. `torn`: lines that are none; `other`: records that say something else."""

    files: int = 0
    lines: int = 0
    bytes: int = 0
    torn: int = 0
    twice: int = 0
    other: int = 0
    lost: int = 0


def found_in(directory: Path, denied: Mapping[str, tuple[str, str]]) -> Found:
    """Look every denial up, by its id, in all files of a log."""
    found, missing = Found(), dict(denied)
    decoder = msgspec.json.Decoder(Record)
    for file in sorted(directory.iterdir()):
        found.files += 1
        found.bytes += file.stat().st_size
        with file.open("rb") as lines:
            for line in lines:
                found.lines += 1
                _take(line, decoder, denied, missing, found)
    found.lost = len(missing)
    return found


def _take(
    line: bytes,
    decoder: "msgspec.json.Decoder[Record]",
    denied: Mapping[str, tuple[str, str]],
    missing: dict[str, tuple[str, str]],
    found: Found,
) -> None:
    try:
        record = decoder.decode(line)
    except msgspec.MsgspecError:
        found.torn += 1
        return
    if record.kind != "decision" or record.id not in denied:
        return
    said = missing.pop(record.id, None)
    if said is None:
        found.twice += 1
    elif (record.effect, record.reason, record.revision) != ("deny", *said):
        found.other += 1
