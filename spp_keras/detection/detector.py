"""A detector as one Keras model, from an image to boxes, scores and classes.

Names and shapes, as in detectron2:

    R                 RoIs of an image, after those on the same cells are merged: D distinct ones
    K                 classes, without the background
    boxes, rois       float32 (R, 4): left, top, right, bottom in pixels, ends exclusive
    image_size        int32 (2,): height and width
    feature_maps      one (1, rows, columns, channels) for each of the scales
    vectors           (D, vector_length): pooled RoIs
    rows              int32 (R,): for each RoI the index of its vector
    scores            float32 (D, K): class probabilities, or margins of SVMs
    deltas            float32 (D, 4 * K): box deltas of each class, see `spp_keras.ops.encode_boxes`
    candidates        boxes, scores and classes above `score_threshold`, before suppression
"""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from spp_keras import _checks, _old_files, geometry
from spp_keras.detection.box_scaling import compute_scale_factors
from spp_keras.detection.rois import pool_multiscale, prepare_rois
from spp_keras.detection.rpn import RegionProposalNetwork
from spp_keras.layers import RoISpatialPyramidPooling
from spp_keras.ops import clip_boxes, decode_boxes, nms
from spp_keras.zoo import model_parts

# The paper's. A scaled RoI should be as large as the images that the network was trained on.
ONE_SCALE = (688,)
FIVE_SCALES = (480, 576, 688, 864, 1200)
INPUT_SIZE = 224

# The longer side of an image is scaled to at most so many times a scale, which limits the memory.
_MAX_ASPECT = 4

# Arguments that are models or layers, each with a configuration of its own.
_PARTS = ("trunk", "head", "rpn")


@keras.saving.register_keras_serializable(package="spp_keras")
class Detector(keras.Model):
    """Detects objects: an image is convolved once per scale, and RoIs are pooled from its maps.

    RoIs are given with the image, or proposed by `rpn`. Each is pooled from the feature
    map of the scale at which its area is nearest to `input_size` x `input_size`, and
    scored by `head`; RoIs on the same cells are pooled and scored once. Non-maximum
    suppression is per class. The detections in an image never depend on the rest of its
    batch.

    `spp_keras.detection.train_detector` trains one from a network of the zoo.

    Args:
        trunk: Model from images to feature maps.
        head: Model from pooled vectors to scores `(n, classes)`, or to these and box
            deltas `(n, 4 * classes)`: for each class the shift of the center, as fractions
            of the box, and the logarithms of the scale factors of width and height.
        labels: Name of each class.
        grid: Where the trunk's cells lie, a `geometry.CellGrid`: their stride, the first
            center, `ceil_excess` where the trunk rounds up, and `shifts` where cells move
            with the size of the image.
        levels: Levels of the pyramid. Defaults to the paper's `(6, 3, 2, 1)`.
        mode: `"max"` or `"average"`. Defaults to `"max"`.
        scales: Shorter sides that an image is scaled to. Defaults to the paper's single
            one, `(688,)`.
        input_size: Side of the square whose area a scaled RoI should have. Defaults to 224.
        rpn: Layer that proposes RoIs where none are given, from the feature map of the
            middle scale. Defaults to `None`.
        iou_threshold: Intersection over union above which non-maximum suppression drops
            the lower of two boxes of a class. Defaults to the paper's 0.3.
        score_threshold: Score that a detection must exceed. Defaults to 0.05.
        max_detections: Most detections in an image. Defaults to 100.
        **kwargs: See `keras.Model`.

    Call arguments:
        inputs: `images`, or the pair `(images, boxes)`, or a dictionary of these.
            Images `(batch, height, width, 3)`, RGB 0..255; boxes `(batch, n, 4)`, left,
            top, right and bottom in pixels, ends exclusive. Both may be ragged. A box
            without area in its image is ignored, so images with fewer boxes can be padded
            with zeros.

    Returns:
        A dictionary: `boxes` `(batch, max_detections, 4)`, `scores` and `classes`
        `(batch, max_detections)`, of which the first `count` `(batch,)` are detections,
        the best first; behind them are zeros and, for classes, -1.

    Example:

    >>> trunk = zf5_spp(include_top=False, width=0.0625)
    >>> vectors = keras.Input((16,))
    >>> scores = keras.layers.Dense(2, "sigmoid")(vectors)
    >>> detector = Detector(
    ...     trunk, keras.Model(vectors, scores), labels=["cat", "dog"], grid=(16, 14), levels=(1,)
    ... )
    >>> boxes = np.array([[[0, 0, 70, 50], [75, 8, 110, 60]]], "float32")
    >>> detections = detector((np.zeros((1, 64, 120, 3), "float32"), boxes))
    >>> tuple(detections["boxes"].shape), int(detections["count"][0])
    ((1, 100, 4), 4)
    """

    def __init__(
        self,
        trunk: keras.Model,
        head: keras.Model,
        *,
        labels: Sequence[str],
        grid: geometry.CellGrid | Sequence[Any],
        levels: Sequence[int | tuple[int, int]] = (6, 3, 2, 1),
        mode: Literal["max", "average"] = "max",
        scales: Sequence[int] = ONE_SCALE,
        input_size: int = INPUT_SIZE,
        rpn: RegionProposalNetwork | None = None,
        iou_threshold: float = 0.3,
        score_threshold: float = 0.05,
        max_detections: int = 100,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.trunk, self.head, self.rpn = trunk, head, rpn
        self.labels = tuple(labels)
        self.roi_spp = RoISpatialPyramidPooling(
            **geometry.CellGrid(*grid)._asdict(),
            levels=levels,
            mode=mode,
            data_format="channels_last",
            dtype=trunk.layers[-1].compute_dtype,
            name="roi_spp",
        )
        self.grid = self.roi_spp.grid
        if not isinstance(scales, Sequence) or not scales:
            raise ValueError(
                f"`scales` must be a non-empty sequence of ints. Received: scales={scales!r}."
            )
        min_pixels = self.grid.min_pixels()
        self.scales = tuple(
            sorted(_checks.at_least(scale, min_pixels, "scales") for scale in scales)
        )
        self.input_size = _checks.at_least(input_size, 1, "input_size")
        self.iou_threshold = _checks.fraction(iou_threshold, "iou_threshold")
        self.score_threshold = float(score_threshold)
        self.max_detections = _checks.at_least(max_detections, 1, "max_detections")
        _check_head(head, len(self.labels))
        if rpn is not None and not rpn.built:
            # Otherwise a model saved before its first call would lack the weights.
            rpn.build(trunk.output_shape)
        self.built = True

    @classmethod
    def from_network(cls, network: keras.Model, head: keras.Model, **options: Any) -> "Detector":
        """A detector with the trunk, the cell grid and the pyramid of an SPP network.

        Args:
            network: An SPP network of the zoo, see `spp_keras.zoo.with_boxes`. Its layers
                are shared.
            head: See `Detector`; `heads.build_softmax_head` and `heads.finalize_head` make
                one from the network's.
            **options: Other arguments of `Detector`.
        """
        parts = model_parts.split_model(network)
        pyramid = {"levels": parts.pooling.levels, "mode": parts.pooling.mode}
        return cls(parts.trunk, head, grid=parts.grid, **pyramid | options)

    def replace(self, **changes: Any) -> "Detector":
        """A copy with some arguments replaced, which shares the models that are not.

        Args:
            **changes: New values of arguments of `Detector`.
        """
        parts = {name: getattr(self, name) for name in _PARTS}
        return type(self)(**parts | self._get_options() | changes)

    @property
    def vector_length(self) -> int:
        """Length of the vector that a RoI is pooled to."""
        bins = sum(rows * columns for rows, columns in self.roi_spp.levels)
        return bins * self.trunk.output_shape[-1]

    def call(self, inputs: Any, training: Any = None) -> Any:
        images, boxes = _unpack_inputs(inputs)
        if boxes is None and self.rpn is None:
            raise ValueError(
                "`boxes` must be given to a detector without `rpn`. Received: images alone."
            )
        elements = (images,) if boxes is None else (images, boxes)
        # AutoGraph would take seconds to find that it has nothing to do.
        detect = tf.autograph.experimental.do_not_convert(
            lambda element: self.detect(*map(_to_dense, element))
        )
        return tf.map_fn(
            detect,
            elements,
            fn_output_signature={
                "boxes": tf.TensorSpec((self.max_detections, 4), tf.float32),
                "scores": tf.TensorSpec((self.max_detections,), tf.float32),
                "classes": tf.TensorSpec((self.max_detections,), tf.int32),
                "count": tf.TensorSpec((), tf.int32),
            },
            # One image keeps all cores busy, and each needs memory for its feature maps.
            parallel_iterations=1,
        )

    def detect(self, image: Any, boxes: Any = None) -> dict[str, Any]:
        """Detects objects in one image `(height, width, 3)`: outputs without a batch axis."""
        image_size = tf.shape(image)[:2]
        feature_maps = self.compute_feature_maps(tf.cast(image, tf.float32))
        candidates = self.predict_candidates(feature_maps, boxes, image_size)
        return self.select_detections(*candidates, image_size)

    def compute_feature_maps(self, image: Any) -> list[Any]:
        """The feature map of each scale, `(1, rows, columns, channels)`."""
        image_size = tf.shape(image)[:2]
        feature_maps = []
        for scale in self.scales:
            scaled_size = self.scale_image_size(image_size, scale)
            scaled = tf.image.resize(image[tf.newaxis], scaled_size)
            feature_maps.append(self.trunk(scaled, training=False))
        return feature_maps

    def propose(self, feature_maps: Sequence[Any], image_size: Any) -> Any:
        """Proposals of `rpn`, `(n, 4)` in pixels of the image."""
        middle = len(self.scales) // 2
        scaled_size = self.scale_image_size(image_size, self.scales[middle])
        rpn: Any = self.rpn
        boxes = rpn.propose(feature_maps[middle], self.grid, scaled_size)
        return boxes * compute_scale_factors(scaled_size, image_size)

    def predict_candidates(
        self, feature_maps: Sequence[Any], boxes: Any, image_size: Any
    ) -> tuple[Any, Any, Any]:
        """Boxes, scores and classes above the score threshold, before suppression.

        Args:
            feature_maps: Those of `compute_feature_maps`.
            boxes: float32 `(n, 4)`, or `None` for those of `rpn`.
            image_size: int32 `(2,)`, height and width of the image.
        """
        if boxes is None:
            boxes = self.propose(feature_maps, image_size)
        rois, valid = prepare_rois(boxes, image_size)
        vectors, rows = self.pool_rois(feature_maps, rois, image_size)
        return self.score_rois(vectors, rows, rois, valid, image_size)

    def pool_rois(self, feature_maps: Sequence[Any], rois: Any, image_size: Any) -> tuple[Any, Any]:
        """Vectors of all distinct RoIs, and for each RoI the row of its own.

        Args:
            feature_maps: Those of `compute_feature_maps`.
            rois: float32 `(n, 4)`, inside the image.
            image_size: int32 `(2,)`, height and width of the image.
        """
        scaled_sizes = tf.stack([self.scale_image_size(image_size, scale) for scale in self.scales])
        return pool_multiscale(
            self.roi_spp, feature_maps, rois, image_size, scaled_sizes, self.input_size
        )

    def predict_rois(self, vectors: Any) -> tuple[Any, Any]:
        """Scores and box deltas (or `None`) of pooled vectors, in float32."""
        outputs = keras.tree.flatten(self.head(vectors, training=False))
        scores, *deltas = [tf.cast(output, tf.float32) for output in outputs]
        return scores, deltas[0] if deltas else None

    def score_rois(
        self, vectors: Any, rows: Any, rois: Any, valid: Any, image_size: Any
    ) -> tuple[Any, Any, Any]:
        """Candidates from pooled RoIs: boxes, scores and classes above the score threshold.

        Args:
            vectors: Those of `pool_rois`.
            rows: Those of `pool_rois`.
            rois: Those of `prepare_rois`.
            valid: Those of `prepare_rois`.
            image_size: int32 `(2,)`, height and width of the image.
        """
        scores, deltas = self.predict_rois(vectors)
        scores = tf.gather(scores, rows)
        scores = tf.where(valid[:, tf.newaxis], scores, scores.dtype.min)
        places = tf.cast(tf.where(scores > self.score_threshold), tf.int32)
        roi_indices, classes = places[:, 0], places[:, 1]
        boxes, scores = tf.gather(rois, roi_indices), tf.gather_nd(scores, places)
        if deltas is not None:
            places = tf.stack([tf.gather(rows, roi_indices), classes], axis=1)
            deltas = tf.reshape(deltas, (-1, len(self.labels), 4))
            boxes = decode_boxes(boxes, tf.gather_nd(deltas, places))
            boxes = clip_boxes(boxes, image_size)
        return boxes, scores, classes

    def select_detections(
        self, boxes: Any, scores: Any, classes: Any, image_size: Any
    ) -> dict[str, Any]:
        """Non-maximum suppression per class of the candidates of an image."""
        # Boxes of different classes are moved apart, so that they do not overlap.
        offsets = tf.cast(classes * (tf.reduce_max(image_size) + 1), tf.float32)
        kept, count = nms(
            boxes + offsets[:, tf.newaxis], scores, self.max_detections, self.iou_threshold
        )
        # `kept` is filled up with the index of one more.
        boxes, scores = tf.pad(boxes, [[0, 1], [0, 0]]), tf.pad(scores, [[0, 1]])
        classes = tf.pad(classes, [[0, 1]], constant_values=-1)
        return {
            "boxes": tf.gather(boxes, kept),
            "scores": tf.gather(scores, kept),
            "classes": tf.gather(classes, kept),
            "count": count,
        }

    def scale_image_size(self, image_size: Any, scale: int) -> Any:
        """Height and width of an image at a scale, as integers."""
        image_size = tf.cast(image_size, tf.int32)
        shorter, longer = tf.reduce_min(image_size), tf.reduce_max(image_size)
        shorter = tf.maximum(shorter, longer // _MAX_ASPECT)
        scaled_size = geometry.scale_side(image_size, shorter, scale)
        return tf.maximum(scaled_size, self.grid.min_pixels())

    def get_config(self) -> dict[str, Any]:
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in _PARTS}
        options = self._get_options()
        return {**super().get_config(), **parts, **options, "grid": tuple(self.grid)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        if "max_detections" not in config:
            raise _old_files.make_error("Detector")
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in _PARTS
        }
        return cls(**config | parts)

    def _get_options(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "grid": self.grid,
            "levels": self.roi_spp.levels,
            "mode": self.roi_spp.mode,
            "scales": self.scales,
            "input_size": self.input_size,
            "iou_threshold": self.iou_threshold,
            "score_threshold": self.score_threshold,
            "max_detections": self.max_detections,
        }


def _check_head(head: keras.Model, num_classes: int) -> None:
    scores, *deltas = head.outputs
    if scores.shape[-1] != num_classes:
        raise ValueError(
            f"`labels` must name the {scores.shape[-1]} classes that `head` scores. "
            f"Received: {num_classes} labels."
        )
    if deltas and deltas[0].shape[-1] != 4 * num_classes:
        raise ValueError(
            f"`head` must have four box deltas a class, {4 * num_classes}. "
            f"Received: {deltas[0].shape[-1]}."
        )


def _unpack_inputs(inputs: Any) -> tuple[Any, Any]:
    if isinstance(inputs, dict):
        return inputs["images"], inputs.get("boxes")
    if isinstance(inputs, list | tuple):
        images, boxes = inputs
        return images, boxes
    return inputs, None


def _to_dense(element: Any) -> Any:
    return element.to_tensor() if isinstance(element, tf.RaggedTensor) else element
