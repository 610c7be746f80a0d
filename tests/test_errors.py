"""Errors say what was wrong and what to do."""

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


def test_every_error_is_an_hgzoo_error() -> None:
    for error in (
        errors.ConfigError,
        errors.UnknownNameError,
        errors.InputError,
        errors.OutputError,
        errors.DataError,
        errors.WeightsError,
        errors.MissingExtraError,
    ):
        assert issubclass(error, errors.HgzooError)
