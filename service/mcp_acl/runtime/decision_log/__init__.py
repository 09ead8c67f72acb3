"""The decision log: a record of every decision, and of what became of responses, kept until it is written, whatever ends the process."""

from mcp_acl.runtime.decision_log.file import LogFile, Output
from mcp_acl.runtime.decision_log.log import DecisionLog, Kept, LogError, Sink
from mcp_acl.runtime.decision_log.record import Masking
from mcp_acl.runtime.decision_log.shown import found_in

__all__ = ["DecisionLog", "Kept", "LogError", "LogFile", "Masking", "Output", "Sink", "found_in"]
