"""How often, and when: SOAK_ROUNDS is how many of each (20 when it is not given), SOAK_SEED repeats a run."""

from __future__ import annotations

import os
import time

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))
SEED = int(os.environ.get("SOAK_SEED", str(int(time.time()))))
