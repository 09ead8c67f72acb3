"""`python -m mcp_acl` is the command line."""

from mcp_acl.cli import main

if __name__ == "__main__":
    main()
