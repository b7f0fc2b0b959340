"""In a process of its own: what is told to the allocator holds for all of a process."""

import subprocess
import sys

import pytest

PROGRAM = """
import threading
import numpy as np
from router_model.serving.common.lean_memory import give_back_memory, keep_little_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def load():
    blocks = [np.ones(2**16) for _ in range(120)]  # 0.5 MB each
    kept.append(blocks[-1].copy())

kept = []
keep_little_memory()
before = resident()
for _ in range(4):
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
give_back_memory()
print((resident() - before) // 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's allocator is meant")
def test_what_four_threads_loaded_for_a_moment_goes_back():
    """Of 240 MB that were taken one after the other, 2 MB are kept."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) <= 8
