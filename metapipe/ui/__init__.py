"""The page in a browser: what the store, the data and the plugins tell, to look at.

A file a page has its routes and makes its context; `templates/` says how it looks.
Importing what is here needs the extra `ui`.
"""
