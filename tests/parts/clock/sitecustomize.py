"""A wall clock that is wrong, for a process that finds this folder in PYTHONPATH."""

import os
import time

SHIFT = float(os.environ.get("BFF_TEST_CLOCK_SHIFT", "0"))  # seconds
_right, _right_ns = time.time, time.time_ns  # noqa: TID251 - what is put wrong here

time.time = lambda: _right() + SHIFT  # noqa: TID251
time.time_ns = lambda: _right_ns() + int(SHIFT * 1e9)
