"""Networks that one algorithm brings along."""
