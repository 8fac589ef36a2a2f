"""What is run: plugins, settings, and where they come from."""
