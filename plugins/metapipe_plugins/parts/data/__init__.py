"""Folders, lists and tables of classes: what data sets share."""
