"""Any picture a user may have, and files that are none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hgzoo import pictures
from hgzoo.errors import InputError, OutputError
from hgzoo.pictures import load, save

RGB = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def test_every_form_of_one_picture_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    tensor = torch.from_numpy(RGB).permute(2, 0, 1)
    for form in (path, str(path), Image.fromarray(RGB), RGB, tensor):
        np.testing.assert_array_equal(pictures.load(form), RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    """Orientation o means: this transposition makes the stored picture upright."""
    upright = Image.fromarray(RGB)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    stored.save(path, exif=exif)
    np.testing.assert_array_equal(pictures.load(path), RGB)


def test_gray_has_three_equal_channels() -> None:
    gray = RGB[..., 0]
    for form in (gray, Image.fromarray(gray), torch.from_numpy(gray)[None]):
        out = pictures.load(form)
        np.testing.assert_array_equal(out, np.repeat(gray[..., None], 3, axis=2))


def test_a_palette_is_looked_up() -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode=None).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert pictures.load(image).tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((1, 2, 4), np.uint8)
    rgba[0, 1] = (10, 20, 30, 255)
    assert pictures.load(Image.fromarray(rgba)).tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_one_bit_and_cmyk_pictures_work() -> None:
    assert pictures.load(Image.new("1", (2, 2), 1)).min() == 255
    assert pictures.load(Image.new("CMYK", (2, 2), (0, 0, 0, 0))).min() == 255


def test_16_bit_gray_keeps_its_range(tmp_path: Path) -> None:
    values = np.array([[0, 257 * 100, 65535]], np.uint16)
    path = tmp_path / "deep.png"
    Image.fromarray(values).save(path)
    assert pictures.load(path)[0, :, 0].tolist() == [0, 100, 255]


def test_floating_point_gray_is_stretched() -> None:
    image = Image.fromarray(np.array([[-1.0, 0.0, 1.0]], np.float32))
    assert pictures.load(image)[0, :, 1].tolist() == [0, 127, 255]


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    black, white = Image.new("L", (3, 2), 0), Image.new("L", (3, 2), 255)
    white.save(path, save_all=True, append_images=[black])
    assert pictures.load(path).min() == 255


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        pictures.load(tmp_path / "none.jpg")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00.", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png"):
        pictures.load(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_refused(
    picture_file: Callable[..., Path], suffix: str, share: float
) -> None:
    path = picture_file(f"a.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=rf"a\.{suffix}"):
        pictures.load(path)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it skips
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif", "avif"])
def test_a_damaged_file_is_a_picture_or_an_input_error(
    picture_file: Callable[..., Path], suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = picture_file(f"a.{suffix}", width=12, height=8, exif=exif)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(150):
        content = bytearray(whole)
        for place in random.integers(0, min(400, len(whole)), random.integers(1, 8)):
            content[place] = random.integers(0, 256)
        path.write_bytes(content)
        try:
            assert pictures.load(path).ndim == 3
        except InputError as error:
            assert path.name in str(error)  # noqa: PT017


def test_a_bomb_is_refused_before_it_is_unpacked(
    picture_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="too large"):
        pictures.load(picture_file())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 6, 3), np.float32), "must be uint8"),
        (np.zeros((0, 6, 3), np.uint8), "not empty"),
        (np.zeros((4, 6, 4), np.uint8), "RGB"),
        (np.zeros((2, 4, 6, 3), np.uint8), "RGB"),
    ],
)
def test_arrays_of_another_kind_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pictures.load(array)


def test_tensors_of_another_kind_are_refused() -> None:
    with pytest.raises(InputError, match="a list of pictures"):
        pictures.load(torch.zeros(2, 3, 4, 6, dtype=torch.uint8))
    with pytest.raises(InputError, match="uint8"):
        pictures.load(torch.zeros(3, 4, 6))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pictures_size_is_that_of_the_upright_picture(tmp_path: Path, orientation: int) -> None:
    picture = Image.new("RGB", (20, 12))
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert pictures.size_of(tmp_path / "a.jpg") == pictures.load(tmp_path / "a.jpg").shape[:2]


def test_an_array_with_alpha_is_told_what_to_leave_out() -> None:
    with pytest.raises(InputError, match=r"picture\[\.\.\., :3\]"):
        pictures.load(np.zeros((4, 6, 4), np.uint8))


def test_a_saved_picture_comes_back_and_what_hinders_it_names_the_file(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    save(tmp_path / "new" / "a.png", picture)
    np.testing.assert_array_equal(load(tmp_path / "new" / "a.png"), picture)
    with pytest.raises(OutputError, match=r"cannot write .*a\.png.b\.png"):
        save(tmp_path / "new" / "a.png" / "b.png", picture)
