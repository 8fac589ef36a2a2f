"""What records say, as names and values for people: for the terminal and the page."""
