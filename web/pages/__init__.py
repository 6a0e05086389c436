"""One module a page; each a blueprint of short views."""
