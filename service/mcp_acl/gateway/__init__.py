"""The service and Envoy in front of MCP servers, as one command.

`planning` checks what is given, `config` says what Envoy is told, `running` starts and ends both, `watching` tells what was decided.
Nothing here decides anything.
"""

from mcp_acl.gateway.config import bootstrap
from mcp_acl.gateway.finding import find_envoy
from mcp_acl.gateway.planning import Given, Plan, advice_on, plan_of, public_url_of, settings_of, site_of
from mcp_acl.gateway.running import GatewayError, Ready, run
from mcp_acl.gateway.telling import Teller
from mcp_acl.gateway.upstreams import UNNAMED, GivenError
from mcp_acl.gateway.watching import Seen

__all__ = [
    "UNNAMED",
    "GatewayError",
    "Given",
    "GivenError",
    "Plan",
    "Ready",
    "Seen",
    "Teller",
    "advice_on",
    "bootstrap",
    "find_envoy",
    "plan_of",
    "public_url_of",
    "run",
    "settings_of",
    "site_of",
]
