"""The best recommender for a log in a given time: what is tried, by the study's runner, and what is chosen."""
