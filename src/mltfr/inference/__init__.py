"""Streaming scores and top-k over all items."""
