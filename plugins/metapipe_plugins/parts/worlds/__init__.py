"""Worlds in torch."""
