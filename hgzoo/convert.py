"""Other libraries' checkpoints: what they call our modules, one table a layout.

A layout is recognized by its keys alone, and the architecture is read off the shapes. Every tensor
of the file must find its place, and every place its tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, product

import torch
from torch import Tensor

from hgzoo.config import InputSpec, ModelConfig
from hgzoo.errors import UnknownNameError, WeightsError

Tensors = Mapping[str, Tensor]

BEARPAW_INPUT = InputSpec(mean=(0.4404, 0.4440, 0.4327))
"""RGB minus the mean of MPII's colors; that library defines a std and never applies it."""

IMAGENET_INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a library calls our modules.

    Attributes:
        name: Whose layout it is.
        modules: Our module and theirs. Both are templates: {stack} and {block} count from 0,
            {inners} and {lows} are ".inner" and ".low2" once for each level of the hourglass
            above, {below} counts the levels below, {rung} the heads inside an hourglass.
        residual: The same for the layers inside a residual.
        idle_skips: Whether every residual stores a skip convolution, used or not.
        contract: A key of `CONTRACTS`; "" where the keys do not tell.
    """

    name: str
    modules: Mapping[str, str]
    residual: Mapping[str, str]
    idle_skips: bool = False
    contract: str = ""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The pictures that a library's weights expect.

    Attributes:
        input: Size, mean and std.
        bgr: Whether blue comes first; the first convolution is turned round to take RGB.
    """

    input: InputSpec
    bgr: bool = False


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A checkpoint under our names.

    Attributes:
        layout: Whose layout the file had.
        config: The architecture that its shapes say.
        input: The pictures it expects; None where the keys do not tell.
        tensors: Our keys and the file's tensors.
    """

    layout: str
    config: ModelConfig
    input: InputSpec | None
    tensors: dict[str, Tensor]


CONTRACTS: dict[str, Contract] = {
    "bearpaw": Contract(input=BEARPAW_INPUT),
    "fpd": Contract(input=IMAGENET_INPUT, bgr=True),
    "princeton": Contract(input=InputSpec()),
}
"""What pictures are expected; bearpaw's and FPD's files have the same keys, and bearpaw is meant
unless "fpd" is asked for."""

_SAME = {part: part for part in ("bn1", "conv1", "bn2", "conv2", "bn3", "conv3", "skip")}

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        name="bearpaw, anibali or FPD",
        contract="bearpaw",
        modules={
            "stem.conv": "conv1",
            "stem.bn": "bn1",
            "stem.residual1": "layer1.0",
            "stem.residual2": "layer2.0",
            "stem.residual3": "layer3.0",
            "hourglasses.{stack}{inners}.skip.{block}": "hg.{stack}.hg.{below}.0.{block}",
            "hourglasses.{stack}{inners}.down.{block}": "hg.{stack}.hg.{below}.1.{block}",
            "hourglasses.{stack}{inners}.up.{block}": "hg.{stack}.hg.{below}.2.{block}",
            "hourglasses.{stack}{bottom}.{block}": "hg.{stack}.hg.0.3.{block}",
            "heads.{stack}.residuals.{block}": "res.{stack}.{block}",
            "heads.{stack}.conv": "fc.{stack}.0",
            "heads.{stack}.bn": "fc.{stack}.1",
            "heads.{stack}.heatmaps": "score.{stack}",
            "feedbacks.{stack}.feats": "fc_.{stack}",
            "feedbacks.{stack}.heatmaps": "score_.{stack}",
        },
        residual={**_SAME, "skip": "downsample.0"},
    ),
    Layout(
        name="princeton-vl",
        contract="princeton",
        modules={
            "stem.conv": "pre.0.conv",
            "stem.bn": "pre.0.bn",
            "stem.residual1": "pre.1",
            "stem.residual2": "pre.3",
            "stem.residual3": "pre.4",
            "hourglasses.{stack}{inners}.skip.{block}": "hgs.{stack}.0{lows}.up1",
            "hourglasses.{stack}{inners}.down.{block}": "hgs.{stack}.0{lows}.low1",
            "hourglasses.{stack}{inners}.up.{block}": "hgs.{stack}.0{lows}.low3",
            "hourglasses.{stack}{bottom}.{block}": "hgs.{stack}.0{lows}",
            "heads.{stack}.residuals.{block}": "features.{stack}.0",
            "heads.{stack}.conv": "features.{stack}.1.conv",
            "heads.{stack}.bn": "features.{stack}.1.bn",
            "heads.{stack}.heatmaps": "outs.{stack}.conv",
            "feedbacks.{stack}.feats": "merge_features.{stack}.conv.conv",
            "feedbacks.{stack}.heatmaps": "merge_preds.{stack}.conv.conv",
        },
        residual={part: f"{part}.conv" if part.startswith("conv") else part for part in _SAME}
        | {"skip": "skip_layer.conv"},
        idle_skips=True,
    ),
    Layout(
        name="hgzoo",
        modules={
            ours: ours
            for ours in (
                *("stem.conv", "stem.bn", "stem.residual1", "stem.residual2", "stem.residual3"),
                "hourglasses.{stack}{inners}.skip.{block}",
                "hourglasses.{stack}{inners}.down.{block}",
                "hourglasses.{stack}{inners}.up.{block}",
                "hourglasses.{stack}{bottom}.{block}",
                *("heads.{stack}.residuals.{block}", "heads.{stack}.conv", "heads.{stack}.bn"),
                *("heads.{stack}.heatmaps", "feedbacks.{stack}.feats"),
                *("feedbacks.{stack}.heatmaps", "inner_heads.{rung}.residuals.{block}"),
                *("inner_heads.{rung}.conv", "inner_heads.{rung}.bn"),
                "inner_heads.{rung}.heatmaps",
            )
        },
        residual=_SAME,
    ),
)
"""Every layout that is recognized."""

_TELL_TALE = ("stem.conv", "heads.{stack}.heatmaps")
_RUNG = "inner_heads.{rung}.heatmaps"
_CONV = ("weight", "bias")
_BATCH_NORM = (*_CONV, "running_mean", "running_var", "num_batches_tracked")


def convert(tensors: Tensors, *, contract: str = "", where: str = "the checkpoint") -> Converted:
    """Bring a checkpoint's tensors under our names.

    Args:
        tensors: Keys and tensors of a stacked hourglass of any known layout.
        contract: A key of `CONTRACTS`, for files whose keys do not tell what pictures they
            expect; "" takes what goes with the layout.
        where: What an error calls the file.

    Returns:
        Our keys, the architecture, and the pictures it expects.

    Raises:
        UnknownNameError: There is no such contract.
        WeightsError: No known layout, or keys are left over or missing; lists them.
        ConfigError: The shapes make no network.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.convert import LAYOUTS, convert, names
        >>> model = hgzoo.create_model("hg1_nano")
        >>> ours = model.state_dict()
        >>> theirs = {other: ours[own] for own, other in names(LAYOUTS[0], model.config)}
        >>> list(theirs)[:2]
        ['conv1.weight', 'conv1.bias']
        >>> converted = convert(theirs)
        >>> converted.layout, converted.config == model.config
        ('bearpaw, anibali or FPD', True)
    """
    if contract and contract not in CONTRACTS:
        raise UnknownNameError("contract", contract, CONTRACTS)
    layout = _recognized(tensors, where)
    config = _architecture(layout, tensors, where)
    named = dict(names(layout, config))
    theirs, unused = set(named.values()), set(idle(layout, config))
    lost = [key for key in tensors if key not in theirs and key not in unused]
    gaps = [key for key in named.values() if key not in tensors and not _counts(key)]
    if lost or gaps:
        raise WeightsError(
            f"{where} has the layout of {layout.name}, but not all of it fits:"
            f"{_listed('missing', gaps)}{_listed('left over', lost)}"
        )
    ready = {
        ours: tensors[other] if other in tensors else torch.tensor(0)
        for ours, other in named.items()
    }
    expected = CONTRACTS[contract or layout.contract] if contract or layout.contract else None
    if expected and expected.bgr:
        ready["stem.conv.weight"] = ready["stem.conv.weight"].flip(1)
    return Converted(
        layout=layout.name,
        config=config,
        input=expected.input if expected else None,
        tensors=ready,
    )


def _recognized(tensors: Tensors, where: str) -> Layout:
    for layout in LAYOUTS:
        keys = [layout.modules[ours].format(stack=0) + ".weight" for ours in _TELL_TALE]
        if all(key in tensors for key in keys):
            return layout
    known = "; ".join(layout.name for layout in LAYOUTS)
    raise WeightsError(
        f"{where} is no stacked hourglass whose keys hgzoo knows (it knows those of {known}); "
        f"its first keys: {', '.join(list(tensors)[:5]) or 'none'}"
    )


def _architecture(layout: Layout, tensors: Tensors, where: str) -> ModelConfig:
    """Count modules and read widths."""
    down = "hourglasses.{stack}{inners}.down.{block}"

    def weight(template: str, leaf: str = "", **place: int) -> str:
        module = layout.modules[template].format(**_place(**place))
        return f"{module}.{layout.residual[leaf]}.weight" if leaf else f"{module}.weight"

    def width(template: str, leaf: str = "", axis: int = 0) -> int:
        name = weight(template, leaf)
        if name not in tensors or tensors[name].ndim != 4:
            raise WeightsError(f"{where} lacks {name}, or it is no convolution")
        return tensors[name].shape[axis]

    def there(template: str, leaf: str = "", **place: int) -> bool:
        return weight(template, leaf, **place) in tensors

    def has_level(level: int) -> bool:  # some layouts count from the top, some from the bottom
        return all(there(down, "conv1", level=n, depth=level + 1) for n in (0, level))

    many_blocks, many_rungs = "{block}" in layout.modules[down], _RUNG in layout.modules
    return ModelConfig(
        num_stacks=_count(lambda n: there("heads.{stack}.heatmaps", stack=n)),
        num_feats=width("heads.{stack}.conv"),
        num_blocks=_count(lambda n: there(down, "conv1", block=n)) or 1 if many_blocks else 1,
        depth=_count(has_level) or 1,
        stem_channels=(
            width("stem.conv"),
            width("stem.residual1", "conv3"),
            width("stem.residual2", "conv3"),
            width("stem.residual3", "conv3"),
        ),
        num_keypoints=width("heads.{stack}.heatmaps"),
        in_channels=width("stem.conv", axis=1),
        inner_supervision=_count(lambda n: there(_RUNG, rung=n)) if many_rungs else 0,
    )


def _count(there: Callable[[int], bool]) -> int:
    """Count up from 0 as long as there is something."""
    return next(number for number in count() if not there(number))


def _place(
    *, stack: int = 0, level: int = 0, depth: int = 1, block: int = 0, rung: int = 0
) -> dict[str, str | int]:
    """Fill the placeholders for one place; the bottom of an hourglass is level `depth`."""
    inner, low = ".inner" * level, ".low2" * level
    numbers = {"stack": stack, "block": block, "rung": rung, "below": depth - 1 - level}
    return {"inners": inner, "bottom": inner, "lows": low, **numbers}


def _modules(layout: Layout, config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Name every residual and every layer outside one, ours and theirs."""
    depth = config.depth
    for ours, theirs in layout.modules.items():
        stacks = config.num_stacks - ours.startswith("feedbacks")
        places = product(
            range(stacks if "{stack}" in ours else 1),
            range(depth) if "{inners}" in ours else [depth],
            range(config.num_blocks if "{block}" in ours else 1),
            range(config.inner_supervision if "{rung}" in ours else 1),
        )
        for stack, level, block, rung in places:
            place = _place(stack=stack, level=level, depth=depth, block=block, rung=rung)
            yield ours.format(**place), theirs.format(**place)


def names(layout: Layout, config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Name every tensor, ours and theirs.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.convert import LAYOUTS, names
        >>> config = hgzoo.model_info("hg2").model
        >>> next(names(LAYOUTS[1], config))
        ('stem.conv.weight', 'pre.0.conv.weight')
    """
    changing = _changing(config)
    for ours, theirs in _modules(layout, config):
        parts = [("", "")]
        if _is_residual(ours):
            parts = [
                (f".{one}", f".{other}")
                for one, other in layout.residual.items()
                if one != "skip" or ours in changing
            ]
        for one, other in parts:
            is_norm = f"{ours}{one}".rpartition(".")[2].startswith("bn")
            for value in _BATCH_NORM if is_norm else _CONV:
                yield f"{ours}{one}.{value}", f"{theirs}{other}.{value}"


def idle(layout: Layout, config: ModelConfig) -> Iterator[str]:
    """Name what the layout stores and its network never uses.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.convert import LAYOUTS, idle
        >>> config = hgzoo.model_info("hg2").model
        >>> [len(list(idle(layout, config))) for layout in LAYOUTS]
        [0, 58, 0]
    """
    changing = _changing(config)
    for ours, theirs in _modules(layout, config):
        if layout.idle_skips and _is_residual(ours) and ours not in changing:
            yield from (f"{theirs}.{layout.residual['skip']}.{value}" for value in _CONV)


def _is_residual(ours: str) -> bool:
    last = ours.rpartition(".")[2]
    return last.startswith("residual") or (last.isdigit() and not ours.startswith("stem"))


def _changing(config: ModelConfig) -> set[str]:
    """Name the residuals whose skip is a convolution because the width changes."""
    first, second, third, last = config.stem_channels
    widths = {"stem.residual1": (first, second), "stem.residual2": (second, third)}
    widths["stem.residual3"] = (third, last)
    return {name for name, (before, after) in widths.items() if before != after}


def _counts(key: str) -> bool:
    """Tell a batch norm's count of steps, which old checkpoints lack and inference never needs."""
    return key.endswith(".num_batches_tracked")


def _listed(label: str, keys: list[str]) -> str:
    shown = [*keys[:20], *([f"… and {len(keys) - 20} more"] if len(keys) > 20 else [])]
    return "".join(f"\n  {label}: {key}" for key in shown)
