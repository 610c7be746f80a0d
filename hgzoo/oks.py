"""OKS average precision: COCO's figures, as pycocotools computes them.

The similarity of a prediction to a person is the mean of exp(-d² / (2 area (2 sigma)²)) over the
annotated keypoints, d being the distance; a prediction is right when it is above a threshold, and
precision is averaged over recall and over the thresholds 0.50 to 0.95.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from hgzoo.data.coco import Annotation, Annotations
from hgzoo.errors import ConfigError, DataError, require
from hgzoo.skeletons import DEFAULT_SIGMA, SKELETONS

Result = Mapping[str, Any]  # Any: JSON
"""One person in COCO's results format: image_id, category_id, keypoints (x, y, score of each of
K), score."""

TRUE_BOXES = "in ground-truth boxes"
ANY_BOXES = "in boxes as the predictions come (the file does not tell which)"

FIGURES = (
    *("AP", "AP50", "AP75", "AP medium", "AP large"),
    *("AR", "AR50", "AR75", "AR medium", "AR large"),
)
"""What pycocotools summarizes, in its order."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """OKS average precision of one set of predictions.

    Attributes:
        people: Who count: annotated, no crowds.
        predictions: How many were made.
        boxes: Where the network was shown people, as words.
        sigmas: Where the sigmas come from, as words.
        figures: The figures of `FIGURES`, percent; without a size that nobody is of.
        curve: "recall", and the precision there at some thresholds, percent.
    """

    people: int
    predictions: int
    boxes: str
    sigmas: str
    figures: dict[str, float]
    curve: dict[str, list[float]]


def read_results(path: Path, truth: Annotations) -> list[Result]:
    """Read predictions in COCO's results format.

    Args:
        path: The JSON file. Predictions of other categories are passed over.
        truth: What they are predictions of.

    Raises:
        DataError: Missing or damaged, of pictures or categories that the annotations do not have,
            or of another number of keypoints.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> from hgzoo.data.coco import read_annotations
        >>> from hgzoo.oks import read_results
        >>> truth = read_annotations(Path("my_coco.json"))
        >>> keypoints = [1.0, 2.0, 0.9] * 17  # x, y and score of each
        >>> one = {"image_id": 70, "category_id": 1, "keypoints": keypoints, "score": 0.9}
        >>> _ = Path("results.json").write_text(json.dumps([one]))
        >>> len(read_results(Path("results.json"), truth))
        1
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if not isinstance(content, list):
        raise DataError(f"{path} must hold a list of people, as COCO's results format has it")
    for number, one in enumerate(content):
        try:
            _check(one, truth)
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: prediction {number} {error}") from error
    results = [one for one in content if one["category_id"] == truth.category]
    if not results:
        raise DataError(f"{path} holds no predictions of {truth.categories[truth.category]}")
    return results


def _check(one: Any, truth: Annotations) -> None:
    """Refuse one prediction; the message goes on from "prediction 3 ..."."""
    needed = ("image_id", "category_id", "keypoints", "score")
    missing = [key for key in needed if not isinstance(one, dict) or key not in one]
    if missing:
        raise ValueError(f"has no {', '.join(missing)}; each needs {', '.join(needed)}")
    if one["image_id"] not in truth.images:
        raise ValueError(
            f"is of picture {one['image_id']!r}, which {truth.path} does not have; give the "
            "annotations that the predictions were made for"
        )
    if one["category_id"] not in truth.categories:
        known = ", ".join(f"{number} ({name})" for number, name in truth.categories.items())
        raise ValueError(f"is of category {one['category_id']!r}; there are {known}")
    num_keypoints = truth.skeleton.num_keypoints
    shape = np.asarray(one["keypoints"], np.float64).shape
    if one["category_id"] == truth.category and shape != (3 * num_keypoints,):
        raise ValueError(
            f"holds keypoints {list(shape)}; {truth.categories[truth.category]} has "
            f"{num_keypoints}, which makes [{3 * num_keypoints}]: x, y and score of each"
        )
    if not np.isfinite([*one["keypoints"], one["score"]]).all():
        raise ValueError("holds numbers that are not finite; leave such people out")


def find_sigmas(truth: Annotations, given: Sequence[float] = ()) -> tuple[list[float], str]:
    """Choose the sigmas: those given, COCO's for COCO's keypoints, or one for all.

    Args:
        truth: Tells what the keypoints are.
        given: One for all keypoints, or one a keypoint, as fractions of the root of the area;
            empty where nobody says.

    Returns:
        K numbers, and where they come from, as words.

    Raises:
        ConfigError: Another number of them, or one that is not above 0.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.data.coco import read_annotations
        >>> from hgzoo.oks import find_sigmas
        >>> truth = read_annotations(Path("my_coco.json"))
        >>> sigmas, words = find_sigmas(truth)
        >>> sigmas[:2], words
        ([0.026, 0.025], "COCO's sigmas")
    """
    num_keypoints = truth.skeleton.num_keypoints
    if not given:
        if truth.skeleton == SKELETONS["coco"]:
            return list(truth.skeleton.sigmas), "COCO's sigmas"
        words = f"sigma {DEFAULT_SIGMA} for every keypoint, as nothing better is known"
        return list(truth.skeleton.sigmas), words
    if len(given) not in (1, num_keypoints):
        raise ConfigError(f"{len(given)} sigmas for {num_keypoints} keypoints; give 1 or all")
    if not all(0 < sigma < float("inf") for sigma in given):
        raise ConfigError(
            "sigmas are fractions of the root of the area, above 0, such as 0.05; got "
            f"{', '.join(f'{sigma:g}' for sigma in given)}"
        )
    sigmas = [*given] * (num_keypoints // len(given))
    return sigmas, f"sigmas {', '.join(f'{sigma:g}' for sigma in given)} as given"


def precision(
    truth: Annotations,
    results: Sequence[Result],
    *,
    boxes: str,
    sigmas: Sequence[float] = (),
    pictures: Collection[int | str] | None = None,
) -> Precision:
    """Compute OKS average precision.

    Args:
        truth: What annotators say.
        results: At least one, as `read_results` gives them; a box in them is not looked at.
        boxes: `TRUE_BOXES` or `ANY_BOXES`.
        sigmas: As for `find_sigmas`.
        pictures: Which to judge by; None judges by all that the annotations list.

    Raises:
        ConfigError: As for `find_sigmas`.
        DataError: A result is of a picture or a category that is not judged here.
        MissingExtraError: pycocotools is not installed.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.data.coco import read_annotations
        >>> from hgzoo.oks import TRUE_BOXES, precision
        >>> truth = read_annotations(Path("my_coco.json"))
        >>> perfect = [
        ...     {
        ...         "image_id": one.image,
        ...         "category_id": truth.category,
        ...         "keypoints": one.keypoints.ravel().tolist(),
        ...         "score": 1.0,
        ...     }
        ...     for one in truth.people
        ... ]
        >>> judged = precision(truth, perfect, boxes=TRUE_BOXES)
        >>> judged.people, round(judged.figures["AP"], 1)
        (6, 100.0)
    """
    for one in results:
        if one["image_id"] not in truth.images or one["category_id"] != truth.category:
            raise DataError(
                f"{truth.path} has category {truth.category} and {len(truth.images)} pictures; a "
                f"prediction of category {one['category_id']} in picture {one['image_id']} is not "
                "of these"
            )
    judged = truth.images if pictures is None else pictures
    widths, words = find_sigmas(truth, sigmas)
    figures, curve = _judge(truth, results, widths, judged)
    return Precision(
        people=sum(one.labeled and one.image in judged for one in truth.people),
        predictions=len(results),
        boxes=boxes,
        sigmas=words,
        figures=figures,
        curve=curve,
    )


def _judge(
    truth: Annotations,
    results: Sequence[Result],
    sigmas: Sequence[float],
    pictures: Collection[int | str],
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Ask pycocotools, which talks while it works; return figures and curve."""
    coco = require("pycocotools.coco", extra="train")
    cocoeval = require("pycocotools.cocoeval", extra="train")
    known = coco.COCO()
    known.dataset = {
        "images": [{"id": number} for number in truth.images],
        "categories": [{"id": truth.category}],
        # Numbered anew: pycocotools takes a match with number 0 for no match.
        "annotations": [_entry(one, truth, n) for n, one in enumerate(truth.people, 1)],
    }
    bare = [
        {key: one[key] for key in ("image_id", "category_id", "keypoints", "score")}
        for one in results
    ]
    with redirect_stdout(StringIO()):
        known.createIndex()
        judge = cocoeval.COCOeval(known, known.loadRes(bare), "keypoints")
        judge.params.kpt_oks_sigmas = np.asarray(sigmas)
        judge.params.imgIds = list(pictures)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    values = zip(FIGURES, judge.stats, strict=True)
    heights = judge.eval["precision"][:, :, 0, 0, 0]  # [thresholds, recall], every size
    curve = {
        f"OKS {threshold:.2f}": (100.0 * height).tolist()
        for threshold, height in zip(judge.params.iouThrs, heights, strict=True)
    }
    recall = judge.params.recThrs.tolist()
    return {name: 100.0 * float(v) for name, v in values if v >= 0}, {"recall": recall, **curve}


def _entry(one: Annotation, truth: Annotations, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": one.image,
        "category_id": truth.category,
        "keypoints": one.keypoints.ravel().tolist(),
        "num_keypoints": int((one.keypoints[:, 2] > 0).sum()),
        "bbox": list(one.box),
        "area": one.area,
        "iscrowd": int(one.crowd),
    }
