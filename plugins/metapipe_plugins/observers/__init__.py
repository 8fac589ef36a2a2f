"""Observers: what tells trackers of a run."""
