"""The same scenario as users of other engines would write it: a module for each, which says how and why.

A module has `PACKAGE`, the package it needs; `FORMS`, ways to ask by name, the first as its documentation advises; and some have `BATCHES`, which ask
all questions in one call.
"""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Final

RIVALS: Final[Mapping[str, str]] = {
    "mcp-acl": "ours",
    "C++ CEL": "cpp_cel",
    "cel-python": "py_cel",
    "Cedar": "cedar",
    "Casbin": "pycasbin",
    "rego-cpp": "rego",
}
"""The module of each."""


class RivalMissingError(Exception):
    """A package, or a program, is not installed."""


def rival(name: str) -> ModuleType:
    """Its module. Raises RivalMissingError."""
    try:
        return importlib.import_module(f"rivals.{RIVALS[name]}")
    except ImportError as error:
        raise RivalMissingError(f"{name}: {error.name or error}") from error
