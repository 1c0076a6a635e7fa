"""The pure tests say nothing about time: on a loaded machine one example in a thousand takes a moment longer."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("apiary", deadline=None)
hypothesis.settings.load_profile("apiary")
