"""The paper's testing protocols: scores of an image, averaged over one view or many."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _checks
from spp_keras.data import backgrounds, exif, image_ops, size_policies
from spp_keras.evaluation import views
from spp_keras.models import graph_run
from spp_keras.zoo import model_parts

PROTOCOLS = ("crop", "warp", "10-view", "10-view-map", "full", "96-view", "96-view+full")
FIXED_SIZE_PROTOCOLS = ("crop", "warp", "10-view")
FEATURE_MAP_PROTOCOLS = ("10-view-map", "96-view", "96-view+full")


class ViewSettings(NamedTuple):
    """Sizes of the views of a run, as arguments of `Scorer`; see there."""

    view_size: int | None
    short_side: int | None
    whole: size_policies.Whole


class ScaledViews(NamedTuple):
    """Views of one scaled image.

    Args:
        size: Height and width that the image is scaled to.
        views: The views.
        from_feature_map: Whether they are pooled from the feature map of the scaled image,
            not cropped from its pixels.
    """

    size: views.Size
    views: list[views.View]
    from_feature_map: bool = False


class Scorer:
    """A network's scores for images, by one of the paper's testing protocols.

    - `"crop"`: the square at the center.
    - `"warp"`: the whole image, resized to a square.
    - `"10-view"`: squares at the center and in the four corners of the whole image, and
      their mirror images, cropped and convolved one by one.
    - `"10-view-map"`: the same, pooled from the feature maps of the image and its mirror
      image.
    - `"full"`: the whole image, once.
    - `"96-view"`: center, corners and middles of the sides at six scales, mirrored too, pooled
      from feature maps: 96, or fewer where some coincide (92 of a square image).
    - `"96-view+full"`: those, the whole image and its mirror image, 98 views of equal weight;
      the paper does not say at which scale, here it is that of `whole`, as in `"full"`.

    For views from feature maps each image is convolved once a scale and a flip. A view from
    the feature map is not the same as its pixels sent through the network: at its borders it
    depends on pixels beyond them, where a crop has zeros; it begins between cells, not on one;
    and it may have a row or a column of cells more. If the image is one view they are equal.

    Scores are the outputs of the network's last layer, and should be probabilities.

    Reference:

    - [He et al., 2014](https://arxiv.org/abs/1406.4729), Sections 3.1.2 to 3.1.6.

    Args:
        network: Model of the zoo from images to scores. One without a pyramid can be
            evaluated by `"crop"`, `"warp"` and `"10-view"` alone, and one of `spp_classifier`
            by feature maps only if the geometry of its layers is known, see
            `spp_keras.map_geometry`.
        protocol: Name of the protocol.
        view_size: Height and width of the square views, the image size in training. The six
            scales of the 96 views are the paper's if it is 224, else in proportion.
            Defaults to 224, or what the network was built for.
        short_side: Short side that images are scaled to for one and for ten views.
            Defaults to 256 if `view_size` is 224, else in proportion.
        whole: Size policy of whole images. Defaults to `Whole(short_side=short_side)`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> score = Scorer(model, "96-view", view_size=64)
    >>> image = tf.io.encode_jpeg(tf.zeros((60, 80, 3), "uint8"))
    >>> score(image).shape, score.score_views(image).shape
    ((10,), (96, 10))
    """

    def __init__(
        self,
        network: keras.Model,
        protocol: str,
        *,
        view_size: int | None = None,
        short_side: int | None = None,
        whole: size_policies.Whole | None = None,
    ):
        self.protocol = _checks.one_of(protocol, PROTOCOLS, "protocol")
        view_size = _choose_view_size(network, protocol, view_size)
        self.view_size = _checks.at_least(view_size, 1, "view_size")
        if short_side is None:
            short_side = size_policies.short_side_for(view_size)
        self.short_side = _checks.at_least(short_side, view_size, "short_side")
        self.whole = whole or size_policies.Whole(short_side=short_side)
        _check_min_size(network, view_size, protocol)
        self._score_crops = _make_crop_scorer(network)
        self._pool_views: Any = None
        self._score_vectors: Any = None
        if protocol in FEATURE_MAP_PROTOCOLS:
            self._pool_views, self._score_vectors = _make_feature_map_scorer(network)

    def __call__(
        self,
        image: Any,
        size: views.Size | None = None,
        orientation: Any = None,
        background: str = backgrounds.WHITE,
    ) -> np.ndarray:
        """Scores of an image, float32 `(classes,)`, the mean of those of its views.

        Args:
            image: Bytes of a JPEG, PNG, GIF, BMP or WebP image.
            size: Its height and width, upright, if they are known. Defaults to `None`.
            orientation: Its EXIF orientation, 1 to 8, by which it is turned. Defaults to
                `None`, that in the file.
            background: The color behind it, if it is transparent. Defaults to `"white"`.
        """
        scores = self.score_views(image, size, orientation, background)
        return scores.mean(axis=0, dtype="float64").astype("float32")

    def score_views(
        self,
        image: Any,
        size: views.Size | None = None,
        orientation: Any = None,
        background: str = backgrounds.WHITE,
    ) -> np.ndarray:
        """Scores of each view, float32 `(views, classes)`, in the order of `list_views`."""
        if orientation is None:
            orientation = exif.read_orientation_compiled(image)
        if size is None:
            size = tuple(image_ops.decode_image(image, orientation).shape[:2])
        size = (int(size[0]), int(size[1]))
        vectors, scores, decode_scaled = [], [], make_decoder(background)
        for scaled in self.list_views(size):
            pixels = decode_scaled(image, size, scaled.size, int(orientation))
            windows = [view.window for view in scaled.views]
            mirrored = [view.mirrored for view in scaled.views]
            if scaled.from_feature_map:
                vectors.append(self._pool_views(pixels, windows, mirrored))
            else:
                scores.append(self._score_crops(pixels, windows, mirrored))
        if vectors:
            # All scales at once: reading the weights takes longer than multiplying by them.
            scores.insert(0, self._score_vectors(tf.concat(vectors, axis=0)))
        return np.concatenate(scores)

    def list_views(self, size: views.Size) -> list[ScaledViews]:
        """The views of an image, those from feature maps before those from pixels.

        Args:
            size: Height and width of the image.
        """
        return list_scaled_views(self.protocol, size, self.view_size, self.short_side, self.whole)


def list_scaled_views(
    protocol: str, size: views.Size, view_size: Any, short_side: Any, whole: size_policies.Whole
) -> list[ScaledViews]:
    """The views of an image of a size by a protocol; see `Scorer` for the arguments."""
    if protocol == "full":
        return [_scale_whole(size, whole, views.whole_view)]
    if protocol == "warp":
        return [ScaledViews((view_size, view_size), views.whole_view((view_size, view_size)))]
    if protocol in ("crop", "10-view", "10-view-map"):
        target = views.scale_size(size, short_side)
        list_views = views.center_view if protocol == "crop" else views.ten_views
        return [
            ScaledViews(target, list_views(target, view_size), protocol in FEATURE_MAP_PROTOCOLS)
        ]
    scales = []
    for scale in views.six_short_sides(view_size):
        target = views.scale_size(size, scale)
        scales.append(
            ScaledViews(target, views.eighteen_views(target, view_size), from_feature_map=True)
        )
    if protocol == "96-view":
        return scales
    whole_views = _scale_whole(size, whole, views.whole_and_mirrored_views)
    for index, scaled in enumerate(scales):
        if scaled.size == whole_views.size:
            # The image at this scale is convolved anyway, and its whole feature map is a view.
            scales[index] = scaled._replace(views=scaled.views + whole_views.views)
            return scales
    return [*scales, whole_views]


def _scale_whole(
    size: views.Size,
    whole: size_policies.Whole,
    list_views: Callable[[views.Size], list[views.View]],
) -> ScaledViews:
    height, width = whole.output_sizes(np.array([size]))[0].tolist()
    return ScaledViews((height, width), list_views((height, width)))


_SIGNATURE = [
    tf.TensorSpec((None, None, 3), tf.float32, "pixels"),
    tf.TensorSpec((None, 4), tf.int32, "windows"),
    tf.TensorSpec((None,), tf.bool, "mirrored"),
]


def _make_crop_scorer(network: keras.Model) -> Callable[..., tf.Tensor]:
    """Makes the function that crops views of one size and scores them as a batch."""

    @tf.function(input_signature=_SIGNATURE, autograph=False)
    def score_crops(pixels: Any, windows: Any, mirrored: Any) -> Any:
        crops = _crop(pixels, windows, mirrored)
        # A network for one image size needs it in the static shape.
        return network(tf.ensure_shape(crops, network.input_shape), training=False)

    return score_crops


def _make_feature_map_scorer(
    network: keras.Model,
) -> tuple[Callable[..., tf.Tensor], Callable[..., tf.Tensor]]:
    """Makes the functions from an image to the vectors of its views, and from these to scores."""
    parts = model_parts.split_model(network)
    roi_pooling = model_parts.make_roi_pooling(parts)

    @tf.function(input_signature=_SIGNATURE, autograph=False)
    def pool_views(pixels: Any, windows: Any, mirrored: Any) -> Any:
        feature_maps = parts.trunk(tf.stack([pixels, pixels[:, ::-1]]), training=False)
        height, width = tf.unstack(tf.shape(pixels)[:2])
        # The window of the whole image is enlarged to cover the whole feature map: where
        # pooling layers round up, as Caffe's do, some cells are centered beyond the image.
        is_whole = tf.reduce_all(windows == [0, 0, width, height], axis=1, keepdims=True)
        windows += tf.where(is_whole, [-width, -height, width, height], 0)
        left, top, right, bottom = tf.unstack(windows, axis=1)
        windows = tf.stack(
            [
                tf.where(mirrored, width - right, left),
                top,
                tf.where(mirrored, width - left, right),
                bottom,
            ],
            axis=1,
        )
        # A ragged row for each of the two images, which may have different numbers of views.
        order = tf.argsort(tf.cast(mirrored, tf.int32), stable=True)
        counts = tf.stack(
            [tf.reduce_sum(tf.cast(mask, tf.int32)) for mask in (~mirrored, mirrored)]
        )
        boxes = tf.RaggedTensor.from_row_lengths(tf.gather(windows, order), counts)
        image_sizes = tf.tile(tf.shape(pixels)[tf.newaxis, :2], (2, 1))
        vectors = roi_pooling(feature_maps, boxes, image_sizes=image_sizes)
        return tf.gather(vectors.flat_values, tf.argsort(order))

    specification = tf.TensorSpec((None, None), roi_pooling.compute_dtype, "vectors")

    @tf.function(input_signature=[specification], autograph=False)
    def score_vectors(vectors: Any) -> Any:
        return parts.apply_top(vectors)

    return pool_views, score_vectors


# One graph for all networks: most of the tracing time is in the branches of decoding.
@functools.cache
def make_decoder(background: str) -> Callable[..., tf.Tensor]:
    """Makes the function from a file, its size, a target size and an orientation to float pixels.

    Args:
        background: The color behind transparent images.
    """
    size = tf.TensorSpec((2,), tf.int32)

    @tf.function(
        input_signature=[tf.TensorSpec((), tf.string), size, size, tf.TensorSpec((), tf.int32)],
        autograph=False,
    )
    def decode_scaled(image: Any, size: Any, target: Any, orientation: Any) -> Any:
        pixels = image_ops.decode_resized(image, size, target, orientation, background)
        return tf.cast(pixels, tf.float32)

    return decode_scaled


def _crop(pixels: Any, windows: Any, mirrored: Any) -> tf.Tensor:
    """Crops windows of one size, the mirrored ones from right to left."""
    left, top, right, bottom = (edge[:, None] for edge in tf.unstack(windows, axis=1))
    rows = top + tf.range(bottom[0, 0] - top[0, 0])
    offsets = tf.range(right[0, 0] - left[0, 0])
    columns = tf.where(mirrored[:, None], right - 1 - offsets, left + offsets)
    indices = rows[:, :, None] * tf.shape(pixels)[1] + columns[:, None, :]
    return tf.gather(tf.reshape(pixels, (-1, 3)), indices)


def _choose_view_size(network: keras.Model, protocol: str, view_size: int | None) -> int:
    """The size of the views, which must be what a network without a pyramid was built for."""
    input_size = network.input_shape[1:3]
    if None in input_size:
        return size_policies.PAPER_IMAGE_SIZE if view_size is None else view_size
    if protocol not in FIXED_SIZE_PROTOCOLS:
        raise ValueError(
            f"`protocol` must be {' or '.join(map(repr, FIXED_SIZE_PROTOCOLS))} for "
            f"{network.name}, a network without a pyramid, which takes images of one size: take "
            f"the network with `_spp` in its name. Received: protocol={protocol!r}."
        )
    view_size = input_size[0] if view_size is None else view_size
    if input_size != (view_size, view_size):
        raise ValueError(
            f"`view_size` must be what {network.name} was built for, "
            f"{input_size[0]}x{input_size[1]} pixels. Received: view_size={view_size}."
        )
    return view_size


def _check_min_size(network: keras.Model, view_size: int, protocol: str) -> None:
    min_size = graph_run.min_image_size(network)
    if view_size < min_size and protocol != "full":
        raise ValueError(
            f"`view_size` must be at least {min_size}, the smallest image size of "
            f"{network.name}. Received: view_size={view_size}."
        )
