"""Datasets with other keypoints: matched by name, so that several can train one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hgzoo.data.samples import Sample
from hgzoo.errors import ConfigError
from hgzoo.skeletons import Skeleton, matching


def matched(
    samples: Sequence[Sample], source: Skeleton, target: Skeleton, *, where: str
) -> list[Sample]:
    """Give samples the keypoints of another skeleton, by name.

    A keypoint that the samples do not have is not visible, so that no loss counts it.

    Args:
        samples: With the keypoints of `source`.
        source: What they are.
        target: What they shall be; one without names takes as many keypoints in their order.
        where: What an error calls the samples.

    Returns:
        The samples with K keypoints of `target`; center, scale and reference are kept.

    Raises:
        ConfigError: No keypoint has a name that both know, or a nameless target has another number
            of keypoints.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo import SKELETONS
        >>> from hgzoo.data import matched, read_coco
        >>> samples, coco = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> mapped = matched(samples, coco, SKELETONS["lsp"], where="my_coco.json")
        >>> mapped[0].keypoints.shape  # LSP's neck and head_top are not in COCO
        (14, 2)
        >>> mapped[0].visible.tolist()[-2:]
        [False, False]
    """
    if source.keypoints == target.keypoints:
        return list(samples)
    columns = matching(source, target)
    if not target.name and source.num_keypoints == target.num_keypoints:
        return list(samples)
    if not any(column >= 0 for column in columns):
        raise ConfigError(
            f"{where} has {source.num_keypoints} keypoints ({', '.join(source.keypoints[:3])}, …) "
            f"and shares none with the network's {target.num_keypoints} "
            f"({', '.join(target.keypoints[:3])}, …); keypoints are matched by name"
        )
    there = np.array([column >= 0 for column in columns])
    return [
        replace(
            sample,
            keypoints=np.where(there[:, None], sample.keypoints[columns], 0.0),
            visible=sample.visible[columns] & there,
            hidden=sample.hidden[columns] & there,
        )
        for sample in samples
    ]
