"""What the documentation claims, measured."""

from hgzoo.benchmark.decoders import DecoderError, decoder_errors
from hgzoo.benchmark.loading import Loading, loading_speeds, write_people
from hgzoo.benchmark.steps import (
    BASELINE,
    CHECKPOINTED,
    SETUPS,
    Setup,
    Step,
    make_runs,
    saved_bytes,
    step_speeds,
    times_faster,
)

__all__ = [
    "BASELINE",
    "CHECKPOINTED",
    "SETUPS",
    "DecoderError",
    "Loading",
    "Setup",
    "Step",
    "decoder_errors",
    "loading_speeds",
    "make_runs",
    "saved_bytes",
    "step_speeds",
    "times_faster",
    "write_people",
]
