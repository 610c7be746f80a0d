"""Which samples an epoch shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Draws an epoch's batches of (showing, index), the same each time it is asked.

    Samples are shown again and again; no two showings of one sample share their number, so that
    each is augmented in its own way. Set `epoch`, and `skip` to leave out the first batches.

    Args:
        repeats: How often an epoch shows each sample, [N]; 0.5 shows it in half of the epochs, and
            every epoch shows as many samples.
        batch_size: Samples a batch; a last, smaller batch is left out.
        seed: Of the order.
        part: Of the processes that share each batch out, which one this is, from 0.
        parts: How many processes there are; together they see what one would see alone.

    Examples:
        >>> from hgzoo.data import EpochBatches
        >>> batches = EpochBatches([1, 2, 1], batch_size=2, seed=0)  # the second one twice
        >>> len(batches), sorted(index for batch in batches for _, index in batch)
        (2, [0, 1, 1, 2])
    """

    def __init__(
        self,
        repeats: Sequence[float],
        *,
        batch_size: int,
        seed: int,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self.repeats = np.asarray(repeats, np.float64)
        self.most = max(1, int(np.ceil(self.repeats).max(initial=1)))
        self.shown = int(np.floor(self.repeats).sum() + _whole(_part(self.repeats).sum()))
        self.batch_size = batch_size
        self.seed = seed
        self.part, self.parts = part, parts
        self.epoch = 0
        self.skip = 0

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.shown // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield this epoch's batches, but for the first `skip`."""
        times = np.floor(self.repeats).astype(int)
        times[self._once_more()] += 1
        indices = np.repeat(np.arange(len(times)), times)
        copies = np.concatenate([np.arange(number) for number in (0, *times)])
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(indices))
        showing = self.epoch * self.most + copies
        for batch in range(self.skip, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            mine = chosen[self.part :: self.parts]
            yield [(int(showing[one]), int(indices[one])) for one in mine]

    def _once_more(self) -> NDArray[np.intp]:
        """Choose the samples that this epoch shows for the fraction of their `repeats`."""
        order = np.random.default_rng((self.seed, self.epoch, 1)).permutation(len(self.repeats))
        steps = _whole(_part(self.repeats)[order].cumsum())
        return order[np.diff(steps, prepend=0) > 0]


def _part(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is left of numbers without their whole part."""
    return numbers - np.floor(numbers)


def _whole(number: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round sums of fractions down, but for what rounding took from them."""
    return np.floor(number + 1e-6).astype(np.int64)
