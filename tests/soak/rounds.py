"""How often, when and how: SOAK_ROUNDS is how many of each (20 when it is not given), SOAK_SEED repeats a run, and
SOAK_HOW is the one way to kill where there are several (`the network`).
"""

from __future__ import annotations

import os
import time

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))
SEED = int(os.environ.get("SOAK_SEED", str(int(time.time()))))
HOW = os.environ.get("SOAK_HOW", "")
