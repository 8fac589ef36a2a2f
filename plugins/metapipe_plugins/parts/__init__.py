"""Parts that several algorithms are put together from, one noun a file."""
