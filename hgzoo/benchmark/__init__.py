"""What the documentation claims, measured."""

from hgzoo.benchmark.decoders import DecoderError, decoder_errors
from hgzoo.benchmark.loading import Loading, loading_speeds, write_people
from hgzoo.benchmark.steps import (
    BASELINE,
    CHECKPOINTED,
    KEEPING,
    SETUPS,
    Elsewhere,
    Setup,
    Step,
    Timed,
    keeping_process,
    saved_bytes,
    step_speeds,
    times_faster,
)

__all__ = [
    "BASELINE",
    "CHECKPOINTED",
    "KEEPING",
    "SETUPS",
    "DecoderError",
    "Elsewhere",
    "Loading",
    "Setup",
    "Step",
    "Timed",
    "decoder_errors",
    "keeping_process",
    "loading_speeds",
    "saved_bytes",
    "step_speeds",
    "times_faster",
    "write_people",
]
