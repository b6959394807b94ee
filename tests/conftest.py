"""Strictness and seeds for every test."""

import os

# Before TensorFlow is loaded: its notes on processors and missing GPUs are not ours.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(20140618)
