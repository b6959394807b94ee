"""Strictness and seeds for every test."""

import gc
import os
import random
import shutil
import tempfile

# Before TensorFlow is loaded: its notes on processors and missing GPUs are not ours.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Data sets and what is found out about them; not in the home of who tests.
os.environ["TFDS_DATA_DIR"] = tempfile.mkdtemp(prefix="spp_keras_tests_")
os.environ["XDG_CACHE_HOME"] = os.environ["TFDS_DATA_DIR"]

import filelock
import hypothesis
import keras
import numpy as np
import pytest

# Graphs are many small objects; to look through them often takes a twentieth of the time.
gc.set_threshold(100_000, 50, 100)

# A busy machine is no failure.
hypothesis.settings.register_profile("spp_keras", deadline=None)
# JAX compiles every operation for each shape: one example, whose failure is not made smaller.
hypothesis.settings.register_profile(
    "jax", deadline=None, database=None, phases=[hypothesis.Phase.generate], derandomize=True
)
hypothesis.settings.load_profile("jax" if keras.backend.backend() == "jax" else "spp_keras")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Each worker has its part of the files, in their order, and at the end helps the other.

    What a file makes once for its tests is then made once, but where the parts meet.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def pytest_sessionfinish():
    """In every process that runs tests, and in the one that deals them out."""
    shutil.rmtree(os.environ["TFDS_DATA_DIR"], ignore_errors=True)


@pytest.fixture(scope="session")
def made_once(request, tmp_path_factory):
    """A function that has a folder filled by the first worker that asks for it.

    `made_once(name, make)` calls `make(folder)` where no other worker has done so, and
    returns the folder, which all workers read and none writes to.
    """
    folders = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folders = folders.parent

    def made_once(name, make):
        folder, unfinished = folders / "made_once" / name, folders / "unfinished" / name
        folder.parent.mkdir(exist_ok=True)
        with filelock.FileLock(f"{folder}.lock"):
            if not folder.exists():
                unfinished.mkdir(parents=True)
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return made_once


@pytest.fixture(scope="session")
def drawn_shapes(made_once):
    """Where TensorFlow Datasets finds `shapes`, drawn by the first worker that asks for it."""

    def make(folder):
        import tensorflow_datasets as tfds

        from spp_keras.data import shapes  # noqa: F401, registers it

        tfds.builder("shapes", data_dir=folder).download_and_prepare()

    return str(made_once("shapes", make))


@pytest.fixture(autouse=True, scope="module")
def light():
    """What a file leaves behind is dropped, or not looked through again at each collection.

    Graphs are many small objects: by the last files a collection would take seconds.
    """
    yield
    keras.utils.clear_session()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    # What Keras draws follows from these two. TensorFlow's own seed is left alone: setting it
    # drops all that was compiled, and a test would begin with seconds of compiling it again.
    random.seed(20140618)
    np.random.seed(20140618)
