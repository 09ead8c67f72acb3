"""What carries bytes: each module serves one table of handlers over one kind of server."""
