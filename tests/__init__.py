"""The tests of hgzoo."""
