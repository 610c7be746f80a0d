"""Several processes that work together (`torchrun`, `accelerate launch`), or one alone.

Whatever is computed with the help of this module comes out the same for any number of processes.
torch is loaded only where there are several: a command that works alone may do without.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hgzoo.errors import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def join() -> None:
    """Find the other processes, where a launcher has started several.

    Raises:
        MissingExtraError: There are several, and accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not _group():
        import torch

        # Its functions keep the group that there is when it is imported, as a default: were that
        # ours, its threads would outlive our parting, and could abort the process at its end.
        import torch.distributed.nn

        accelerate = require("accelerate", extra="train")
        # Unless it is told, accelerate lets processes without a GPU work each for itself.
        wanted = accelerate.utils.parse_flag_from_env("ACCELERATE_USE_CPU")
        none = not (torch.cuda.is_available() or torch.xpu.is_available())
        accelerate.PartialState(cpu=wanted or none)


@contextmanager
def together() -> Iterator[None]:
    """Join the other processes, and part from them in the end; errors as for `join`."""
    join()
    try:
        yield
    finally:
        if group := _group():
            group.destroy_process_group()


def count() -> int:
    """Return how many processes work together."""
    group = _group()
    return int(group.get_world_size()) if group else 1


def index() -> int:
    """Return which of them this one is, from 0."""
    group = _group()
    return int(group.get_rank()) if group else 0


def is_first() -> bool:
    """Tell whether this process writes and prints: one of several does."""
    return index() == 0


def wait() -> None:
    """Go on when every process has come here."""
    if group := _group():
        group.barrier()


def summed(tensor: Tensor) -> Tensor:
    """Add up what the processes have.

    Args:
        tensor: Of the same shape in every process; keeps its own numbers.

    Returns:
        The sum, the same bits in every process; without a gradient.
    """
    group = _group()
    if not group:
        return tensor
    there = tensor.detach().to(_device(group), copy=True).contiguous()
    group.all_reduce(there)
    return there.to(tensor.device)


def _group() -> Any:  # Any: it has the functions of torch.distributed
    """Return the others, or None; a process that has not loaded torch has found none."""
    if "torch" not in sys.modules:
        return None
    from torch import distributed

    return distributed if distributed.is_available() and distributed.is_initialized() else None


def _device(group: Any) -> torch.device:  # Any: as above
    """Return where the processes exchange tensors."""
    import torch

    if group.get_backend() == "gloo":
        return torch.device("cpu")
    device: torch.device = require("accelerate", extra="train").PartialState().device
    return device
