"""The figures of docs/decoding.md, drawn from what the decoders find at places that are known."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from docs.make.pages import Make
from docs.make.svg import Axes, Drawing, Point, key
from hgzoo.benchmark.decoders import SIZE, STRIDE, DecoderError, decoder_errors
from hgzoo.decoders import DECODERS, argmax
from hgzoo.geometry import MPII_PERSON_PIXELS, Crop, crop_to_heatmap, heatmap_to_crop
from hgzoo.targets import gaussian

WHOLE: dict[str, Make] = {}

STEPS = 161
"""Places from one heatmap pixel to the next but one, so that the pixel in the middle is seen."""

OLDER = "argmax, times 4"


@cache
def errors() -> list[DecoderError]:
    """Return what `hgzoo benchmark decoders` prints."""
    return list(decoder_errors())


def sweep(sigma: float = 1.0) -> tuple[list[float], dict[str, list[float]]]:
    """Move a keypoint across a pixel, and note how far each decoder is off in x.

    Args:
        sigma: Of the Gaussian, heatmap pixels.

    Returns:
        The keypoint's distance from the middle of a pixel, heatmap pixels; and for each decoder
        found minus true, crop pixels.
    """
    offsets = (torch.arange(STEPS) + 0.5) * 2 / STEPS - 1
    xy = torch.stack((SIZE[1] // 2 + offsets, torch.full_like(offsets, SIZE[0] // 2)), -1)
    heatmaps = gaussian(xy[:, None], SIZE, sigma)
    true = heatmap_to_crop(xy, STRIDE)[:, 0]

    def off(found: Tensor) -> list[float]:
        return (found[:, 0, 0] - true).tolist()

    found = {
        name: off(heatmap_to_crop(read(heatmaps)[0], STRIDE)) for name, read in DECODERS.items()
    }
    return offsets.tolist(), {**found, OLDER: off(argmax(heatmaps)[0] * STRIDE)}


def bias() -> str:
    """Draw each decoder's error over the place between two pixels."""
    offsets, found = sweep()
    drawing = Drawing(
        width=680,
        height=372,
        title="Error in x of each decoder, by where the keypoint lies between heatmap pixels",
        least=520,
    )
    axes = Axes(
        drawing=drawing, left=46, right=470, top=44, bottom=312, x=(-1.0, 1.0), y=(-4.0, 2.5)
    )
    axes.grid(
        [-1.0, -0.5, 0.0, 0.5, 1.0],
        [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0],
        x_label="keypoint to the right of a pixel's center, heatmap pixels",
        y_label="found minus true, crop pixels",
    )
    for series, values in enumerate(found.values(), 1):
        for x, y in _pieces(offsets, values):
            axes.curve(x, y, series=series)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    drawing.text((486, 52), "decoder, and its bias", kind="note", anchor="start")
    key(drawing, (486, 78), [f"{name}: {_signed(mean)}" for name, mean in means.items()])
    return drawing.figure(
        "How far each decoder is off in x while a keypoint moves across two heatmap pixels "
        "(Gaussians of sigma 1, read as heights). The bias is the mean of the curve. Rounding "
        "makes argmax jump, but about zero; without the half pixel the same curve lies 1.5 lower."
    )


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}" if abs(value) >= 0.005 else "0.00"


def _pieces(x: list[float], y: list[float]) -> Iterable[tuple[list[float], list[float]]]:
    """Part a curve where it jumps to another pixel."""
    start = 0
    for index in range(1, len(y)):
        if abs(y[index] - y[index - 1]) > 0.5:
            yield x[start:index], y[start:index]
            start = index
    yield x[start:], y[start:]


def mean_errors() -> str:
    """Draw the mean error of each decoder on each kind of heatmaps, as bars."""
    rows = [(one.heatmaps, one.decoder, one.mean, one.bias_x) for one in errors()]
    drawing = Drawing(
        width=680,
        height=44 + 24 * len(rows) + 14 * 3 + 44,
        title="Mean error and bias of each decoder on each kind of heatmaps",
        least=520,
    )
    axes = Axes(
        drawing=drawing,
        left=270,
        right=650,
        top=30,
        bottom=drawing.height - 50,
        x=(-2.0, 3.0),
        y=(0.0, 1.0),
    )
    for tick in (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0):
        x, _ = axes.place(tick, 0.0)
        kind = "grid" if tick else "base"
        drawing.line([(x, axes.top), (x, axes.bottom)], kind=kind, arrow=False)
        drawing.text((x, axes.bottom + 16), f"{tick:g}")
    drawing.text(((axes.left + axes.right) / 2, axes.bottom + 38), "crop pixels", kind="note")
    drawing.text((axes.right, 14), "bar: mean error; dot: bias in x", kind="note", anchor="end")
    y, before, names = axes.top + 4.0, "", [*DECODERS, OLDER]
    for heatmaps, decoder, mean, bias_x in rows:
        if heatmaps != before and before:
            y += 14
        if heatmaps != before:
            drawing.text((4, y + 9), heatmaps, kind="note", anchor="start")
        before = heatmaps
        series = names.index(decoder) + 1
        zero, end = axes.place(0.0, 0.0)[0], axes.place(mean, 0.0)[0]
        drawing.text((axes.left - 8, y + 9), decoder, anchor="end")
        drawing.box((zero, y + 2), (end - zero, 14), [], kind=f"bar s{series}")
        drawing.text((end + 6, y + 9), f"{mean:.2f}", anchor="start")
        drawing.dot((axes.place(bias_x, 0.0)[0], y + 9), kind="dot", radius=4.5)
        y += 24
    return drawing.figure(
        "The same numbers as in the table: mean distance, and mean of found minus true in x. Every "
        "decoder is without bias; what rounds is less exact. The last row is biased."
    )


def convention() -> str:
    """Draw two heatmap pixels over the crop pixels they stand for."""
    cell, pixels = 60.0, 2 * STRIDE
    left, crop_y, heat_y = 40.0, 64.0, 196.0
    drawing = Drawing(
        width=int(left * 2 + cell * pixels),
        height=330,
        title="Eight crop pixels, the two heatmap pixels over them, and where their centers are",
        least=520,
    )

    def x(crop: float) -> float:
        return left + (crop + 0.5) * cell

    drawing.text((left, 20), "crop pixels", kind="note", anchor="start")
    drawing.text((left, heat_y - 44), "heatmap pixels", kind="note", anchor="start")
    for pixel in range(pixels):
        drawing.box((x(pixel - 0.5), crop_y - 24), (cell, 48), [], kind="cell")
        drawing.text((x(pixel), crop_y + 12), str(pixel))
        drawing.dot((x(pixel), crop_y - 6), kind="dot", radius=2.5)
    for pixel in range(2):
        center = float(heatmap_to_crop(np.array([float(pixel), 0.0]), STRIDE)[0])
        first = pixel * STRIDE
        drawing.box((x(first - 0.5), heat_y - 26), (cell * STRIDE, 52), [], kind="cells")
        drawing.dot((x(center), heat_y), kind="mark s1", radius=5)
        drawing.text((x(center), heat_y + 46), f"{pixel} lies at crop {center:g}", kind="strong")
        drawing.line([(x(center), heat_y - 6), (x(center), crop_y + 26)], kind="skip")
        drawing.dot((x(pixel * STRIDE), heat_y), kind="mark s2", radius=5)
        _wrong(drawing, (x(pixel * STRIDE), heat_y), (x(center), heat_y))
        drawing.text((x(first), heat_y + 70), f"{pixel} × {STRIDE} = {pixel * STRIDE}")
        drawing.text((x(first), heat_y + 88), f"{first - center:g} off")
    edge = float(crop_to_heatmap(np.array([-0.5, 0.0]), STRIDE)[0])
    drawing.text((x(-0.5), heat_y + 118), f"left edge: {edge:g} in either frame", anchor="start")
    return drawing.figure(
        "The first eight pixels of a crop's row and the two heatmap pixels that stand for them. A "
        "pixel's coordinate is its center, so heatmap pixel 0 lies between crop pixels 1 and 2. "
        "Multiplying by the stride alone lands on the left of the four."
    )


def _wrong(drawing: Drawing, start: Point, end: Point) -> None:
    """Mark the way from where the bare multiplication lands to where the center is."""
    drawing.line([(start[0] + 7, start[1]), (end[0] - 7, end[1])], kind="curve s2")


def frames() -> str:
    """Draw a person's box in a picture, the crop that shows it, and the heatmap."""
    box, size, padding = (60.0, 40.0, 180.0, 280.0), (256, 256), 1.25
    picture = (320.0, 240.0)  # height and width
    crop = Crop.from_box(box, size=size, padding=padding)
    height, width = crop.extent
    point = np.array([120.0, 70.0])
    in_crop = crop.to_crop(point)
    in_heatmap = crop_to_heatmap(in_crop, STRIDE)
    drawing = Drawing(
        width=700,
        height=330,
        title="One point in the picture, in the crop and in the heatmap",
        least=560,
    )
    scale, top = 0.7, 44.0
    origin = (64.0, top)

    def at(x: float, y: float) -> Point:
        return origin[0] + (x + 0.5) * scale, origin[1] + (y + 0.5) * scale

    drawing.text(
        (origin[0], 14), f"picture, {picture[1]:g} × {picture[0]:g}", kind="strong", anchor="start"
    )
    drawing.box(at(-0.5, -0.5), (picture[1] * scale, picture[0] * scale), [], kind="cell")
    cx, cy = crop.center
    drawing.box(
        at(cx - width / 2, cy - height / 2), (width * scale, height * scale), [], kind="plain"
    )
    x0, y0, x1, y1 = box
    drawing.box(at(x0 - 0.5, y0 - 0.5), ((x1 - x0) * scale, (y1 - y0) * scale), [], kind="cells")
    drawing.text(at(x1 + 5, y1 - 8), "box", anchor="start")
    drawing.dot(at(cx, cy), kind="mark s1")
    drawing.text((at(cx, cy)[0], at(cx, cy)[1] - 16), "center")
    drawing.text((at(cx, cy)[0], at(cx, cy)[1] + 16), f"{cx:g}, {cy:g}")
    _frame(drawing, (300.0, top), 208.0, "crop", size[1], in_crop)
    _frame(drawing, (550.0, top), 104.0, "heatmap", size[1] // STRIDE, in_heatmap)
    drawing.dot(at(*point), kind="mark s2", radius=5)
    told = f"{point[0]:g}, {point[1]:g}"
    drawing.text((at(*point)[0], at(*point)[1] + 18), told, kind="strong")
    drawing.line([at(picture[1] + 14, 100), (296, top + 70)], kind="flow")
    drawing.line([(510, top + 52), (546, top + 52)], kind="flow")
    longer = max(x1 - x0, y1 - y0)
    for row, told in enumerate(
        (
            f"scale {longer / MPII_PERSON_PIXELS:g}: the box's longer side over "
            f"{MPII_PERSON_PIXELS:g}",
            f"extent {width:g}: the longer side × {padding}",
        )
    ):
        drawing.text((300, top + 236 + 20 * row), told, anchor="start", kind="note")
    return drawing.figure(
        "A point of the picture on its way. The box (60, 40, 180, 280) is widened to the crop's "
        "shape and by a quarter, which gives the dashed square; its middle is the center. The next "
        "example prints the same numbers."
    )


def _frame(
    drawing: Drawing, place: Point, side: float, name: str, size: int, point: object
) -> None:
    x, y = np.asarray(point, float)
    scale = side / size
    drawing.text((place[0], 14), f"{name}, {size} × {size}", kind="strong", anchor="start")
    drawing.box(place, (side, side), [], kind="plain")
    at = (place[0] + (x + 0.5) * scale, place[1] + (y + 0.5) * scale)
    drawing.dot(at, kind="mark s2", radius=5)
    drawing.text((at[0], at[1] + 18), f"{x:.2f}, {y:.2f}", kind="strong")


PARTS: dict[tuple[str, str], Make] = {
    ("docs/decoding.md", "convention"): convention,
    ("docs/decoding.md", "frames"): frames,
    ("docs/decoding.md", "bias"): bias,
    ("docs/decoding.md", "errors"): mean_errors,
}
