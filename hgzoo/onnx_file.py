"""ONNX files that `hgzoo export` wrote, run by ONNX Runtime. Nothing here needs torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgzoo import recipes
from hgzoo.config import InputSpec, ModelConfig, OutputSpec
from hgzoo.errors import ConfigError, HgzooError, WeightsError, require
from hgzoo.readers import Found

METADATA_KEY = "hgzoo"
"""Under which a file says what it is."""

OUTPUTS = ("keypoints", "scores", "heatmaps")
"""What a file with the decoding inside gives."""

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxReader:
    """Reads keypoints in crops with an ONNX file.

    Args:
        path: What `hgzoo export` wrote, with the decoding inside.
        flip: Whether the file should average with the mirrored crop; None takes it as it is.
        decoder: The decoder the file should hold; "" takes the one it holds.
        device: "cpu" or "cuda".

    Raises:
        WeightsError: It cannot be read, or was not written by hgzoo.
        ConfigError: It was exported otherwise than it is asked for, or there is no such device.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(
        self, path: Path, *, flip: bool | None = None, decoder: str = "", device: str = "cpu"
    ) -> None:
        self._session = _session(path, device)
        record = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if record is None:
            raise WeightsError(f"{path} was not written by hgzoo export; export the network anew")
        try:
            table = json.loads(record)
            model = recipes.from_table(ModelConfig, table["model"], where=str(path))
            self.input = recipes.from_table(InputSpec, table["input"], where=str(path))
            output = recipes.from_table(OutputSpec, table["output"], where=str(path))
            file = dict(table["file"])
        except (ValueError, KeyError, TypeError, RecursionError, HgzooError) as error:
            raise WeightsError(f"{path} does not say well what it is: {error}") from error
        _check(path, file, flip=flip, decoder=decoder)
        self.skeleton = output.skeleton_for(model.num_keypoints)
        self.calibration = output.calibration

    def __call__(self, crops: NDArray[np.uint8], *, heatmaps: bool = False) -> Found:
        """Read the keypoints of the person in each crop; see `hgzoo.readers.Reader`.

        The heatmaps are those of the last stack.
        """
        names = OUTPUTS if heatmaps else OUTPUTS[:2]
        xy, scores, *maps = self._session.run(names, {"crops": crops})
        return Found(
            xy.astype(np.float64), scores.astype(np.float64), maps[0][None] if heatmaps else None
        )

    def without_flip(self) -> OnnxReader:
        """Return itself: what a file does is fixed."""
        return self


def _session(path: Path, device: str) -> Any:  # Any: onnxruntime is untyped
    runtime = require("onnxruntime", extra="onnx")
    provider = PROVIDERS.get(device, "")
    if provider not in runtime.get_available_providers():
        known = [d for d, name in PROVIDERS.items() if name in runtime.get_available_providers()]
        raise ConfigError(f"this onnxruntime runs on {' or '.join(known)}, not on {device!r}")
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors only
    try:
        return runtime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # onnxruntime's own errors share no other ancestor
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path} is no ONNX file that onnxruntime can run: {reason}") from error


def _check(path: Path, file: dict[str, Any], *, flip: bool | None, decoder: str) -> None:
    if file.get("raw"):
        raise ConfigError(f"{path} gives bare heatmaps; export the network without --raw")
    if flip is not None and flip != file.get("flip"):
        state, fix = ("with", "without") if file.get("flip") else ("without", "with")
        raise ConfigError(f"{path} was exported {state} flip averaging; export it {fix} --flip")
    if decoder and decoder != file.get("decoder"):
        raise ConfigError(
            f"{path} holds the decoder {file.get('decoder')!r}; export it with --decoder {decoder}"
        )
