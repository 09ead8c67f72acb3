"""A client for gateways written in Python: ask the service, and fail closed if there is no answer.

    from mcp_acl.client import Client, Question

    with Client("127.0.0.1:9191") as service:
        verdict = service.check(Question("weather", body, claims=claims, filters_responses=True))
        if not verdict:
            return verdict.denial
        answer = forward(body)
        return service.filter(verdict, answer.content_type, answer.body, answer.status)

`AsyncClient` has the same methods for asyncio. Knows neither policies nor rules: they are the service's.
"""

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
