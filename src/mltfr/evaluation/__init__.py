"""Protocols, ranks, metrics and significance."""
