"""Errors say what was wrong and what to do."""

import re

import pytest

from hgzoo import errors


def test_an_unknown_name_names_the_near_ones() -> None:
    error = errors.UnknownNameError("model", "hg9", ["hg8", "hg2", "other"])
    assert str(error) == "unknown model 'hg9'; did you mean hg8, hg2?"


def test_an_unknown_name_without_near_ones_names_all() -> None:
    assert str(errors.UnknownNameError("loss", "zzz", ["mse", "ce"])).endswith("ce, mse?")


def test_a_missing_package_names_the_extra() -> None:
    with pytest.raises(errors.MissingExtraError, match=r'pip install "hgzoo\[train\]"'):
        errors.require("hgzoo_no_such_package.part", extra="train")


ERRORS = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and one.__module__ == errors.__name__
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_an_hgzoo_error_and_in_the_tree_of_the_docstring(error: type) -> None:
    assert issubclass(error, errors.HgzooError)
    assert re.search(rf"\b{error.__name__}\b", errors.__doc__ or "")
