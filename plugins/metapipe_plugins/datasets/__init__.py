"""First-party datasets, one a file."""
