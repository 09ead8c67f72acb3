"""Says as JSON where Envoy is, to a test that runs in an environment that has none."""

import json
import sys

from mcp_acl.hosts.envoy import Installation

if __name__ == "__main__":
    found = Installation.of_this_python()
    sys.stdout.write(json.dumps([str(found.binary), str(found.module), dict(found.environment)]))
