"""`mcp-acl` as a child that ends with whoever started it: when its standard input closes, whatever closed it."""

import os
import signal
import threading

from mcp_acl.cli import main


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_input, daemon=True).start()
    main()
