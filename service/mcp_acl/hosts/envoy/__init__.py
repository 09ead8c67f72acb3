"""The second host, experimental: Python inside an Envoy process, by the `pyvoy` module, with a configuration of our own.

`run` is called where grpcio's is. It starts Envoy, checks it, keeps its certificates current, and drains and ends it. What is served is
made inside, by a function that is named to it.
"""

from mcp_acl.hosts.envoy.installation import EnvoyMissingError, Installation
from mcp_acl.hosts.envoy.process import EnvoyError
from mcp_acl.hosts.envoy.running import Engine, run
from mcp_acl.hosts.envoy.told import Served

__all__ = ["Engine", "EnvoyError", "EnvoyMissingError", "Installation", "Served", "run"]
