"""The parts of a stacked hourglass network, each usable alone.

`RESIDUALS` is the table of residuals that a recipe can name; add your own to it::

    from hgzoo.blocks import RESIDUALS
    RESIDUALS["mine"] = MyResidual      # called with (in_channels, out_channels)
"""

from hgzoo.blocks.hourglass import Hourglass, MakeBlock, add_upsampled
from hgzoo.blocks.residual import MakeResidual, PreActBottleneck, Residuals
from hgzoo.blocks.stem import Stem
from hgzoo.blocks.supervision import Feedback, SupervisionHead

RESIDUALS: dict[str, MakeResidual] = {
    "preact_bottleneck": PreActBottleneck,
}

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
