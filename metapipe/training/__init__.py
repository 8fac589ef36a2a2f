"""The outer loop and its evaluation. Knows no store, no experiment, no screen."""
