"""The command line as a program, `mcp-acl` and `python -m mcp_acl`.

A health check is begun every few seconds, and what reads command lines would take most of its time. So the plainest one, which gives nothing but
an address, a service and a time to wait, is made here; whatever else is given, and whatever cannot be used, is for `mcp_acl.cli`.
"""

import sys
from collections.abc import Sequence
from typing import Final

_PLAIN: Final = {"--address": "127.0.0.1:9191", "--service": "", "--timeout": "2"}
"""Flags of `health` that take a value, and their defaults."""


def main() -> None:
    """Run the command line and end the process."""
    code = _health(sys.argv[2:]) if sys.argv[1:2] == ["health"] else None
    if code is not None:
        sys.exit(code)
    from mcp_acl.cli import main as command_line  # noqa: PLC0415 - as above

    command_line()


def _health(given: Sequence[str]) -> int | None:
    """The exit code of a health check; None: this is not for here."""
    flags = {**_PLAIN, **dict(zip(given[::2], given[1::2], strict=False))}
    if len(given) % 2 or flags.keys() != _PLAIN.keys() or not all(map(_is_plain, flags.values())):
        return None
    from mcp_acl.client.health import ask_health  # noqa: PLC0415 - of the command line nobody else wants it
    from mcp_acl.client.values import MisuseError, UnavailableError  # noqa: PLC0415

    address, service, timeout = flags.values()
    try:
        is_serving = ask_health(address, service, timeout=float(timeout))
        sys.stdout.write(f"{address}: {'serving' if is_serving else 'not serving'}\n")
        sys.stdout.flush()
    except UnavailableError as error:
        if not str(error).isprintable():
            return None
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (MisuseError, ValueError, OSError):
        return None
    return 0 if is_serving else 1


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and not value.startswith("-")


if __name__ == "__main__":
    main()
