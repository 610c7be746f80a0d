"""Any picture a user may have, as RGB bytes."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from hgzoo.errors import InputError
from hgzoo.files import atomic, writing

if TYPE_CHECKING:
    from torch import Tensor

RGB = NDArray[np.uint8]

DEMO = Path(__file__).parent / "demo" / "demo.jpg"
"""The picture that comes with hgzoo; CREDITS.md beside it says whose it is."""

TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""

DAMAGED = (
    *(ArithmeticError, EOFError, LookupError, RuntimeError, SyntaxError, TypeError, ValueError),
    struct.error,
)
"""What Pillow's decoders are known to raise on damaged files, besides OSError."""


def load(picture: str | Path | Image.Image | NDArray[np.uint8] | Tensor) -> RGB:
    """Bring a picture of any kind to RGB bytes, upright.

    EXIF rotation is applied; transparency is laid on white; 16-bit and floating-point gray is
    brought to 0..255 by its type's range (16 bits) or its own range (32 bits); of an animation,
    the first frame is taken.

    Args:
        picture: A path, a PIL image, uint8 RGB [H, W, 3] or gray [H, W], or a uint8 tensor
            [3, H, W] (torchvision's order).

    Returns:
        [H, W, 3], RGB, 0..255.

    Raises:
        InputError: No such file, not a picture, damaged, too large, empty, or of another shape.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.pictures import load
        >>> load("photo.jpg").shape
        (528, 396, 3)
        >>> load(np.zeros((4, 6), np.uint8)).shape  # gray
        (4, 6, 3)
        >>> load("nowhere.jpg")
        Traceback (most recent call last):
            ...
        hgzoo.errors.InputError: cannot read nowhere.jpg: No such file or directory
    """
    if isinstance(picture, str | Path):
        return _read(Path(picture))
    if isinstance(picture, Image.Image):
        return _from_pil(picture)
    if isinstance(picture, np.ndarray):
        return _checked(picture)
    return _checked(_from_tensor(picture))


def save(path: Path, picture: RGB) -> None:
    """Write a picture as PNG, whole or not at all; the folder is made.

    Args:
        path: The file.
        picture: RGB, [H, W, 3], 0..255.

    Raises:
        OutputError: The file cannot be written.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.pictures import load, save
        >>> save(Path("drawn/copy.png"), load("photo.jpg"))
        >>> load("drawn/copy.png").shape
        (528, 396, 3)
    """
    with writing(path), atomic(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def size_of(path: Path) -> tuple[int, int]:
    """Read a picture's (height, width), upright, from the head of its file.

    Raises:
        InputError: No such file, not a picture, or too large.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.pictures import size_of
        >>> size_of(Path("photo.jpg"))
        (528, 396)
    """
    with _opened(path) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in TURNED
        width, height = image.size
        return (width, height) if turned else (height, width)


def _read(path: Path) -> RGB:
    with _opened(path) as image:
        return _from_pil(image)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; whatever goes wrong inside is an InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the error stays
            with Image.open(path) as image:
                yield image
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a picture that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _from_pil(image: Image.Image) -> RGB:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return _checked((np.asarray(upright) >> 8).astype(np.uint8))
    if upright.mode in ("I", "F"):
        return _checked(_stretched(np.asarray(upright, np.float64)))
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return _checked(np.array(upright.convert("RGB")))


def _stretched(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bring whole numbers of 16 bits, or any range of floats, to 0..255."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if low >= 0 and 255 < high <= 65535:  # Pillow opens 16-bit PNG as 32-bit "I" at times
        return (values / 257).astype(np.uint8)
    span = (high - low) or 1.0
    return ((values - low) / span * 255).astype(np.uint8)


def _from_tensor(tensor: Tensor) -> NDArray[np.uint8]:
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise InputError(
            f"a tensor must be one picture [3, H, W], got {list(tensor.shape)}; "
            "give a batch as a list of pictures"
        )
    array: NDArray[np.uint8] = tensor.detach().cpu().permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[2] == 1 else array


def _checked(array: NDArray[np.uint8]) -> RGB:
    if array.dtype != np.uint8:
        raise InputError(
            f"a picture's values must be uint8 in 0..255, got {array.dtype}; "
            "multiply pictures in 0..1 by 255 and convert them"
        )
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or not array.size:
        alpha = "; leave the alpha out: picture[..., :3]" if array.shape[2:] == (4,) else ""
        raise InputError(
            f"a picture must be RGB [H, W, 3] and not empty, got {list(array.shape)}{alpha}"
        )
    return np.ascontiguousarray(array)
