"""People by torchvision's Faster R-CNN."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pickle import UnpicklingError

from hgzoo.errors import MissingExtraError, WeightsError
from hgzoo.geometry import Box
from hgzoo.pictures import RGB

PERSON_SCORE = 0.5
"""Smallest score of a person that torchvision's detector tells."""

MISSING = (
    "this detector needs torchvision, which is not installed: pip install torchvision; "
    'or take the detector "search", which needs nothing more'
)


def check_torchvision() -> None:
    """Refuse where torchvision is not installed, without importing it.

    Raises:
        MissingExtraError: It is not.
    """
    if find_spec("torchvision") is None:
        raise MissingExtraError(MISSING)


def torchvision_people(*, threshold: float = PERSON_SCORE) -> Callable[[RGB], list[Box]]:
    """Return torchvision's Faster R-CNN with a MobileNetV3, trained on COCO.

    It looks at pictures of 320 pixels. Its weights (74 MB) are fetched by torchvision when they
    are first asked for, and kept in torch's folder of checkpoints.

    Args:
        threshold: Smallest score of a person, 0..1. A picture may give no box at all.

    Raises:
        MissingExtraError: torchvision is not installed.
        WeightsError: The weights cannot be fetched, or are damaged.
    """
    try:
        import torch
        from torchvision.models import detection
    except ImportError as error:
        raise MissingExtraError(MISSING) from error
    weights = detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.DEFAULT
    try:
        network = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
            weights=weights, weights_backbone=None, progress=False, box_score_thresh=threshold
        ).eval()
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise WeightsError(
            f"cannot have torchvision's weights ({str(error).splitlines()[0]}); save {weights.url} "
            f'in {torch.hub.get_dir()}/checkpoints, or take the detector "search"'
        ) from error
    person = weights.meta["categories"].index("person")

    @torch.inference_mode()
    def detect(picture: RGB) -> list[Box]:
        image = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
        (found,) = network([image])
        x0, y0, x1, y1 = found["boxes"][found["labels"] == person].double().unbind(1)
        edges = torch.stack([x0, y0, x1, y1], dim=1)[(x1 > x0) & (y1 > y0)]
        return [(a, b, c, d) for a, b, c, d in edges.tolist()]

    return detect
