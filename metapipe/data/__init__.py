"""Episodes from files, rows and arrays: what data sets are made of."""
