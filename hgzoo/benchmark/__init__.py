"""What the documentation claims, measured."""

from hgzoo.benchmark.decoders import DecoderError, decoder_errors
from hgzoo.benchmark.loading import PICTURES, Loading, loading_speeds, write_people
from hgzoo.benchmark.search import (
    FIRST,
    NEAREST,
    TRUE,
    WHOLE,
    WayFound,
    as_they_are,
    compare_boxes,
    in_scenes,
    judged,
)
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
    "FIRST",
    "KEEPING",
    "NEAREST",
    "PICTURES",
    "SETUPS",
    "TRUE",
    "WHOLE",
    "DecoderError",
    "Elsewhere",
    "Loading",
    "Setup",
    "Step",
    "Timed",
    "WayFound",
    "as_they_are",
    "compare_boxes",
    "decoder_errors",
    "in_scenes",
    "judged",
    "keeping_process",
    "loading_speeds",
    "saved_bytes",
    "step_speeds",
    "times_faster",
    "write_people",
]
