"""First-party models, one a file."""
