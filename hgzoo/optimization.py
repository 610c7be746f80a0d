"""How weights move: optimizer, schedule and running average, by timm's factories."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from hgzoo.config import TrainConfig
from hgzoo.errors import ConfigError, require
from hgzoo.model import StackedHourglass


def make_optimizer(
    model: StackedHourglass, config: TrainConfig, *, updates: int
) -> tuple[Optimizer, Any]:
    """Make an optimizer and its schedule.

    Args:
        model: The network whose weights move.
        config: The recipe's [train] table.
        updates: Steps of the optimizer in an epoch.

    Returns:
        The optimizer, and a schedule with timm's `step_update(update)` after each step,
        `step(epoch, metric)` after each epoch, `state_dict` and `load_state_dict`. (Any: timm's
        schedules and ours have no common type.)

    Raises:
        ConfigError: timm knows no such optimizer or schedule, or cannot make it so.
        MissingExtraError: timm is not installed.
    """
    optim, sched = require("timm.optim", extra="train"), require("timm.scheduler", extra="train")
    try:
        optimizer: Optimizer = optim.create_optimizer_v2(
            model,
            opt=config.optimizer,
            lr=config.lr,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            **config.optimizer_args,
        )
        if config.schedule == "plateau":
            return optimizer, Plateau(optimizer, config)
        schedule, _ = sched.create_scheduler_v2(
            optimizer,
            sched=config.schedule,
            num_epochs=config.epochs,
            warmup_epochs=config.warmup_epochs,
            warmup_lr=0.0,
            min_lr=config.min_lr,
            decay_rate=config.decay_rate,
            decay_epochs=config.decay_epochs,
            step_on_epochs=False,
            updates_per_epoch=updates,
        )
    except ConfigError:
        raise
    except (ValueError, AssertionError, TypeError) as error:
        raise ConfigError(f"timm refuses this optimizer or schedule: {error}") from error
    if schedule is None:
        raise ConfigError(f"schedule = {config.schedule!r} gives none; name one, such as cosine")
    return optimizer, schedule


class Plateau:
    """The paper's schedule: divide the rate once validation stalls (Section 3.4).

    torch's plateau under timm's method names. timm's own forgets what it has seen when training
    is resumed.

    Args:
        optimizer: Whose rate it changes.
        config: The recipe's [train] table.

    Raises:
        ConfigError: The recipe asks for a warm-up, which this schedule does not have.
    """

    def __init__(self, optimizer: Optimizer, config: TrainConfig) -> None:
        if config.warmup_epochs:
            raise ConfigError('schedule = "plateau" has no warm-up; set warmup_epochs = 0.0')
        self.inner = ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=config.decay_rate,
            patience=config.patience,
            min_lr=config.min_lr,
        )

    def step_update(self, update: int) -> None:
        """Do nothing: the rate changes between epochs only."""

    def step(self, epoch: int, metric: float) -> None:
        """Look whether validation stalls."""
        self.inner.step(metric)

    def state_dict(self) -> dict[str, Any]:
        """Return what the schedule remembers."""
        state: dict[str, Any] = self.inner.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what the schedule remembered."""
        self.inner.load_state_dict(state)


def make_ema(model: StackedHourglass, config: TrainConfig) -> Any:  # Any: timm's class, or None
    """Make the running average of the weights, or None where the recipe wants none."""
    if not config.ema_decay:
        return None
    utils = require("timm.utils", extra="train")
    return utils.ModelEmaV3(model, decay=config.ema_decay, use_warmup=True)
