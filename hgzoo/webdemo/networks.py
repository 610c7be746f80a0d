"""The networks that a page offers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from hgzoo import factory, recipes, sources
from hgzoo.decoders import DECODERS
from hgzoo.errors import UnknownNameError, WeightsError
from hgzoo.predict import Predictor

KEPT = 2
"""Networks that stay in memory, each with its decoder."""


class Networks:
    """Those that were named, those that come with the package, and those that lie in the cache.

    None of them is downloaded because a visitor chose it; one that was named is, when it is first
    read.

    Args:
        named: Names of the zoo, checkpoint files, folders, or files of `hgzoo export`, the
            default first.

    Raises:
        UnknownNameError: No such variant or weights.
        WeightsError: A variant has no weights.
    """

    def __init__(self, named: Sequence[str]) -> None:
        self._sources = {_name(source): source for source in named}
        self._sources |= {name: name for name in at_hand() if name not in self._sources}

    @property
    def names(self) -> list[str]:
        """What visitors may choose from, the default first; never a path."""
        return list(self._sources)

    def predictor(self, name: str, *, decoder: str = "") -> Predictor:
        """Return a network by its name, read once.

        Args:
            name: One of `names`.
            decoder: A key of `hgzoo.decoders.DECODERS`; "" takes the one the weights come with.

        Raises:
            UnknownNameError: It is not offered.
            WeightsError: It cannot be read.
            ConfigError: A file of `hgzoo export` holds another decoder.
        """
        if name not in self._sources:
            raise UnknownNameError("network", name, self._sources)
        if decoder and decoder not in DECODERS:
            raise UnknownNameError("decoder", decoder, DECODERS)
        return _predictor(self._sources[name], decoder)


def at_hand() -> list[str]:
    """Return the names of the zoo's weights that need no download, those of the package first.

    Those of the finder are left out: they find boxes, which is no sight.
    """
    packaged, cached = [], []
    for name in factory.list_models(pretrained=True, exclude="hg1_finder.*"):
        weights = factory.weights_info(name)[1]
        if weights.file:
            packaged.append(name)
            continue
        with suppress(WeightsError):  # no cache that can be used has nothing to offer
            if sources.at_hand(name, weights):
                cached.append(name)
    return packaged + cached


def _name(source: str) -> str:
    """Return what visitors see of a network: the weights' full name, or a file's last part."""
    if source.startswith(sources.HUB):
        return source
    path = Path(source.removeprefix(sources.FOLDER))
    if path.is_file() or (path.is_dir() and source.partition(".")[0] not in recipes.names()):
        return path.name
    return factory.weights_info(source)[0]


@lru_cache(maxsize=KEPT)
def _predictor(source: str, decoder: str) -> Predictor:
    return Predictor(source, decoder=decoder)
