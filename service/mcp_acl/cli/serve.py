"""`mcp-acl serve`: run the gRPC service."""

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

from mcp_acl.cli.exits import InputError, RefusedError
from mcp_acl.cli.flags import with_settings
from mcp_acl.cli.inputs import AsJson
from mcp_acl.cli.printing import Record, print_record
from mcp_acl.cli.records import policy_records
from mcp_acl.cli.refusals import print_problems, reading
from mcp_acl.hosts.envoy import EnvoyError, EnvoyMissingError
from mcp_acl.hosts.listening import ListenError
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime import supervisor
from mcp_acl.runtime.attached import Attached
from mcp_acl.runtime.certificates import CertificateError
from mcp_acl.runtime.decision_log import LogError
from mcp_acl.runtime.loading import Loaded
from mcp_acl.runtime.memory import StoreError
from mcp_acl.runtime.metrics import MetricsError
from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.supervisor import WorkerError
from mcp_acl.server import log_to_stderr, serve, supervise

_BY_SETTING: Final[Mapping[type[Exception], str]] = {
    ListenError: "listen",
    CertificateError: "tls_cert",
    StoreError: "store",
    LogError: "decision_log",
    MetricsError: "metrics_listen",
}
"""Which setting is to blame for what cannot be used."""


@with_settings
def command(
    loaded: Loaded,
    as_json: AsJson = False,
    attached: Annotated[bool, typer.Option("--attached", hidden=True)] = False,
    standby: Annotated[bool, typer.Option("--standby", hidden=True)] = False,
) -> None:
    """Serve until SIGTERM or SIGINT. The first line on standard output says where.

    `--attached` is for whoever starts it as a part of something: it ends when its standard input closes, whatever closed it, and once it is ready
    it answers by a byte when something comes there. With `--standby`, too, it says by another line before that it has loaded everything, and
    listens when something has come.
    """
    _open_standard_streams()
    log_to_stderr()
    attachment = Attached() if attached or standby else None
    try:
        with reading(loaded.settings.policies):
            _serve(loaded.settings, attachment, standby=standby, as_json=as_json or attachment is not None)
    except tuple(_BY_SETTING) as error:
        name = _BY_SETTING[type(error)]
        raise RefusedError(loaded.settings.policies, [loaded.origins[name].problem(name, str(error))]) from None
    except (WorkerError, EnvoyError, EnvoyMissingError) as error:
        raise InputError(str(error)) from None


def _open_standard_streams() -> None:
    """Something on each of the three descriptors: what is opened next would be taken for one of them otherwise."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _serve(settings: Settings, attachment: Attached | None, *, standby: bool, as_json: bool) -> None:
    def everything_is_loaded() -> None:
        if standby and attachment is not None:
            print_record({"loaded": True})
            attachment.wait()

    def ready_together(workers: Sequence[supervisor.Record]) -> None:
        _ready_together(workers, as_json=as_json)
        _answer(attachment)

    def ready(bound: Sequence[str], found: PolicySet) -> None:
        _ready(settings, bound, found, as_json=as_json)
        _answer(attachment)

    if settings.workers > 1:
        supervise(settings, ready_together)
    else:
        serve(settings, ready, everything_is_loaded)


def _answer(attachment: Attached | None) -> None:
    if attachment is not None:
        attachment.answer()


def _ready(settings: Settings, bound: Sequence[str], found: PolicySet, *, as_json: bool) -> None:
    if found.findings:
        print_problems(settings.policies, found.findings, err=True)
    told = {"revision": found.revision, "policies": policy_records(found)}
    record = {"listening": list(bound), "pids": [os.getpid()], **told}
    _print_ready(bound, record, as_json=as_json)


def _ready_together(workers: Sequence[supervisor.Record], *, as_json: bool) -> None:
    """What the first worker said, and where each listens."""
    bound = [address for worker in workers for address in worker["listening"]]
    pids = [pid for worker in workers for pid in worker["pids"]]
    _print_ready(bound, {**workers[0], "listening": bound, "pids": pids}, as_json=as_json)


def _print_ready(listening: Sequence[str], record: Record, *, as_json: bool) -> None:
    if as_json:
        print_record(record)
    else:
        typer.echo(f"listening on {', '.join(listening)}")
