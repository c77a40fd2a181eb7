"""One thread for every test: on a busy machine two OpenMP threads wait for each other longer than they work."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
