"""The service and Envoy in front of MCP servers, as one command.

`planning` checks what is given, `config` says what Envoy is told, `running` starts and ends all of it, `watching` tells what was decided.
It has two forms: `pair` is the service and an Envoy, `single` an Envoy that has the service inside. Nothing here decides anything.
"""

from mcp_acl.gateway import joined
from mcp_acl.gateway.config import bootstrap
from mcp_acl.gateway.finding import find_envoy, find_installation
from mcp_acl.gateway.form import GatewayError
from mcp_acl.gateway.planning import Given, Plan, advice_on, plan_of, public_url_of, settings_of, site_of
from mcp_acl.gateway.running import Ready, run
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
    "find_installation",
    "joined",
    "plan_of",
    "public_url_of",
    "run",
    "settings_of",
    "site_of",
]
