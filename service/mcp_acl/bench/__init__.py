"""Measuring: load that does not wait, latency as a client sees it, CPU as the operating system counts it. Knows no rules.

What is asked is an `Exchange`, what asks is a `Line`, when it is asked is a loop, what came of it is a `Round`. Servers are processes, and
never this one.
"""
