"""Networks and geometry of progressive warping: torch and numpy only, no files but weights.

Importing this package tames OpenMP before torch is first loaded. The GNU OpenMP runtime spins for a
long time at the end of each parallel region; beside any other busy process on two cores that makes a
training step 8 to 30 times slower, while a short spin costs nothing on a quiet machine.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
