"""Writes what the pages take from the code; see `docs/make/__main__.py`. Not part of the site."""
