"""Gravitee's expression language: text to trees over Java's values."""
