"""The parts of a stacked hourglass network, each usable alone."""

from hgzoo.blocks.hourglass import Hourglass, MakeBlock, add_upsampled
from hgzoo.blocks.residual import MakeResidual, PreActBottleneck, Residuals
from hgzoo.blocks.stem import Stem
from hgzoo.blocks.supervision import Feedback, SupervisionHead

RESIDUALS: dict[str, MakeResidual] = {
    "preact_bottleneck": PreActBottleneck,
}
"""Every residual that a recipe can name; each is called with (in_channels, out_channels).

Add your own: `RESIDUALS["mine"] = MyResidual`, then `residual = "mine"` in a recipe.
"""

__all__ = [
    "RESIDUALS",
    "Feedback",
    "Hourglass",
    "MakeBlock",
    "MakeResidual",
    "PreActBottleneck",
    "Residuals",
    "Stem",
    "SupervisionHead",
    "add_upsampled",
]
