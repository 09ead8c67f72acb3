"""`mcp-acl` as a child that ends with whoever started it."""

from mcp_acl.cli import main
from mcp_acl.runtime.supervisor import end_with_input

if __name__ == "__main__":
    end_with_input()
    main()
