"""The app with small models, served in threads."""

import contextlib
import threading
from typing import NamedTuple

import keras
import pytest
from small_detectors import make_detector_run
from small_runs import make_run

from spp_keras import app


class Served(NamedTuple):
    """A running app and its model."""

    model: keras.Model
    server: app.Server
    port: int


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A network."""
    run = tmp_path_factory.mktemp("runs") / "pets"
    keras.utils.set_random_seed(20140618)
    with _serving(run, make_run(run, longest_side=160)) as running:
        yield running


@pytest.fixture(scope="module")
def served_detector(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "detector"
    keras.utils.set_random_seed(20140618)
    with _serving(run, make_detector_run(run)) as running:
        yield running


@contextlib.contextmanager
def _serving(run, model):
    with app.Server("127.0.0.1", 0, max_bytes=300_000) as server:
        server.session = app.load_session(run, max_pixels=200_000)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Served(model, server, server.server_address[1])
        server.shutdown()
        thread.join()
