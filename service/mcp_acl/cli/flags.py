"""Every setting as a flag: the signature of a subcommand that runs by settings, read off the model."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mcp_acl.cli.exits import RefusedError
from mcp_acl.runtime.loading import CONFIG, Loaded, SettingsError, load_settings
from mcp_acl.runtime.rows import ROWS, Row
from mcp_acl.runtime.settings_remote import RemoteSettings
from mcp_acl.runtime.settings_watched import WatchedSettings

REMOTE: Final = tuple(RemoteSettings.model_fields)
"""Settings that say where policies come from."""
WATCHED: Final = tuple(WatchedSettings.model_fields)
"""Settings that say what is told of decisions."""

_CONFIG: Final = typer.Option(
    "--config", metavar="FILE", show_default=False, help=f"A YAML file of settings. Or {CONFIG}; see `mcp-acl config`."
)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The subcommand, which takes the loaded settings first, as one that takes every flag instead.

    What cannot be used of them is `RefusedError`.
    """

    def run(config: Path | None, **given: Any) -> None:
        flags = {name: given.pop(name) for name in ROWS}
        try:
            loaded = load_settings(flags, os.environ, config)
        except SettingsError as error:
            raise RefusedError(Path(), error.problems) from None
        command(loaded, **given)

    config = Parameter("config", Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[Path | None, _CONFIG])
    _, *own = signature(command).parameters.values()
    own = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in own]
    run.__doc__ = command.__doc__
    run.__signature__ = Signature([*_flags(ROWS.values()), config, *own])  # type: ignore[attr-defined]
    return run


def with_some(names: Sequence[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """For a subcommand that takes what was given of some settings first: the same as one that takes a flag for each of them."""
    rows = [ROWS[name] for name in names]

    def taking(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            some = {row.name: given.pop(row.name) for row in rows}
            command({name: value for name, value in some.items() if value is not None}, **given)

        _, *own = signature(command).parameters.values()
        run.__doc__ = command.__doc__
        run.__signature__ = Signature([*own, *_flags(rows)])  # type: ignore[attr-defined]
        return run

    return taking


def settings_by(flags: Mapping[str, object]) -> Loaded:
    """The settings that flags alone say. Raises RefusedError for what cannot be used."""
    try:
        return load_settings(flags, {}, None)
    except SettingsError as error:
        raise RefusedError(Path(), error.problems) from None


def _flags(rows: Iterable[Row]) -> Iterator[Parameter]:
    """Yes and no are a flag each, so that the command line can say either whatever the environment says."""
    for row in rows:
        kind: Any = bool if row.kind is bool else list[str] if row.kind is tuple else str
        flag, metavar = (f"{row.flag}/--no-{row.flag[2:]}", None) if row.kind is bool else (row.flag, row.metavar)
        option = typer.Option(flag, metavar=metavar, help=row.meaning, show_default=False)
        yield Parameter(row.name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option])
