"""The progress bar of long work, on the error stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def bar(
    items: Iterable[Any],
    text: str,
    *,
    show: bool = True,
    total: int | None = None,
    unit: str = "it",
) -> Any:  # Any: tqdm has no types
    """Wrap an iterable in a progress bar with rate and time left.

    Args:
        items: What is worked through.
        text: What the work is.
        show: Whether to draw anything.
        total: Units in all, where that is not the number of items; count them by `update`.
        unit: What is counted; "B" for bytes, which are shown in thousands and millions.

    Returns:
        An iterable of the same items, with tqdm's `update` and `set_postfix`.
    """
    from huggingface_hub import utils

    return utils.tqdm(  # type: ignore[attr-defined, no-untyped-call]
        items,
        desc=text,
        total=total,
        unit=unit,
        unit_scale=unit == "B",
        disable=not show,
        dynamic_ncols=True,
    )
