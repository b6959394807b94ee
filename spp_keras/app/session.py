"""Answers to what the page asks: one model, the photographs it has seen, one question at a time."""

import collections
import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import run_folder
from spp_keras.app import box_input, image_decoding
from spp_keras.app.classifier_view import ClassifierView
from spp_keras.app.detector_view import DetectorView
from spp_keras.app.image_result import ImageResult

_MOST_KEPT = 8
# A map has about as many bytes as its photograph has pixels, at full width.
_MOST_BYTES = 256_000_000


class UnknownImage(LookupError):
    """A photograph that was never sent, or whose map has made room for others since."""


class Session:
    """Asks a model about photographs and keeps the maps of the last ones for their windows.

    Args:
        model: A `Network` or a `Detector`.
        cache_size: How many photographs are kept. Defaults to 8.
        max_bytes: Memory that their maps may take together; the last is always
            kept. Defaults to 256 million.
    """

    def __init__(
        self,
        model: ClassifierView | DetectorView,
        cache_size: int = _MOST_KEPT,
        max_bytes: int = _MOST_BYTES,
    ):
        self._model, self._cache_size, self._max_bytes = model, cache_size, max_bytes
        self._looks: collections.OrderedDict[str, ImageResult] = collections.OrderedDict()
        # Each answer keeps all cores busy; two at once would only make both late.
        self._lock = threading.Lock()

    def model(self) -> dict[str, Any]:
        """What there is to ask."""
        return {
            "name": self._model.name,
            "classes": len(self._model.labels),
            "finds": isinstance(self._model, DetectorView),
            "score_threshold": self._model.score_threshold,
            "orientation": self._model.orientation,
        }

    def photograph(self, image: bytes) -> dict[str, Any]:
        """What the model says of a photograph, which is kept under the answer's `id`.

        Args:
            image: Bytes of a file. `Unusable` is raised where they are none.
        """
        number = hashlib.sha256(image).hexdigest()[:32]
        with self._lock:
            look = self._model.look(image)
            self._keep(number, look)
        (height, width), seen = look.size, look.seen
        sizes = {"height": height, "width": width, "seen": {"height": seen[0], "width": seen[1]}}
        return {"id": number, **sizes, **look.answer}

    def window(self, number: str, window: Any) -> dict[str, Any]:
        """What the model says of a window, from the maps that were kept.

        Args:
            number: The photograph's `id`. `UnknownImage` is raised where it is not kept.
            window: A dictionary of left, top, right and bottom, in pixels of the
                photograph.
        """
        with self._lock:
            if number not in self._looks:
                raise UnknownImage("This photograph is not kept any more; send it again.")
            look = self._looks[number]
            edges = box_input.check_box(window, look.size)
            self._looks.move_to_end(number)
            answer = self._model.window(look, edges)
        return {"window": dict(zip(box_input.EDGES, edges, strict=True)), **answer}

    def _keep(self, number: str, look: ImageResult) -> None:
        self._looks.pop(number, None)
        self._looks[number] = look
        while len(self._looks) > 1 and (
            len(self._looks) > self._cache_size
            or sum(one.bytes for one in self._looks.values()) > self._max_bytes
        ):
            self._looks.popitem(last=False)


def load_session(run: str | Path, max_pixels: int = image_decoding.MAX_PIXELS) -> Session:
    """Answers of the network or the detector of a run folder.

    Args:
        run: Run folder of a network with a pyramid, or of a detector.
        max_pixels: How many a photograph may have. Defaults to
            `photographs.MOST_PIXELS`.
    """
    run = Path(run)
    if (run / run_folder.DETECTOR).is_file():
        model: ClassifierView | DetectorView = DetectorView(run, max_pixels)
    elif (run / run_folder.RECIPE).is_file():
        model = ClassifierView(run, max_pixels)
    else:
        raise ValueError(
            "`run` must be the folder of a training: give what `spp-keras train` or `spp-keras "
            f"train-detector` printed. {'It holds neither' if run.exists() else 'It is not there'}"
            f". Received: run={str(run)!r}."
        )
    # Graphs are built when they are first called, which nobody's first photograph should wait for.
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), "uint8")
    look = model.look(tf.io.encode_png(pixels).numpy())
    model.window(look, (0.0, 0.0, 96.0, 64.0))
    return Session(model)
