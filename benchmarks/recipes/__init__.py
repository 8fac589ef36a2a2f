"""What is trained and tested, and what was published of it, by field."""
