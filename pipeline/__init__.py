"""Data preparation, evaluation and reports around the networks of `model`.

Importing this package lets Arrow take its memory from the system's allocator, before pyarrow is first loaded. Its own
keeps what was freed, an arena a thread: a stage that reads thousands of small tables would hold ever more of it.
"""

import os

import model as model  # tames OpenMP before anything here imports torch

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
