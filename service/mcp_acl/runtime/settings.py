"""Every setting of the service: one model, read from flags, environment and a file, in this order."""

from pathlib import Path

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """How the service runs."""

    policies: Path
    host: str = "grpcio"  # or "envoy"
    listen: str = "127.0.0.1:9191"
    admin_listen: str = ""  # where Explain, GetPolicySet and reflection are served; empty: nowhere
    workers: int = 1
    insecure: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    client_names: tuple[str, ...] = ()  # mTLS names that may call Check and the like; empty: every client the CA signed
    admin_names: tuple[str, ...] = ()  # mTLS names that may call Explain and the like on `listen` too
    socket_mode: str = "0600"
    drain: float = 0.0
    reload: float = 0.5  # seconds between looks at the policy directory; 0: never
    max_request: int = 16 * 1024 * 1024
    max_calls: int = 1000
    message_timeout: float = 30.0
    keepalive: float = 60.0
