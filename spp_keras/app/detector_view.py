"""The app's results of a detector: its detections, and its scores for any box."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from spp_keras import run_folder
from spp_keras.app import box_input, image_decoding
from spp_keras.app.image_result import ImageResult, elapsed_milliseconds, top_classes
from spp_keras.data import size_policies
from spp_keras.detection import Detector, box_scaling, selective_search
from spp_keras.run_folder import RunFolder


class DetectorView:
    """A detector that convolves an image once and then also scores boxes that users draw.

    Args:
        run: The run, or its folder, of a detector.
        max_pixels: Pixels that an image may have. Defaults to
            `image_decoding.MAX_PIXELS`.

    Attributes:
        name: Name of the network whose convolutions it has.
        labels: Names of the classes.
        orientation: `"exif"` or `"file"`, how image files are oriented.
        score_threshold: Score that every detection exceeds.
    """

    def __init__(self, run: str | Path | RunFolder, max_pixels: int = image_decoding.MAX_PIXELS):
        run = run if isinstance(run, RunFolder) else RunFolder(run)
        self._detector = detector = run.model
        if not isinstance(detector, Detector):
            raise ValueError(
                f"`run` must have a `spp_keras.detection.Detector` in its {run_folder.DETECTOR}. "
                f"Received: a {type(detector).__name__} in run={str(run.path)!r}."
            )
        if detector.rpn is None:
            # Fails before images are sent.
            selective_search.import_opencv()
        self.name, self.labels = detector.trunk.name.removesuffix("_trunk"), detector.labels
        self.score_threshold, self.orientation = detector.score_threshold, run.orientation
        self._decode = image_decoding.make_decoder(
            size_policies.Whole(longest_side=size_policies.DEFAULT_LONGEST_SIDE),
            max_pixels=max_pixels,
            orientation=self.orientation,
            background=run.background,
        )
        output = detector.trunk.outputs[0]
        feature_map = tf.TensorSpec((1, None, None, output.shape[-1]), tf.as_dtype(output.dtype))
        feature_maps = (feature_map,) * len(detector.scales)
        pixels, size = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((2,), tf.int32)
        box, boxes = tf.TensorSpec((1, 4)), tf.TensorSpec((None, 4))
        proposals = [boxes] if detector.rpn is None else []
        self._convolve = tf.function(
            self._compute_feature_maps, input_signature=[pixels], autograph=False
        )
        self._detect = tf.function(
            self._compute_detections,
            input_signature=[feature_maps, size, *proposals],
            autograph=False,
        )
        self._score_box = tf.function(
            self._compute_box_scores, input_signature=[feature_maps, size, box], autograph=False
        )

    def predict(self, image: bytes) -> ImageResult:
        """Detects objects in an image, and keeps its feature maps for boxes.

        Args:
            image: Bytes of a file.
        """
        decoded = self._decode(image)
        start = time.perf_counter()
        feature_maps = self._convolve(decoded.pixels)
        for feature_map in feature_maps:
            # Waits for the result, which an accelerator may still be computing.
            feature_map.numpy()
        convolved = time.perf_counter()
        proposals = []
        if self._detector.rpn is None:
            proposals = [selective_search.selective_search(decoded.pixels.numpy())]
        proposed = time.perf_counter()
        detections = self._list_detections(
            self._detect(feature_maps, decoded.decoded_size, *proposals), decoded
        )
        detected = time.perf_counter()
        values = {
            "milliseconds": {
                "feature_map": elapsed_milliseconds(start, convolved),
                "proposals": elapsed_milliseconds(convolved, proposed),
                "scores": elapsed_milliseconds(proposed, detected),
            },
            "detections": detections,
        }
        return ImageResult(feature_maps, decoded.size, decoded.decoded_size, values)

    def predict_box(self, result: ImageResult, box: box_input.Box) -> dict[str, Any]:
        """Scores a box from the feature maps of its image.

        Args:
            result: The result of `predict`.
            box: Left, top, right and bottom in pixels of the image.
        """
        start = time.perf_counter()
        scaled = box_input.scale_box(box, result.size, result.decoded_size)
        scores = self._score_box(result.feature_maps, result.decoded_size, scaled).numpy()
        milliseconds = elapsed_milliseconds(start, time.perf_counter())
        return {"scores": top_classes(scores, self.labels), "milliseconds": {"box": milliseconds}}

    def _compute_feature_maps(self, pixels: Any) -> tuple[Any, ...]:
        return tuple(self._detector.compute_feature_maps(tf.cast(pixels, tf.float32)))

    def _compute_detections(
        self, feature_maps: Sequence[Any], size: Any, boxes: Any = None
    ) -> dict[str, Any]:
        candidates = self._detector.predict_candidates(feature_maps, boxes, size)
        return self._detector.select_detections(*candidates, size)

    def _compute_box_scores(self, feature_maps: Sequence[Any], size: Any, boxes: Any) -> Any:
        vectors, rows = self._detector.pool_rois(feature_maps, boxes, size)
        scores, _ = self._detector.predict_rois(vectors)
        return tf.gather(scores, rows)[0]

    def _list_detections(
        self, outputs: dict[str, Any], decoded: image_decoding.ImageInput
    ) -> list[dict[str, Any]]:
        boxes = box_scaling.scale_boxes_to_file(
            outputs["boxes"], decoded.decoded_size, decoded.size
        ).numpy()
        scores, classes = outputs["scores"].numpy(), outputs["classes"].numpy()
        return [
            {
                "label": self.labels[classes[i]],
                "class": int(classes[i]),
                "score": float(scores[i]),
                "box": boxes[i].tolist(),
            }
            for i in range(int(outputs["count"]))
        ]
