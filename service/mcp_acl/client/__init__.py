"""A client for gateways written in Python: ask the service, and fail closed if there is no answer.

    from mcp_acl.client import Client, Question

    with Client("127.0.0.1:9191") as service:
        verdict = service.check(Question("weather", body, claims=claims, filters_responses=True))
        if not verdict:
            return verdict.denial
        answer = forward(body)
        return service.filter(verdict, answer.content_type, answer.body, answer.status)

`AsyncClient` has the same methods for asyncio. Knows neither policies nor rules: they are the service's. Names are loaded when they are first
used: to ask for health alone, again and again, takes little of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mcp_acl.client.aio import AsyncClient
    from mcp_acl.client.blocking import Client
    from mcp_acl.client.targets import Tls
    from mcp_acl.client.values import (
        CutOffError,
        FilteredResponse,
        MisuseError,
        Question,
        Report,
        ShadowVerdict,
        UnavailableError,
        Verdict,
    )

__all__ = [
    "AsyncClient",
    "Client",
    "CutOffError",
    "FilteredResponse",
    "MisuseError",
    "Question",
    "Report",
    "ShadowVerdict",
    "Tls",
    "UnavailableError",
    "Verdict",
]

_HOMES: Final = {"AsyncClient": "aio", "Client": "blocking", "Tls": "targets"}
"""The module of a name that is not one of `values`."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A public name, from the module it is defined in."""
        if name not in __all__:
            raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'values')}"), name)
