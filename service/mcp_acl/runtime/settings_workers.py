"""Settings of the processes that decide: a part of `Settings`."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, Field

from mcp_acl.runtime.settings_fields import Seconds

_SHORTEST_SILENCE: Final = 1.0


def _silence(seconds: float) -> float:
    if 0 < seconds < _SHORTEST_SILENCE:
        raise ValueError(f"it must be 0 (for ever) or at least {_SHORTEST_SILENCE:g}")
    return seconds


class WorkerSettings(BaseModel):
    """What becomes of a process that hangs."""

    worker_timeout: Annotated[Seconds, AfterValidator(_silence)] = Field(
        default=30.0,
        description="Seconds that one of several workers, or Envoy with the host `envoy`, may be silent when it is asked whether it is alive, before "
        "it is killed and replaced; 0: for ever, else 1 or more. 30, because nothing that is alive is silent for so long, even on a machine "
        "that does much else; health checks leave it long before.",
    )
