"""What plugins are put together from, by what it is for."""
