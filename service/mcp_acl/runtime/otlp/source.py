"""What all that is sent has in common: where to, and who sends it."""

import os
import socket
import uuid
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

SCOPE: Final = InstrumentationScope("mcp_acl")


def _version() -> str:
    try:
        return version("mcp-acl")
    except PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True)
class Source:
    """`endpoint` is a collector's base URL. Headers, certificates, compression and timeouts are those of `OTEL_EXPORTER_OTLP_…`."""

    endpoint: str
    resource: Resource = field(
        default_factory=lambda: Resource.create(
            {
                "service.name": os.environ.get("OTEL_SERVICE_NAME", "mcp-acl"),
                "service.version": _version(),
                "service.instance.id": str(uuid.uuid4()),
                "host.name": socket.gethostname(),
                "process.pid": os.getpid(),
            }
        )
    )

    def url(self, signal: str) -> str:
        """Where a signal goes (OTLP specification, "OTLP/HTTP Request")."""
        return f"{self.endpoint.rstrip('/')}/v1/{signal}"
