"""`mcp-acl sync`: policies from elsewhere into a directory, once or for as long as it runs."""

import signal
import threading
from typing import Annotated

import typer

from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.flags import with_settings
from mcp_acl.cli.inputs import AsJson
from mcp_acl.cli.printing import print_lines, print_record, without_log
from mcp_acl.cli.refusals import print_problems, problems_record, reading
from mcp_acl.runtime.loading import Loaded
from mcp_acl.runtime.remote.cache import Cache
from mcp_acl.runtime.remote.follower import followed
from mcp_acl.runtime.settings_remote import remote_of
from mcp_acl.server import log_to_stderr


@with_settings
def command(
    loaded: Loaded,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until SIGTERM or SIGINT.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch policies, and put them into `current` in the directory `policies` if the service could use them.

    For an init container or a sidecar: the service beside it is given that `current` for its `policies`, and tells what was refused. It takes
    the settings of `serve`. Exit codes: 0 it is in step; 1 what is newest was not taken, and what was there stays; 2 there is nothing.
    """
    settings = loaded.settings
    remote = remote_of(settings)
    if remote is None:
        raise InputError("--policies-from: it is missing; it says where the policies come from")
    stop = threading.Event()
    without_log()
    if follow:
        log_to_stderr()
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: stop.set())
    with (
        reading(settings.policies),
        followed(remote, settings.policies, settings.policies_interval if follow else 0) as current,
    ):
        is_in_step = _tell(Cache(settings.policies), str(current), as_json=as_json)
        if follow:
            stop.wait()
            return
    raise typer.Exit(Exit.FINE if is_in_step else Exit.DENIED)


def _tell(cache: Cache, current: str, *, as_json: bool) -> bool:
    """What is in the directory now, and what is wrong with what is newest; whether nothing is."""
    state = cache.state()
    problems = () if state.trouble is None else state.trouble.problems
    if as_json:
        print_record({"directory": current, "commit": state.commit, **problems_record(problems)})
        return not problems
    if problems:
        print_problems(cache.directory, problems, err=True)
    print_lines(f"{'kept' if problems else 'in step'}: {current}{state.commit and f', commit {state.commit}'}")
    return not problems
