"""One Keras model from an image to what is on it and where."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from spp_keras import _checks, geometry
from spp_keras.detection.box_coding import clip_boxes, decode_boxes
from spp_keras.detection.nms import non_max_suppression
from spp_keras.detection.rpn import RegionProposalNetwork
from spp_keras.layers import RoISpatialPyramidPooling

# The paper's, whose windows are to be as large as the images its networks learned from.
ONE_SCALE = (688,)
FIVE_SCALES = (480, 576, 688, 864, 1200)
INPUT_SIZE = 224

# The longer side of an image is scaled to no more than so many times a scale, which bounds
# the memory that one image takes.
_MOST_ASPECT = 4

# Arguments that are models or layers, each with a configuration of its own.
_PARTS = ("trunk", "head", "rpn")


@keras.saving.register_keras_serializable(package="spp_keras")
class Detector(keras.Model):
    """Finds objects: an image is convolved once a scale, each window pooled from its map.

    Windows come with the image, or from `rpn`. Each is pooled from the map
    of the scale at which its area is nearest to `input_size` x `input_size`, and scored by
    `head`; windows on the same cells are pooled and scored once. What is left of
    overlapping boxes of a class after non-maximum suppression is the answer,
    which for an image never depends on what else is in its batch.

    `spp_keras.detection.train_detector` makes and trains one from a network of the zoo.

    Args:
        trunk: Model from images to feature maps.
        head: Model from pooled vectors to scores `(n, classes)`, or to these and
            the corrections of boxes `(n, 4 * classes)`: for each class center x
            and y, as shares of the box, and logarithms of width and height.
        labels: Name of each class.
        grid: Where the trunk's cells lie, a `geometry.CellGrid`: their step, the
            first center and, where the trunk rounds up, `ceil_excess`.
        levels: Levels of the pyramid. Defaults to the paper's `(6, 3, 2, 1)`.
        mode: `"max"` or `"average"`. Defaults to `"max"`.
        scales: Short sides that an image is scaled to. Defaults to the paper's
            single one, `(688,)`.
        input_size: Side of the square whose area a scaled window should have.
            Defaults to 224.
        rpn: Layer that makes windows where none are given, from the map of
            the scale in the middle. Defaults to `None`.
        iou_threshold: Intersection over union above which the lesser of two boxes of
            a class is dropped. Defaults to the paper's 0.3.
        score_threshold: Score that a detection must exceed. Defaults to 0.05.
        max_detections: How many are answered at most, the best. Defaults to 100.
        **kwargs: See `keras.Model`.

    Call arguments:
        inputs: `images`, or the pair `(images, boxes)`, or a dictionary of these.
            Images `(batch, height, width, 3)`, RGB 0..255; boxes `(batch, n, 4)`,
            left, top, right and bottom in pixels, ends exclusive. Both may be
            ragged. A box without area in its image finds nothing, so zeros fill
            up where images have fewer.

    Returns:
        A dictionary: `boxes` `(batch, most, 4)`, `scores` and `classes`
        `(batch, most)`, of which the first `count` `(batch,)` hold; behind them
        are zeros and, for classes, -1.

    Example:

    >>> trunk = zf5_spp(include_top=False, width=0.0625)
    >>> vectors = keras.Input((16,))
    >>> scores = keras.layers.Dense(2, "sigmoid")(vectors)
    >>> detector = Detector(
    ...     trunk, keras.Model(vectors, scores), labels=["cat", "dog"], grid=(16, 14), levels=(1,)
    ... )
    >>> boxes = np.array([[[0, 0, 70, 50], [75, 8, 110, 60]]], "float32")
    >>> found = detector((np.zeros((1, 64, 120, 3), "float32"), boxes))
    >>> tuple(found["boxes"].shape), int(found["count"][0])
    ((1, 100, 4), 4)
    """

    # Whether `encode` looks at the windows.
    encodes_windows = False

    def __init__(
        self,
        trunk: keras.Model,
        head: keras.Model,
        *,
        labels: Sequence[str],
        grid: geometry.CellGrid | tuple[int, float] | tuple[int, float, int],
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
        self.grid = geometry.CellGrid(*grid)
        self.roi_spp = RoISpatialPyramidPooling(
            *self.grid,
            levels=levels,
            mode=mode,
            data_format="channels_last",
            dtype=trunk.layers[-1].compute_dtype,
            name="roi_spp",
        )
        if not isinstance(scales, Sequence) or not scales:
            raise ValueError(
                f"`scales` must be a non-empty sequence of ints. Received: scales={scales!r}."
            )
        least = self.grid.min_pixels()
        self.scales = tuple(sorted(_checks.at_least(scale, least, "scales") for scale in scales))
        self.input_size = _checks.at_least(input_size, 1, "input_size")
        self.iou_threshold = _checks.fraction(iou_threshold, "iou_threshold")
        self.score_threshold = float(score_threshold)
        self.max_detections = _checks.at_least(max_detections, 1, "max_detections")
        scores, *deltas = head.outputs
        if scores.shape[-1] != len(self.labels):
            raise ValueError(
                f"`labels` must name the {scores.shape[-1]} classes that `head` scores. "
                f"Received: {len(self.labels)} labels."
            )
        if deltas and deltas[0].shape[-1] != 4 * len(self.labels):
            raise ValueError(
                "`head` must correct boxes by four numbers a class, "
                f"{4 * len(self.labels)}. Received: {deltas[0].shape[-1]}."
            )
        if rpn is not None and not rpn.built:
            # Here, or its weights would not be there to be saved before the first call.
            rpn.build(trunk.output_shape)
        self.built = True

    @property
    def length(self) -> int:
        """Length of the vector that a window is pooled to."""
        bins = sum(rows * columns for rows, columns in self.roi_spp.levels)
        return bins * self.trunk.output_shape[-1]

    def call(self, inputs: Any, training: Any = None) -> Any:
        images, boxes = _arguments(inputs)
        if boxes is None and self.rpn is None:
            raise ValueError(
                "`boxes` must be given to a detector without `rpn`. Received: images alone."
            )
        elements = (images,) if boxes is None else (images, boxes)
        # AutoGraph has nothing to do in there, and takes seconds to find out.
        detect = tf.autograph.experimental.do_not_convert(
            lambda element: self.detect(*map(_dense, element))
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
            # Each has maps and vectors of its own in memory, and keeps all cores busy.
            parallel_iterations=1,
        )

    def detect(self, image: Any, boxes: Any = None) -> dict[str, Any]:
        """The answer for one image `(height, width, 3)`, without the axis of the batch."""
        size = tf.shape(image)[:2]
        encoded = self.encode(tf.cast(image, tf.float32), boxes)
        return self.best(*self.candidates(encoded, boxes, size), size)

    def best(self, boxes: Any, scores: Any, classes: Any, size: Any) -> dict[str, Any]:
        """The answer from candidates: those that no better one of their class overlaps."""
        # Boxes of different classes do not meet when each class has a place of its own.
        place = tf.cast(classes * (tf.reduce_max(size) + 1), tf.float32)
        kept, count = non_max_suppression(
            boxes + place[:, tf.newaxis], scores, self.max_detections, self.iou_threshold
        )
        # What is gathered behind the last.
        boxes, scores = tf.pad(boxes, [[0, 1], [0, 0]]), tf.pad(scores, [[0, 1]])
        classes = tf.pad(classes, [[0, 1]], constant_values=-1)
        return {
            "boxes": tf.gather(boxes, kept),
            "scores": tf.gather(scores, kept),
            "classes": tf.gather(classes, kept),
            "count": count,
        }

    def candidates(self, encoded: Sequence[Any], boxes: Any, size: Any) -> tuple[Any, Any, Any]:
        """Every box, its score and its class above the least score, before any is suppressed.

        Args:
            encoded: What `encode` gave for the image.
            boxes: float32 `(n, 4)`, or `None` for those of the proposer.
            size: int32 `(2,)`, height and width of the image.
        """
        if boxes is None:
            boxes = self.proposals(encoded, size)
        boxes, real = _with_one_more(boxes, size)
        vectors, rows = self.pool(encoded, boxes, size)
        scores, deltas = self.answers(vectors)
        scores = tf.gather(scores, rows)
        scores = tf.where(real[:, tf.newaxis], scores, scores.dtype.min)
        places = tf.cast(tf.where(scores > self.score_threshold), tf.int32)
        which, classes = places[:, 0], places[:, 1]
        boxes, scores = tf.gather(boxes, which), tf.gather_nd(scores, places)
        if deltas is not None:
            places = tf.stack([tf.gather(rows, which), classes], axis=1)
            deltas = tf.reshape(deltas, (-1, len(self.labels), 4))
            boxes = clip_boxes(decode_boxes(boxes, tf.gather_nd(deltas, places)), size)
        return boxes, scores, classes

    def encode(self, image: Any, boxes: Any = None) -> list[Any]:
        """What windows are pooled from: the map of each scale, `(1, rows, columns, channels)`."""
        size = tf.shape(image)[:2]
        maps = []
        for scale in self.scales:
            target = self.scaled_size(size, scale)
            scaled = tf.image.resize(image[tf.newaxis], target)
            maps.append(self.trunk(scaled, training=False))
        return maps

    def pool(self, encoded: Sequence[Any], boxes: Any, size: Any) -> tuple[Any, Any]:
        """Vectors of all different windows, and for each box the number of its own.

        Args:
            encoded: What `encode` gave.
            boxes: float32 `(n, 4)`, inside the image.
            size: int32 `(2,)`, height and width of the image.
        """
        scaled = tf.stack([self.scaled_size(size, scale) for scale in self.scales])
        # Of float32, as TFLite divides no others.
        factors = tf.cast(scaled, tf.float32) / tf.cast(tf.maximum(size, 1), tf.float32)
        which = self._scales_of(boxes, factors)
        cells = tf.stack([tf.shape(one)[1:3] for one in encoded])
        factors = tf.gather(factors, which)
        scaled = boxes * tf.gather(factors, [1, 0, 1, 0], axis=1)
        windows = self.roi_spp.windows(scaled, which, cells)
        windows, which, rows = _distinct(windows, which)
        if len(encoded) == 1:
            return self.roi_spp.pool(encoded[0], windows, which), rows
        vectors, order = [], []
        for k, one in enumerate(encoded):
            mine = tf.cast(tf.where(tf.equal(which, k))[:, 0], tf.int32)
            # One more, so that there is one; nobody's row leads to it.
            some = tf.concat([tf.gather(windows, mine), [[0, 0, 1, 1]]], axis=0)
            vectors.append(self.roi_spp.pool(one, some, tf.zeros_like(some[:, 0])))
            order += [mine, tf.shape(windows)[:1]]
        order = tf.concat(order, axis=0)
        places = tf.scatter_nd(
            order[:, tf.newaxis], tf.range(tf.shape(order)[0]), tf.shape(windows)[:1] + 1
        )
        return tf.concat(vectors, axis=0), tf.gather(places, rows)

    def vectors(self, encoded: Sequence[Any], boxes: Any, which: Any, size: Any) -> Any:
        """The vectors of some of the boxes, by their numbers, as training wants them."""
        vectors, rows = self.pool(encoded, tf.gather(boxes, which), size)
        return tf.gather(vectors, rows)

    def numbers_encoded(self, size: tuple[int, int], windows: int) -> int:
        """How many numbers `encode` makes of an image of that size."""
        sides = [self.grid.map_size(self.scaled_size(size, scale)) for scale in self.scales]
        return sum(int(tf.reduce_prod(cells)) for cells in sides) * self.trunk.output_shape[-1]

    def answers(self, vectors: Any) -> tuple[Any, Any]:
        """Scores and corrections (or `None`) of pooled vectors, in float32."""
        outputs = keras.tree.flatten(self.head(vectors, training=False))
        scores, *deltas = [tf.cast(output, tf.float32) for output in outputs]
        return scores, deltas[0] if deltas else None

    def proposals(self, encoded: Sequence[Any], size: Any) -> Any:
        """Windows of the proposer, in pixels of the image."""
        middle = len(self.scales) // 2
        target = self.scaled_size(size, self.scales[middle])
        rpn: Any = self.rpn
        boxes = rpn.propose(encoded[middle], self.grid, target)
        factors = tf.cast(size, tf.float32) / tf.cast(target, tf.float32)
        return boxes * tf.gather(factors, [1, 0, 1, 0])

    def scaled_size(self, size: Any, scale: int) -> Any:
        """Height and width of an image at a scale; integers."""
        size = tf.cast(size, tf.int32)
        shorter, longer = tf.reduce_min(size), tf.reduce_max(size)
        shorter = tf.maximum(shorter, longer // _MOST_ASPECT)
        return tf.maximum(geometry.scale_side(size, shorter, scale), self.grid.min_pixels())

    def get_config(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in _PARTS}
        return {
            **super().get_config(),
            **{name: keras.saving.serialize_keras_object(part) for name, part in parts.items()},
            "labels": self.labels,
            "grid": tuple(self.grid),
            "levels": self.roi_spp.levels,
            "mode": self.roi_spp.mode,
            "scales": self.scales,
            "input_size": self.input_size,
            "iou_threshold": self.iou_threshold,
            "score_threshold": self.score_threshold,
            "max_detections": self.max_detections,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        arguments = {name: value for name, value in config.items() if name != "gate"}
        if config.get("gate") is not None:
            raise ValueError(
                "`config` must be of a detector without a gate: 0.1.0 could put one in front of "
                "the head, later versions cannot. Use spp_keras 0.1.0 to load this detector, or "
                "make it again without `quick.gated`. Received: one whose `gate` is a model."
            )
        made = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in _PARTS
        }
        return cls(**{**arguments, **made})

    def _scales_of(self, boxes: Any, factors: Any) -> Any:
        """For each box the scale at which its area is nearest to `input_size` squared."""
        extents = boxes[:, 2:] - boxes[:, :2]
        area = tf.reduce_prod(extents, axis=1, keepdims=True) * tf.reduce_prod(factors, axis=1)
        return tf.argmin(tf.abs(area - float(self.input_size**2)), axis=1, output_type=tf.int32)


def _arguments(inputs: Any) -> tuple[Any, Any]:
    if isinstance(inputs, dict):
        return inputs["images"], inputs.get("boxes")
    if isinstance(inputs, list | tuple):
        images, boxes = inputs
        return images, boxes
    return inputs, None


def _dense(element: Any) -> Any:
    return element.to_tensor() if isinstance(element, tf.RaggedTensor) else element


def _with_one_more(boxes: Any, size: Any) -> tuple[Any, Any]:
    """Boxes inside the image, before them all of it, so that there is one; and which count."""
    boxes = tf.cast(boxes, tf.float32)
    ordered = tf.reduce_all(boxes[:, 2:] >= boxes[:, :2])
    message = "`boxes` must be finite, with left <= right and top <= bottom."
    right = tf.debugging.Assert(ordered, [message, "Received:", boxes], summarize=8)
    with tf.control_dependencies([right] if right is not None else []):
        boxes = clip_boxes(boxes, size)
    whole = tf.cast(tf.concat([[0, 0], size[::-1]], axis=0), tf.float32)
    real = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
    # Not of zeros: one cell is the least that a window has.
    boxes = tf.where(real[:, tf.newaxis], boxes, whole)
    return (
        tf.concat([whole[tf.newaxis], boxes], axis=0),
        tf.concat([[False], real], axis=0),
    )


def _distinct(windows: Any, which: Any) -> tuple[Any, Any, Any]:
    """Windows that differ, the map of each, and for each given one its number among them."""
    bits = tf.cast(tf.concat([which[:, tf.newaxis], windows], axis=1), tf.int64)
    keys = tf.reduce_sum(bits * [2**40, 2**30, 2**20, 2**10, 1], axis=1)
    keys, rows = tf.unique(keys)
    first = tf.math.unsorted_segment_min(tf.range(tf.shape(rows)[0]), rows, tf.shape(keys)[0])
    return tf.gather(windows, first), tf.gather(which, first), rows
