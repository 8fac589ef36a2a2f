"""A new task: from a few examples to a predictor."""
