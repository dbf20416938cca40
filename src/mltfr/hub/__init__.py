"""Sharing runs on the Hugging Face hub, and taking them from there; huggingface-hub is imported on use."""

from mltfr.hub.shareable import Shareable

__all__ = ["Shareable"]
