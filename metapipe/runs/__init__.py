"""A run with its records: train, resume, evaluate."""
