"""Heads that are fitted to features: what metric methods share."""
