"""`mcp-acl` as a child that ends with whoever started it."""

from mcp_acl.cli import main
from mcp_acl.runtime.attached import Attached

if __name__ == "__main__":
    Attached()
    main()
