"""Functional calls, gradients, losses, and tasks mapped: what algorithms compute with."""
