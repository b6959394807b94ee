"""Strictness and seeds for every test."""

import os
import tempfile

# Before TensorFlow is loaded: its notes on processors and missing GPUs are not ours.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Data sets and what is found out about them; not in the home of who tests.
_HOME = tempfile.TemporaryDirectory(prefix="spp_keras_tests_")
os.environ["XDG_CACHE_HOME"] = os.environ["TFDS_DATA_DIR"] = _HOME.name

import keras
import pytest


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(20140618)
