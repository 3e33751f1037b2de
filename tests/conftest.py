"""What holds for all tests."""

import os

# Two workers of pytest and the processes that they start share the cores, and more threads each only get in the way:
# on two cores the suite takes 404 s with as many as torch takes by itself, and 246 s with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
