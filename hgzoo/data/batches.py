"""Which samples an epoch shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Draws an epoch's batches of (showing, index), the same each time it is asked.

    Samples are shown again and again; no two showings of one sample share their number, so that
    each is augmented in its own way. Set `epoch`, and `skip` to leave out the first batches.

    Args:
        repeats: How often an epoch shows each sample, [N].
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
        repeats: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self.indices = np.repeat(np.arange(len(repeats)), repeats)
        self.copies = np.concatenate([np.arange(times) for times in (0, *repeats)])
        self.most = max(repeats, default=1)
        self.batch_size = batch_size
        self.seed = seed
        self.part, self.parts = part, parts
        self.epoch = 0
        self.skip = 0

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.indices) // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield this epoch's batches, but for the first `skip`."""
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.indices))
        showing = self.epoch * self.most + self.copies
        for batch in range(self.skip, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            mine = chosen[self.part :: self.parts]
            yield [(int(showing[one]), int(self.indices[one])) for one in mine]
