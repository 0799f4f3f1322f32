"""One of two machines: `one_machine.py first|second FOLDER HOST:PORT`, as `codetextbook run` and `codetextbook join` begin it.

The first has the debug model taught, has one of the processes killed on the way, and writes the losses; the second takes part.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from debug_lesson import SELDOM, SETTINGS, by_torchrun, killed_after, losses

from codetextbook.train.launch import take_part
from codetextbook.train.settings import Placement

if __name__ == "__main__":
    scratch, finished = Path(sys.argv[2]), Path(sys.argv[2]) / "losses.json"
    if sys.argv[1] == "second":
        take_part(scratch, finished.exists)
        sys.exit()
    slow = SETTINGS.replace({"validate_every_steps": 1, "validation_sequences": 12})  # so that it is caught midway
    placement = Placement(
        engine="ddp", machines=2, rendezvous=sys.argv[3], save_every_minutes=SELDOM, save_every_steps=2, restarts=2
    )
    with killed_after(scratch, steps=8):
        trained = by_torchrun(scratch, placement, slow)
    finished.write_text(json.dumps(losses(trained)))
