"""Videos and cameras as pictures, and pictures as videos, through OpenCV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from hgzoo.errors import ConfigError, InputError, OutputError
from hgzoo.files import writing
from hgzoo.pictures import RGB

SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"),
        *(".3gp", ".ts", ".mts", ".m2ts", ".ogv"),
    }
)
"""What counts as a video."""

USUAL_FPS = 25.0
"""Frames a second where neither file nor camera knows."""

MISSING = 0.02
"""Share of a video's length that may be missing before it counts as cut off."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes:
        index: From 0.
        seconds: Since the first frame: the file's own time stamp, or the clock for a camera.
        pixels: [H, W, 3], RGB, 0..255, upright.
    """

    index: int
    seconds: float
    pixels: RGB


class Clip:
    """A video file or a camera that is open for reading, once, from its beginning.

    Attributes:
        name: What it is called in messages and results: the path, or "camera:0".
        fps: Frames a second, as the file or the camera says.
        count: Frames in all, as the file says; None where that is not known.
        live: Whether it is a camera.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from hgzoo.videos import Clip, Recorder
        >>> with Recorder(Path("clip.mp4"), fps=25.0) as video:
        ...     for shade in (0, 120, 240):
        ...         video.write(np.full((48, 64, 3), shade, np.uint8))
        ...
        >>> with Clip.of_file(Path("clip.mp4")) as clip:
        ...     shapes = [frame.pixels.shape for frame in clip.frames()]
        ...
        >>> clip.count, clip.fps, shapes[0]
        (3, 25.0, (48, 64, 3))
    """

    def __init__(self, capture: cv2.VideoCapture, *, name: str, live: bool) -> None:
        self._capture = capture
        self.name = name
        self.live = live
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps <= 1000 else USUAL_FPS
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 and not live else None

    @classmethod
    def of_file(cls, path: Path) -> Clip:
        """Open a video file; what its head says about rotation is applied.

        Raises:
            InputError: No such file, empty, not a video, or damaged.
        """
        try:
            if not path.stat().st_size:
                raise InputError(f"{path} is empty")
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        with _quiet():
            capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise InputError(f"{path} is not a video that OpenCV can read, or is damaged")
        return cls(capture, name=str(path), live=False)

    @classmethod
    def of_camera(cls, number: int) -> Clip:
        """Open a camera of this machine, counted from 0.

        Raises:
            InputError: There is no such camera, or somebody else uses it.
        """
        with _quiet():  # OpenCV tells of every driver it tried
            capture = cv2.VideoCapture(number)
        if not capture.isOpened():
            raise InputError(
                f"camera {number} cannot be opened; is it connected, free, and counted from 0?"
            )
        return cls(capture, name=f"camera:{number}", live=True)

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._capture.release()

    def frames(self) -> Iterator[Frame]:
        """Read the frames, one after the other.

        Raises:
            InputError: There are none, or, after the last one that can be read, the file ends long
                before the time it says.
        """
        index, seconds, begun = 0, 0.0, time.monotonic()
        while True:
            found, pixels = self._capture.read()
            if not found:
                break
            stamp = time.monotonic() - begun if self.live else self._stamp(index)
            seconds = max(stamp, seconds + 1e-3) if index else stamp
            yield Frame(index, seconds, np.ascontiguousarray(pixels[..., ::-1], np.uint8))
            index += 1
        self._check_end(index, seconds)

    def _stamp(self, index: int) -> float:
        """Return a frame's time, seconds; by its number where the file has none."""
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000 or index / self.fps

    def _check_end(self, read: int, seconds: float) -> None:
        if not read:
            raise InputError(f"{self.name} has no frames that can be read")
        if self.live:
            raise InputError(f"{self.name} gives no more frames; was it unplugged?")
        if self.count is not None:
            length, end = self.count / self.fps, seconds + 1 / self.fps
            if length - end > max(3 / self.fps, MISSING * length):
                raise InputError(
                    f"{self.name} is cut off or damaged: it ends after {end:.2f} of "
                    f"{length:.2f} seconds"
                )


class Recorder:
    """Writes a video that appears when it is whole, or when what there is of it is.

    Until the `with` block is left, for whatever reason, the frames are in a hidden file beside
    the video; then that file takes the video's place, if it has any frame. The format is MPEG-4,
    which needs no other program. Of an odd width or height, the last pixel is cut off.

    Args:
        path: Ends in .mp4; its folder is made.
        fps: Frames a second.

    Raises:
        ConfigError: The name does not end in .mp4.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from hgzoo.videos import Recorder, frames_in
        >>> with Recorder(Path("out.mp4"), fps=10.0) as video:
        ...     video.write(np.zeros((48, 64, 3), np.uint8))
        ...     Path("out.mp4").exists()  # it appears when it is whole
        ...
        False
        >>> frames_in(Path("out.mp4"))
        1
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        if path.suffix.lower() != ".mp4":
            raise ConfigError(f"videos are written as .mp4, not as {path.name!r}")
        self.path = path
        self.fps = fps
        self.written = 0
        self._part = path.with_name(f".{path.stem}.part.mp4")
        self._size = (0, 0)
        self._writer: cv2.VideoWriter | None = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is None:
            return
        self._writer.release()
        readable = frames_in(self._part)
        if readable:
            with writing(self.path):
                self._part.replace(self.path)
        self._part.unlink(missing_ok=True)
        if readable != self.written and error is None:
            raise OutputError(
                f"only {readable} of {self.written} frames are in {self.path}; is the disk full?"
            )

    def write(self, picture: RGB) -> None:
        """Add a frame.

        Args:
            picture: [H, W, 3], RGB, 0..255; of the same size each time.

        Raises:
            OutputError: The file cannot be written.
            InputError: The size has changed.
        """
        height, width = picture.shape[:2]
        if self._writer is None:
            self._writer = self._opened((height, width))
        if (height, width) != self._size:
            raise InputError(
                f"frame {self.written} is {width}x{height}, but the video began with "
                f"{self._size[1]}x{self._size[0]}; a video keeps its size"
            )
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        self.written += 1

    def _opened(self, size: tuple[int, int]) -> cv2.VideoWriter:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()  # tells why it cannot be written, which OpenCV does not
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(self._part), cv2.CAP_FFMPEG, code, self.fps, size[::-1])
        if not writer.isOpened():
            self._part.unlink(missing_ok=True)
            raise OutputError(f"OpenCV cannot write {size[1]}x{size[0]} video to {self.path}")
        self._size = size
        return writer


def frames_in(path: Path) -> int:
    """Return how many frames the head of a video says it has; 0 where it cannot be read.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.videos import frames_in
        >>> frames_in(Path("nowhere.mp4"))
        0
    """
    if not path.is_file() or not path.stat().st_size:
        return 0
    with _quiet():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return max(count, 0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV's own words off the error stream; ours say what matters."""
    before = cv2.utils.logging.setLogLevel(0)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
