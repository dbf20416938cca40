"""The token tables of the command line's tests, which the runs were fitted with."""

from cli.conftest import store

__all__ = ["store"]
