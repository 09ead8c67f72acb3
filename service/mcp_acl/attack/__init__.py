"""Attacks as data, and what sends them: a corpus of messages and responses, a canary server, a report."""
