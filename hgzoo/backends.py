"""The same last heatmaps, faster: fewer steps, smaller numbers, other engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgzoo.errors import ConfigError, InputError, names_near_misses, require
from hgzoo.export import PixelsToHeatmaps, check_calibration, quantized, to_onnx
from hgzoo.inference import Network, prepare
from hgzoo.lean import LeanHourglass
from hgzoo.model import StackedHourglass, check_images
from hgzoo.normalization import to_tensor

BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]
FastPrecision = Literal["float32", "bfloat16", "int8"]
Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """What a backend does, and what it needs for it.

    Attributes:
        packages: Each number format it works in, with the packages that must be installed.
        extra: The extra of hgzoo that installs them; "" where hgzoo itself does.
    """

    packages: Mapping[str, tuple[str, ...]]
    extra: str = ""


BACKENDS = {
    "openvino": Backend(
        extra="openvino",
        packages={
            "float32": ("onnx", "onnxscript", "openvino"),
            "bfloat16": ("onnx", "onnxscript", "openvino"),
            "int8": ("onnx", "onnxscript", "onnxruntime", "openvino"),
        },
    ),
    "onnxruntime": Backend(
        extra="onnx",
        packages={
            "float32": ("onnx", "onnxscript", "onnxruntime"),
            "int8": ("onnx", "onnxscript", "onnxruntime"),
        },
    ),
    "torch": Backend(packages={"float32": (), "bfloat16": ()}),
}
"""Every backend, the fastest first."""

PRECISIONS: tuple[str, ...] = get_args(FastPrecision)


@names_near_misses
def optimize(
    model: StackedHourglass,
    *,
    precision: FastPrecision = "float32",
    backend: BackendName = "auto",
    num_stacks: int | None = None,
    calibration: Sequence[NDArray[np.uint8]] = (),
) -> Network:
    """Return a network with the same call that computes only what the last heatmaps need.

    Its list holds one tensor, the last heatmaps. `hgzoo.Predictor` takes it like any other; it
    cannot be trained, and does not follow changes of the model.

    Batch norms are folded, the heads between stacks merged, and features dropped as soon as they
    are used: see `hgzoo.lean`. ONNX Runtime and OpenVINO take some seconds a stack to prepare, and
    afterwards take pictures of the model's own size alone.

    Args:
        model: With its weights, on the CPU or, for torch alone, elsewhere; keeps its own numbers.
        precision: "float32" gives the same heatmaps within 1e-4 of the highest. "bfloat16" and
            "int8" are rounder and faster: `hgzoo benchmark` says how much of both.
        backend: "torch", "onnxruntime", "openvino", or the fastest of those that are installed.
        num_stacks: Stop after so many stacks; None runs all.
        calibration: For int8: crops [*input size, 3], RGB, 0..255, like those it will be used on;
            a hundred or more.

    Raises:
        ConfigError: Such a precision or number of stacks cannot be had, not with this backend, or
            without crops.
        MissingExtraError: The backend is not installed.

    Examples:
        >>> import hgzoo
        >>> import torch
        >>> model = hgzoo.create_model("hg2_tiny", pretrained=True)
        >>> fast = hgzoo.optimize(model, backend="torch")
        >>> images = torch.zeros(1, 3, 128, 128)
        >>> with torch.inference_mode():
        ...     (heatmaps,) = fast(images)
        ...     difference = (heatmaps - model(images)[-1]).abs().max()
        ...
        >>> heatmaps.shape, bool(difference < 1e-3)
        (torch.Size([1, 19, 32, 32]), True)
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be {', '.join(PRECISIONS)}, got {precision!r}")
    chosen = _chosen(backend, precision, on_cpu=model.device.type == "cpu")
    if chosen == "torch":
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        return LeanHourglass(model, num_stacks=num_stacks, dtype=dtype).to(model.device)
    if precision == "int8":
        check_calibration(model, calibration)
    lean = LeanHourglass(model, num_stacks=num_stacks, exported=True).cpu()
    height, width = model.input.size
    example = torch.zeros(2, model.config.in_channels, height, width)
    content = to_onnx(PixelsToHeatmaps(lean), example, raw=True)
    if precision == "int8":
        ready = [prepare(to_tensor(crop[None]), model.input).numpy() for crop in calibration]
        content = quantized(content, ready, name="images")
    if chosen == "openvino":
        return EngineNetwork(lean, _openvino(content, precision, tuple(example.shape[1:])))
    return EngineNetwork(lean, _onnxruntime(content))


class EngineNetwork:
    """A network that another engine runs, on the CPU.

    Args:
        lean: What it was made from: says what it expects and means.
        run: Takes pictures [B, C, H, W] and returns heatmaps [B, K, H/4, W/4], float32.

    Examples:
        >>> import hgzoo
        >>> import torch
        >>> model = hgzoo.create_model("hg1_nano", pretrained=True)
        >>> fast = hgzoo.optimize(model, backend="onnxruntime")
        >>> type(fast).__name__, fast(torch.zeros(2, 3, 128, 128))[0].shape
        ('EngineNetwork', torch.Size([2, 19, 32, 32]))
    """

    def __init__(self, lean: LeanHourglass, run: Run) -> None:
        self.config = lean.config
        self.input = lean.input
        self.output = lean.output
        self.device = torch.device("cpu")
        self.dtype = torch.float32
        self._run = run
        self._running = Lock()

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the last heatmaps, in a list.

        Callers in several threads are served one after the other: each call uses all threads.

        Args:
            images: Normalized pictures, [B, C, *input.size].

        Raises:
            InputError: They have another size.
        """
        check_images(images, self.config)
        if tuple(images.shape[-2:]) != self.input.size:
            height, width = self.input.size
            raise InputError(
                f"this network was optimized for {height}x{width}, got "
                f'{images.shape[-2]}x{images.shape[-1]}; backend="torch" takes any size'
            )
        if not len(images):  # of which engines can make nothing
            return [torch.empty(0, self.config.num_keypoints, *self.input.heatmap_size)]
        ready = np.ascontiguousarray(images.detach().cpu().float().numpy())
        with self._running:
            return [torch.from_numpy(self._run(ready))]


def _chosen(backend: str, precision: str, *, on_cpu: bool) -> str:
    """Return the backend that is asked for, or the fastest that is installed.

    Raises:
        ConfigError: It does not work in this number format, or not on this device.
        MissingExtraError: It is not installed.
    """
    able = [name for name, one in BACKENDS.items() if precision in one.packages]
    if not on_cpu:
        able = [name for name in able if name == "torch"]
        if not able:
            raise ConfigError(f"{precision} runs on the CPU only; move the model there")
    if backend == "auto":
        backend = next((name for name in able if installed(name, precision)), able[-1])
    if backend not in able:
        raise ConfigError(f"{precision} runs with {' or '.join(able)} here, not with {backend!r}")
    require_packages(backend, precision)
    return backend


def installed(backend: str, precision: str = "float32") -> bool:
    """Tell whether every package is there that a backend needs.

    Args:
        backend: A key of `BACKENDS`.
        precision: A number format it works in.

    Examples:
        >>> from hgzoo.backends import installed
        >>> installed("torch", "bfloat16")
        True
    """
    return all(find_spec(package) for package in BACKENDS[backend].packages[precision])


def require_packages(backend: str, precision: str = "float32") -> None:
    """Import every package that a backend needs.

    Args:
        backend: A key of `BACKENDS`.
        precision: A number format it works in.

    Raises:
        MissingExtraError: One is not installed.

    Examples:
        >>> from hgzoo.backends import require_packages
        >>> require_packages("torch")
    """
    for package in BACKENDS[backend].packages[precision]:
        require(package, extra=BACKENDS[backend].extra)


def _onnxruntime(content: bytes) -> Run:
    runtime = require("onnxruntime", extra=BACKENDS["onnxruntime"].extra)

    def session(threads: int) -> Run:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        made = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

        def run(images: Floats) -> Floats:
            heatmaps: Floats = made.run(None, {"images": images})[0]
            return heatmaps

        return run

    threads = torch.get_num_threads()
    alone = session(1)
    together = session(threads) if threads > 1 else alone
    pool = ThreadPoolExecutor(threads)
    return _spread(lambda pictures: [*pool.map(alone, pictures)], together, threads)


@cache
def _core() -> Any:  # Any: openvino's own, untyped
    """Return the process's only OpenVINO core, which lives as long as the process.

    Each core gives the process another stack for its signal handlers, and takes it back when it
    goes. Cores that do not go in the reverse order in which they came leave a stack behind that is
    no longer there: the next signal, be it Ctrl-C, ends the process.
    """
    return require("openvino", extra=BACKENDS["openvino"].extra).Core()


def _openvino(content: bytes, precision: str, shape: tuple[int, ...]) -> Run:
    openvino = require("openvino", extra=BACKENDS["openvino"].extra)
    core = _core()
    threads = torch.get_num_threads()
    # OpenVINO would take bfloat16 by itself wherever the processor has it. int8 takes it there
    # for the few layers that are not in whole numbers.
    able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    rounded = precision == "bfloat16" or (precision == "int8" and able)
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if rounded else "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    graph = core.read_model(content)
    graph.reshape([1, *shape])  # numbers that are known now save time in every call
    streams = core.compile_model(graph, "CPU", {**settings, "NUM_STREAMS": threads})
    one = {**settings, "NUM_STREAMS": 1}
    together = core.compile_model(graph, "CPU", one) if threads > 1 else streams
    queue = openvino.AsyncInferQueue(streams, threads)

    def keep(request: Any, at: tuple[list[Floats], int]) -> None:  # Any: openvino's own
        found, place = at
        found[place] = request.get_output_tensor().data.copy()

    queue.set_callback(keep)

    def alone(pictures: list[Floats]) -> list[Floats]:
        found = pictures.copy()
        for place, picture in enumerate(pictures):
            queue.start_async(picture, (found, place))
        queue.wait_all()
        return found

    def all_threads(image: Floats) -> Floats:
        heatmaps: Floats = together(image)[0]
        return heatmaps

    return _spread(alone, all_threads, threads)


def _spread(alone: Callable[[list[Floats]], list[Floats]], together: Run, threads: int) -> Run:
    """Let every thread read pictures of its own, and all threads share those that are left over.

    Threads that share a picture wait for each other at every layer.

    Args:
        alone: Reads pictures [1, C, H, W], as many at a time as there are threads.
        together: Reads one with all threads.
        threads: Their number.
    """

    def run(images: Floats) -> Floats:
        pictures = np.split(images, len(images))
        even = len(pictures) // threads * threads
        found = [*alone(pictures[:even]), *map(together, pictures[even:])]
        return np.concatenate(found)

    return run
