"""What is exported, in a process of its own that has never heard of this package."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

C_API = Path(__file__).parent / "serving" / "c_api.py"


def run(command, **options):
    environment = os.environ | {"PYTHONPATH": ""}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, timeout=300, env=environment, **options
    )


def by_the_c_api(folder, asked, beside):
    """What TensorFlow's C++ answers, or the code that its process ended by."""
    beside.mkdir()
    (beside / "requests").write_bytes(pickle.dumps(asked))
    done = run([C_API, folder, beside / "requests", beside / "answers"])
    if done.returncode < 0:
        return done.returncode
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads((beside / "answers").read_bytes())
