"""Networks as files that run without hgzoo: ONNX, and torch's own .pt2.

By default pixels go in and keypoints come out, so that nobody has to write the decoding again.
`hgzoo.onnx_file` runs such a file without torch.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgzoo import checkpoints
from hgzoo.decoders import DECODERS, heights
from hgzoo.errors import ConfigError, WeightsError, require
from hgzoo.files import atomic
from hgzoo.geometry import Crop, flip_heatmaps, heatmap_to_crop
from hgzoo.inference import decoder_for, prepare
from hgzoo.lean import LeanHourglass
from hgzoo.model import StackedHourglass
from hgzoo.onnx_file import METADATA_KEY, OUTPUTS
from hgzoo.pictures import DEMO, load

FilePrecision = Literal["float32", "float16", "int8"]

OPSET = 20

AGREED = {"float32": 1e-4, "float16": 2e-2}
"""Largest deviation of the heatmaps from the network's own, as part of the highest height."""

QUANTIZED = ["Add", "Conv", "MaxPool", "Mul", "Relu", "Resize"]
"""What int8 computes in whole numbers."""

LARGE = 4096
"""Numbers from which a tensor is stored in half precision; smaller ones would save nothing."""


class PixelsToHeatmaps(nn.Module):
    """Normalized crops to the last heatmaps, as the network gives them.

    Args:
        network: The network.

    Shape:
        - Input: [B, C, H, W], float32, normalized
        - Output: [B, K, H/4, W/4], float32

    Examples:
        >>> import hgzoo
        >>> import torch
        >>> from hgzoo.export import PixelsToHeatmaps
        >>> from hgzoo.lean import LeanHourglass
        >>> network = PixelsToHeatmaps(LeanHourglass(hgzoo.create_model("hg1_nano")))
        >>> network(torch.zeros(1, 3, 128, 128)).shape
        torch.Size([1, 19, 32, 32])
    """

    def __init__(self, network: LeanHourglass) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the last heatmaps."""
        return self.network.one(images)


class PixelsToKeypoints(nn.Module):
    """Crops to keypoints: normalizing, the network, flip averaging and decoding in one graph.

    Args:
        network: The network.
        flip: Average the heatmaps of each crop and of its mirror (paper, Section 3.4).
        decoder: A key of `hgzoo.decoders.DECODERS`.

    Shape:
        - Input: [B, H, W, 3], RGB, 0..255, uint8
        - Output: keypoints [B, K, 2], crop pixels; scores [B, K]; heatmaps as heights
          [B, K, H/4, W/4]; float32

    Examples:
        >>> import hgzoo
        >>> import torch
        >>> from hgzoo.export import PixelsToKeypoints
        >>> from hgzoo.lean import LeanHourglass
        >>> lean = LeanHourglass(hgzoo.create_model("hg1_nano"))
        >>> network = PixelsToKeypoints(lean, flip=True, decoder="taylor")
        >>> [list(part.shape) for part in network(torch.zeros(2, 128, 128, 3, dtype=torch.uint8))]
        [[2, 19, 2], [2, 19], [2, 19, 32, 32]]
    """

    def __init__(self, network: LeanHourglass, *, flip: bool, decoder: str) -> None:
        super().__init__()
        self.network = network
        self.decode = DECODERS[decoder]
        skeleton = network.output.skeleton_for(network.config.num_keypoints)
        self.flip_index = skeleton.flip_index if flip else None

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return keypoints, scores and heatmaps."""
        ready = prepare(crops.permute(0, 3, 1, 2), self.network.input)
        if self.flip_index is not None:
            ready = torch.cat([ready, ready.flip(-1)])
        found = heights(self.network.one(ready), self.network.output.heatmaps)
        if self.flip_index is not None:
            number = crops.shape[0]  # not len(), which would fix it for ever
            mirrored = flip_heatmaps(found[number:], flip_index=self.flip_index)
            found = (found[:number] + mirrored) / 2
        xy, score = self.decode(found)
        return heatmap_to_crop(xy, self.network.input.heatmap_stride), score, found


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and how far it is from the network on real crops.

    Attributes:
        path: The file.
        size: Bytes.
        heatmaps: Largest deviation of its heatmaps, as part of the network's highest.
        keypoints: Largest deviation of its keypoints, crop pixels, of those whose score is at
            least half of the best; nan where it gives no keypoints.
    """

    path: Path
    size: int
    heatmaps: float
    keypoints: float


def export(
    model: StackedHourglass,
    path: str | Path,
    *,
    flip: bool = False,
    decoder: str = "",
    raw: bool = False,
    precision: FilePrecision = "float32",
    num_stacks: int | None = None,
    calibration: Sequence[NDArray[np.uint8]] = (),
) -> Exported:
    """Write a network as a file that runs elsewhere, and check the file on real crops.

    Args:
        model: The network; not changed.
        path: Ends in ".onnx" or ".pt2".
        flip: Average with the mirrored crop, inside the graph: twice the time.
        decoder: A key of `hgzoo.decoders.DECODERS`; "" takes the one the weights come with.
        raw: Write the bare network, from normalized pictures [B, C, H, W] ("images") to its last
            heatmaps ("heatmaps"), without normalizing, flip averaging and decoding.
        precision: "float16" stores large weights in half precision and computes in float32;
            "int8" computes the convolutions in whole numbers. Both for ONNX only.
        num_stacks: Write only so many stacks; None writes all.
        calibration: For int8: crops [*input size, 3], RGB, 0..255, like those it will be used on;
            a hundred or more.

    Returns:
        Where it is, how large, and how far from the network.

    Raises:
        ConfigError: Another ending, or options that do not go together.
        UnknownNameError: There is no such decoder.
        MissingExtraError: The packages that write ONNX are not installed.
        WeightsError: The file cannot be written, or it does not do what the network does; then it
            is not kept.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.export import export
        >>> written = export(hgzoo.create_model("hg1_nano", pretrained=True), "hg1_nano.onnx")
        >>> written.path.name, written.heatmaps < 1e-4, written.keypoints < 0.1
        ('hg1_nano.onnx', True, True)
        >>> len(hgzoo.Predictor("hg1_nano.onnx", detector="whole")("photo.jpg"))
        1
    """
    path = Path(path)
    _check_options(model, path, flip=flip, raw=raw, precision=precision, calibration=calibration)
    decoder_for(model, decoder)
    lean = LeanHourglass(model, num_stacks=num_stacks, exported=True)
    name = decoder or model.output.decoder
    whole = PixelsToKeypoints(lean, flip=flip, decoder=name)
    module: nn.Module = PixelsToHeatmaps(lean) if raw else whole
    crops = check_crops(lean)
    ready = prepare(torch.from_numpy(crops).permute(0, 3, 1, 2), lean.input)
    example = ready if raw else torch.from_numpy(crops)
    record = {
        **checkpoints.describe(model.checkpoint()),
        "file": {"flip": flip, "decoder": name, "raw": raw, "precision": precision},
    }
    try:
        with atomic(path) as temporary:
            if path.suffix == ".onnx":
                content = to_onnx(module, example[:2], raw=raw, metadata=json.dumps(record))
                content = _smaller(content, precision, calibration)
                temporary.write_bytes(content)
                found = _run_onnx(content, example)
            else:
                _write_pt2(module, example[:2], temporary, metadata=json.dumps(record))
                found = _run_pt2(temporary, example)
            with torch.inference_mode():
                wanted = module(example)
            size = temporary.stat().st_size
            report = _compared(path, size, found, [wanted] if raw else list(wanted))
            if not report.heatmaps <= AGREED.get(precision, float("inf")):
                raise WeightsError(
                    f"{path} was not written: its heatmaps differ from the network's by "
                    f"{report.heatmaps:.2g} of the highest"
                )
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror or error}") from error
    return report


def to_onnx(module: nn.Module, example: Tensor, *, raw: bool, metadata: str = "") -> bytes:
    """Turn a module into an ONNX graph with any number of pictures.

    Args:
        module: `PixelsToHeatmaps` or `PixelsToKeypoints`.
        example: Two pictures for it.
        raw: Whether it is the former.
        metadata: Kept in the file.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from hgzoo.export import to_onnx
        >>> content = to_onnx(nn.Conv2d(3, 4, 1), torch.zeros(2, 3, 8, 8), raw=True)
        >>> type(content).__name__, b"heatmaps" in content
        ('bytes', True)
    """
    require("onnx", extra="onnx")
    require("onnxscript", extra="onnx")
    names = ["heatmaps"] if raw else list(OUTPUTS)
    with _quiet_exporter():
        program = torch.onnx.export(
            _program(module, example),
            dynamo=True,
            input_names=["images" if raw else "crops"],
            output_names=names,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    if metadata:
        program.model.metadata_props[METADATA_KEY] = metadata
    content: bytes = program.model_proto.SerializeToString()
    return content


def _program(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """Trace a module for any number of pictures."""
    return torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))


def check_crops(network: LeanHourglass) -> NDArray[np.uint8]:
    """Cut the picture that comes with hgzoo into four crops, [4, *input size, C], 0..255.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.export import check_crops
        >>> from hgzoo.lean import LeanHourglass
        >>> check_crops(LeanHourglass(hgzoo.create_model("hg1_nano"))).shape
        (4, 128, 128, 3)
    """
    pixels = load(DEMO)
    height, width = (float(side) for side in pixels.shape[:2])
    boxes = (
        (0.0, 0.0, width, height),
        (width / 4, 0.0, width, height),
        (0.0, 0.0, width, height / 2),
        (-width / 2, 0.0, width, height * 1.25),
    )
    return np.stack([Crop.from_box(box, size=network.input.size).warp(pixels) for box in boxes])


def _check_options(
    model: StackedHourglass,
    path: Path,
    *,
    flip: bool,
    raw: bool,
    precision: FilePrecision,
    calibration: Sequence[NDArray[np.uint8]],
) -> None:
    if path.suffix not in (".onnx", ".pt2"):
        raise ConfigError(f"a network is exported to a file.onnx or a file.pt2, got {path}")
    if precision not in ("float32", "float16", "int8"):
        raise ConfigError(f"precision must be float32, float16 or int8, got {precision!r}")
    if path.suffix == ".pt2" and precision != "float32":
        raise ConfigError(f"{precision} can be written to ONNX only; name a file.onnx")
    if raw and (flip or precision == "int8"):
        raise ConfigError("a raw file is the bare network in float32 or float16, without flip")
    if model.config.in_channels not in (1, 3):
        raise ConfigError("only networks for RGB or gray pictures can be exported")
    if precision == "int8":
        check_calibration(model, calibration)


def check_calibration(model: StackedHourglass, crops: Sequence[NDArray[np.uint8]]) -> None:
    """Refuse what int8 cannot be calibrated on.

    Args:
        model: The network.
        crops: Should be at least one, [*input size, 3], uint8.

    Raises:
        ConfigError: There are none, or they have another shape.

    Examples:
        >>> import hgzoo
        >>> import numpy as np
        >>> from hgzoo.export import check_calibration
        >>> model = hgzoo.create_model("hg1_nano")
        >>> check_calibration(model, [np.zeros((128, 128, 3), np.uint8)])
        >>> check_calibration(model, [])
        Traceback (most recent call last):
            ...
        hgzoo.errors.ConfigError: int8 needs crops to calibrate on, like those it will ...
    """
    shape = (*model.input.size, 3)
    if not len(crops):
        raise ConfigError("int8 needs crops to calibrate on, like those it will be used on")
    if any(crop.shape != shape or crop.dtype != np.uint8 for crop in crops):
        raise ConfigError(f"crops to calibrate on must be uint8 {list(shape)}")


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep torch's exporter from telling users what only its authors can change."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _smaller(
    content: bytes, precision: FilePrecision, calibration: Sequence[NDArray[np.uint8]]
) -> bytes:
    if precision == "float16":
        return with_half_weights(content)
    if precision == "int8":
        return quantized(content, [crop[None] for crop in calibration], name="crops")
    return content


def with_half_weights(content: bytes) -> bytes:
    """Store the large weights of an ONNX graph in half precision; they are cast when loaded.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from hgzoo.export import to_onnx, with_half_weights
        >>> content = to_onnx(nn.Conv2d(64, 64, 3), torch.zeros(2, 64, 8, 8), raw=True)
        >>> len(with_half_weights(content)) < 0.6 * len(content)
        True
    """
    onnx = require("onnx", extra="onnx")
    graph = onnx.load_from_string(content)
    casts = []
    for tensor in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE:
            continue
        full = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{full}.half"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{full}.half"], [full], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    serialized: bytes = graph.SerializeToString()
    return serialized


def quantized(content: bytes, batches: Sequence[NDArray[Any]], *, name: str) -> bytes:
    """Let an ONNX graph compute in whole numbers of eight bits.

    The first convolution and the one that makes the heatmaps stay as they are: there is little to
    win, and they decide most. So does what comes after the heatmaps.

    Args:
        content: The graph.
        batches: What it is calibrated on, one batch after the other.
        name: Of the input they are for.

    Raises:
        MissingExtraError: onnxruntime is not installed.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from torch import nn
        >>> from hgzoo.export import quantized, to_onnx
        >>> network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3), nn.Conv2d(64, 2, 1))
        >>> content = to_onnx(network, torch.zeros(2, 3, 8, 8), raw=True)
        >>> batches = [np.zeros((1, 3, 8, 8), np.float32)]  # better: a hundred real crops
        >>> len(quantized(content, batches, name="images")) < 0.5 * len(content)
        True
    """
    onnx = require("onnx", extra="onnx")
    tools = require("onnxruntime.quantization", extra="onnx")
    graph = onnx.load_from_string(content)
    for number, node in enumerate(graph.graph.node):
        node.name = node.name or f"node_{number}"
    places = [n for n, node in enumerate(graph.graph.node) if node.op_type == "Conv"]
    inner = [node.name for node in graph.graph.node[places[0] + 1 : places[-1]]]
    feed = iter([{name: batch} for batch in batches])

    class Reader(tools.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(feed, None)

    with TemporaryDirectory() as folder:
        out = Path(folder) / "int8.onnx"
        tools.quantize_static(
            graph,
            str(out),
            Reader(),
            quant_format=tools.QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED,
            nodes_to_quantize=inner,
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
        )
        return out.read_bytes()


def _write_pt2(module: nn.Module, example: Tensor, path: Path, *, metadata: str) -> None:
    with path.open("wb") as file, _quiet_exporter():
        program = _program(module, example)
        torch.export.save(program, file, extra_files={f"{METADATA_KEY}.json": metadata})


def _run_onnx(content: bytes, example: Tensor) -> list[NDArray[np.float32]]:
    runtime = require("onnxruntime", extra="onnx")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found: list[NDArray[np.float32]] = session.run(
        None, {session.get_inputs()[0].name: example.numpy()}
    )
    return found


def _run_pt2(path: Path, example: Tensor) -> list[NDArray[np.float32]]:
    with path.open("rb") as file, torch.inference_mode(), _quiet_exporter():
        found = torch.export.load(file).module()(example)
    return [one.numpy() for one in (found if isinstance(found, tuple) else (found,))]


def _compared(
    path: Path, size: int, found: list[NDArray[np.float32]], wanted: list[Tensor]
) -> Exported:
    heatmaps = wanted[-1].numpy()
    deviation = float(np.abs(found[-1] - heatmaps).max() / np.abs(heatmaps).max())
    keypoints = float("nan")
    if len(wanted) == 3:
        sure = wanted[1].numpy() >= wanted[1].max().item() / 2
        keypoints = float(np.abs(found[0] - wanted[0].numpy())[sure].max())
    return Exported(path=path, size=size, heatmaps=deviation, keypoints=keypoints)
