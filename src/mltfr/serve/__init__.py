"""A fitted run behind an address: HTTP, JSON, one process."""
