"""First-party algorithms, one a file."""
