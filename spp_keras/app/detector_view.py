"""What the page shows of a detector: all that it finds, and its scores for any window."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import detection, run_folder
from spp_keras.app import box_input, image_decoding
from spp_keras.app.image_result import ImageResult, elapsed_milliseconds, top_classes
from spp_keras.data import size_policies
from spp_keras.detection import selective_search
from spp_keras.run_folder import RunFolder


class DetectorView:
    """A detector whose maps of a photograph also answer for windows that nobody proposed.

    Args:
        run: Run folder of a detector.
        max_pixels: How many a photograph may have. Defaults to
            `photographs.MOST_PIXELS`.

    Attributes:
        name: Name of the network whose convolutions it has.
        labels: Name of each class.
        orientation: `"exif"` or `"file"`, which way up it takes photographs.
        score_threshold: Score that all that is found exceeds.
    """

    def __init__(self, run: str | Path, max_pixels: int = image_decoding.MAX_PIXELS):
        self._detector = detector = RunFolder(run).model
        if not isinstance(detector, detection.Detector):
            raise ValueError(
                f"{run_folder.DETECTOR} must hold a `spp_keras.detection.Detector`, whose windows share "
                f"a map. Received: one of {type(detector).__name__} in run={str(run)!r}."
            )
        if detector.rpn is None:
            # To fail before photographs are sent.
            selective_search.import_opencv()
        self.name, self.labels = detector.trunk.name.removesuffix("_trunk"), detector.labels
        self.score_threshold = detector.score_threshold
        view = size_policies.Whole(longest_side=size_policies.DEFAULT_LONGEST_SIDE)
        self.orientation = RunFolder(run).orientation
        self._decode = image_decoding.make_decoder(
            view, max_pixels=max_pixels, orientation=self.orientation
        )
        output = detector.trunk.outputs[0]
        one_map = tf.TensorSpec((1, None, None, output.shape[-1]), tf.as_dtype(output.dtype))
        maps = (one_map,) * len(detector.scales)
        pixels, size = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((2,), tf.int32)
        one, some = tf.TensorSpec((1, 4)), tf.TensorSpec((None, 4))
        proposed = [some] if detector.rpn is None else []
        self._maps = tf.function(self._encode, input_signature=[pixels], autograph=False)
        self._found = tf.function(
            self._find, input_signature=[maps, size, *proposed], autograph=False
        )
        self._part = tf.function(self._score, input_signature=[maps, size, one], autograph=False)

    def look(self, image: bytes) -> ImageResult:
        """What is found on a photograph, and the maps for its windows.

        Args:
            image: Bytes of a file.
        """
        photograph = self._decode(image)
        start = time.perf_counter()
        maps = self._maps(photograph.pixels)
        for one in maps:
            one.numpy()
        mapped = time.perf_counter()
        boxes = []
        if self._detector.rpn is None:
            boxes = [selective_search.selective_search(photograph.pixels.numpy())]
        proposed = time.perf_counter()
        found = self._found(maps, photograph.seen, *boxes)
        found = {name: value.numpy() for name, value in found.items()}
        done = time.perf_counter()
        answer = {
            "milliseconds": {
                "map": elapsed_milliseconds(start, mapped),
                "windows": elapsed_milliseconds(mapped, proposed),
                "scores": elapsed_milliseconds(proposed, done),
            },
            "detections": self._listed(found, photograph),
        }
        return ImageResult(maps, photograph.size, photograph.seen, answer)

    def window(self, look: ImageResult, window: box_input.Box) -> dict[str, Any]:
        """The scores of a window, from the maps that were kept.

        Args:
            look: What `look` gave.
            window: Left, top, right and bottom in pixels of the photograph.
        """
        start = time.perf_counter()
        box = box_input.scale_box(window, look.size, look.seen)
        scores = self._part(look.maps, look.seen, box[np.newaxis]).numpy()
        taken = elapsed_milliseconds(start, time.perf_counter())
        return {"scores": top_classes(scores, self.labels), "milliseconds": {"window": taken}}

    def _encode(self, pixels: Any) -> tuple[Any, ...]:
        return tuple(self._detector.compute_feature_maps(tf.cast(pixels, tf.float32)))

    def _find(self, maps: Sequence[Any], size: Any, boxes: Any = None) -> dict[str, Any]:
        candidates = self._detector.predict_candidates(maps, boxes, size)
        return self._detector.select_detections(*candidates, size)

    def _score(self, maps: Sequence[Any], size: Any, boxes: Any) -> Any:
        vectors, rows = self._detector.pool_rois(maps, boxes, size)
        scores, _ = self._detector.predict_rois(vectors)
        return tf.gather(scores, rows)[0]

    def _listed(
        self, found: dict[str, np.ndarray], photograph: image_decoding.ImageInput
    ) -> list[dict[str, Any]]:
        back = np.array(box_input.scale_box((1, 1, 1, 1), photograph.seen, photograph.size))
        limits = np.array(photograph.size)[[1, 0, 1, 0]]
        boxes = np.clip(found["boxes"] * back, 0, limits)
        return [
            {
                "label": self.labels[found["classes"][i]],
                "class": int(found["classes"][i]),
                "score": float(found["scores"][i]),
                "box": boxes[i].tolist(),
            }
            for i in range(int(found["count"]))
        ]
