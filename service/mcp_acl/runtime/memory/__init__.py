"""What outlives a message: who made which task, and what the tools of a server say of themselves.

One file for all workers of a service, or memory of one process. Bounded and expiring. It is asked while deciding, so it never raises and
never waits long: what cannot be read is not known, and what is not known is denied.
"""

from mcp_acl.runtime.memory.file import StoreError
from mcp_acl.runtime.memory.knowledge import Bounds, Given, Knowledge, Memory

__all__ = ["Bounds", "Given", "Knowledge", "Memory", "StoreError"]
