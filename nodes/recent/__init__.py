"""Finished contexts, kept and found again, so that the same training never runs twice."""
