"""A page over a small network, served in a thread."""

import threading
from typing import NamedTuple

import keras
import pytest
from run_folder import make_run

from spp_keras.serving import page


class Served(NamedTuple):
    """The network that is asked, and where."""

    network: keras.Model
    run: object
    server: page.Server
    port: int


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "pets"
    keras.utils.set_random_seed(20140618)
    network = make_run(run, longest_side=160)
    with page.Server("127.0.0.1", 0, most_bytes=300_000) as server:
        server.answers = page.load(run, most_pixels=200_000)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Served(network, run, server, server.server_address[1])
        server.shutdown()
        thread.join()
