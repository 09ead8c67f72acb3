"""Conditions: one tree, two evaluators, two languages."""
