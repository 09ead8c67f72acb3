"""The gateway and what decides for it as one Envoy: what both are told anyway, put together. Pure.

The service is a listener that is reached by name from inside that Envoy alone. Nothing of either side is said here again.
"""

from pathlib import Path
from typing import Final

from mcp_acl.gateway import config
from mcp_acl.hosts.envoy.config import Config, internal, name_of, typed
from mcp_acl.hosts.envoy.config import Site as HostSite
from mcp_acl.hosts.envoy.config import bootstrap as host_bootstrap
from mcp_acl.hosts.listening import Listener
from mcp_acl.runtime.address import parse_address
from mcp_acl.runtime.settings import Settings
from mcp_acl.server import limits_of

SERVICE: Final = internal(name_of(0))
"""The address of the service."""
_INTERNAL_LISTENERS: Final[Config] = {
    "name": "envoy.bootstrap.internal_listener",
    "typed_config": typed("extensions.bootstrap.internal_listener.v3.InternalListener", {}),
}


def bootstrap(site: config.Site, settings: Settings, directory: Path, module: Path) -> Config:
    """All of it. `directory` and `module` are those of the service's host. Whatever reaches the service is in this Envoy, and may ask it."""
    listener = Listener(parse_address(settings.listen), {})
    host = host_bootstrap({name_of(0): (listener, SERVICE)}, HostSite(limits_of(settings), directory, module))
    gateway = config.bootstrap(site._replace(service=SERVICE))
    there, here = host["static_resources"], gateway["static_resources"]
    listeners = {"listeners": [*there["listeners"], *here["listeners"]]}
    return {
        **gateway,
        **host,
        "bootstrap_extensions": [_INTERNAL_LISTENERS],
        "static_resources": {**there, **here, **listeners},
    }
