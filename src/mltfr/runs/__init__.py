"""Run folders: what a fitted recommender looks like on disk."""
