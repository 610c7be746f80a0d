"""hgzoo: stacked hourglass networks, their parts, their zoo, and keypoints from pictures.

The names below load their modules when first used, so that `import hgzoo` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hgzoo.backends import optimize
    from hgzoo.errors import HgzooError
    from hgzoo.factory import create_model, list_models, model_info
    from hgzoo.hub import push_to_hub
    from hgzoo.model import StackedHourglass
    from hgzoo.predict import Predictor
    from hgzoo.skeletons import SKELETONS, Pose, Skeleton
    from hgzoo.timm_bridge import register_with_timm

__version__ = "0.1.0"

__all__ = [
    "SKELETONS",
    "HgzooError",
    "Pose",
    "Predictor",
    "Skeleton",
    "StackedHourglass",
    "__version__",
    "create_model",
    "list_models",
    "model_info",
    "optimize",
    "push_to_hub",
    "register_with_timm",
]

_HOMES = {
    "SKELETONS": "skeletons",
    "HgzooError": "errors",
    "Pose": "skeletons",
    "Predictor": "predict",
    "Skeleton": "skeletons",
    "StackedHourglass": "model",
    "create_model": "factory",
    "list_models": "factory",
    "model_info": "factory",
    "optimize": "backends",
    "push_to_hub": "hub",
    "register_with_timm": "timm_bridge",
}


def __getattr__(name: str) -> object:
    """Load a public name's module when the name is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hgzoo' has no attribute {name!r}")
    return getattr(import_module(f"hgzoo.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
