"""Initial values come from the seed alone, whatever draws them, and disturb no other thread's numbers."""

from __future__ import annotations






