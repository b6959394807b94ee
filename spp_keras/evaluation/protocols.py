"""How the paper asks a network about an image: by one view or many, whose scores are averaged."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _checks
from spp_keras.data import exif, image_ops, size_policies
from spp_keras.evaluation import views
from spp_keras.zoo import layer_chain, model_parts

PROTOCOLS = ("crop", "warp", "10-view", "10-view-map", "full", "96-view", "96-view+full")
FIXED_SIZE_PROTOCOLS = ("crop", "warp", "10-view")
FEATURE_MAP_PROTOCOLS = ("10-view-map", "96-view", "96-view+full")


class ScaledViews(NamedTuple):
    """Views that share a scaled image.

    Args:
        size: Height and width that the image is brought to.
        views: What is looked at of it.
        on_map: Whether they are pooled from its feature map, not cut out of its pixels.
    """

    size: views.Size
    views: list[views.View]
    on_map: bool = False


class Scorer:
    """A network's scores for images, by one of the paper's testing protocols.

    - `"crop"`: the square in the middle.
    - `"warp"`: the whole image, squeezed into a square.
    - `"10-view"`: squares in the middle and in the four corners of the whole image,
      and their mirror images, cut out and convolved one by one.
    - `"10-view-map"`: the same, pooled from the maps of the image and its mirror image.
    - `"full"`: the whole image, once.
    - `"96-view"`: middle, corners and middles of the sides at six scales, mirrored too,
      from the maps: 96, or fewer where some coincide (92 of a square image).
    - `"96-view+full"`: those, the whole image and its mirror image, 98 views of equal weight;
      the paper does not say at which scale, here it is that of `whole`, as in `"full"`.

    Each image is convolved once a scale and a flip where views are pooled from maps. A view
    from the map is not the same as its pixels sent through the network: at its borders it
    sees what is beyond them, where a crop has zeros; it begins between cells, not on one; and
    it may have a row or a column of cells more. Of an image that is one view they are equal.

    Scores are what the network's last layer gives, and should be probabilities.

    Reference:

    - [He et al., 2014](https://arxiv.org/abs/1406.4729), Sections 3.1.2 to 3.1.6.

    Args:
        network: Model of the zoo from images to scores. One without a pyramid knows
            `"crop"`, `"warp"` and `"10-view"` alone, and one of another trunk than the zoo's
            (`spp_classifier`) no views on maps.
        protocol: Its name.
        side: Side of the square views, what the network saw in training. The six
            scales of the 96 are the paper's if it is 224, else in proportion.
            Defaults to 224, or what the network was built for.
        short_side: Short side that images are brought to for one and for ten views.
            Defaults to 256 if `side` is 224, else in proportion.
        whole: How whole images are sent. Defaults to `Whole(short_side=short_side)`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> score = Scorer(model, "96-view", side=64)
    >>> photograph = tf.io.encode_jpeg(tf.zeros((60, 80, 3), "uint8"))
    >>> score(photograph).shape, score.each(photograph).shape
    ((10,), (96, 10))
    """

    def __init__(
        self,
        network: keras.Model,
        protocol: str,
        *,
        side: int | None = None,
        short_side: int | None = None,
        whole: size_policies.Whole | None = None,
    ):
        self.protocol = _checks.one_of(protocol, PROTOCOLS, "protocol")
        self.side = _checks.at_least(_side(network, protocol, side), 1, "side")
        short_side = views.short_side_for(self.side) if short_side is None else short_side
        self.short_side = _checks.at_least(short_side, self.side, "short_side")
        self.whole = whole or size_policies.Whole(short_side=self.short_side)
        _check_least(network, self.side, protocol)
        self._of_pixels = _of_pixels(network)
        of_maps: tuple[Any, Any] = (
            _of_maps(network) if protocol in FEATURE_MAP_PROTOCOLS else (None, None)
        )
        self._pooled, self._top = of_maps

    def __call__(
        self, image: Any, size: views.Size | None = None, orientation: Any = None
    ) -> np.ndarray:
        """Scores of an image, float32 `(classes,)`, the mean of those of its views.

        Args:
            image: Bytes of a JPEG, PNG, GIF, BMP or WebP image.
            size: Its height and width, upright, if they are known. Defaults to `None`.
            orientation: Its EXIF orientation, 1 to 8, by which it is turned. Defaults to
                `None`, what the file says.
        """
        scores = self.each(image, size, orientation)
        return scores.mean(axis=0, dtype="float64").astype("float32")

    def each(
        self, image: Any, size: views.Size | None = None, orientation: Any = None
    ) -> np.ndarray:
        """Scores of each view, float32 `(views, classes)`, in the order of `list_scaled_views`."""
        if orientation is None:
            orientation = exif.read_orientation_compiled(image)
        if size is None:
            size = tuple(image_ops.decode_image(image, orientation).shape[:2])
        size = (int(size[0]), int(size[1]))
        vectors, found = [], []
        for part in self.parts(size):
            pixels = _scaled(image, size, part.size, int(orientation))
            windows = [view.window for view in part.views]
            mirrored = [view.mirrored for view in part.views]
            if part.on_map:
                vectors.append(self._pooled(pixels, windows, mirrored))
            else:
                found.append(self._of_pixels(pixels, windows, mirrored))
        if vectors:
            # Of all scales at once: to read the weights takes longer than to multiply by them.
            found.insert(0, self._top(tf.concat(vectors, axis=0)))
        return np.concatenate(found)

    def parts(self, size: views.Size) -> list[ScaledViews]:
        """What is looked at of an image, views on maps before those of pixels.

        Args:
            size: Its height and width.
        """
        return list_scaled_views(self.protocol, size, self.side, self.short_side, self.whole)


def list_scaled_views(
    protocol: str, size: views.Size, side: int, short_side: int, whole: size_policies.Whole
) -> list[ScaledViews]:
    """What a protocol looks at of an image of a size; see `Scorer` for the arguments."""
    if protocol == "full":
        return [_whole(size, whole, views.whole_view)]
    if protocol == "warp":
        return [ScaledViews((side, side), views.whole_view((side, side)))]
    if protocol in ("crop", "10-view", "10-view-map"):
        target = views.scale_size(size, short_side)
        choose = views.center_view if protocol == "crop" else views.ten_views
        return [ScaledViews(target, choose(target, side), protocol in FEATURE_MAP_PROTOCOLS)]
    found = []
    for short in views.six_short_sides(side):
        target = views.scale_size(size, short)
        found.append(ScaledViews(target, views.eighteen_views(target, side), on_map=True))
    if protocol == "96-view+full":
        last = _whole(size, whole, views.whole_and_mirrored_views)
        same = [number for number, part in enumerate(found) if part.size == last.size]
        if not same:
            return [*found, last]
        # What is convolved already need not be again: all of a map is a view like others.
        part = found[same[0]]
        found[same[0]] = part._replace(views=part.views + last.views)
    return found


def _whole(
    size: views.Size, whole: size_policies.Whole, choose: Callable[[views.Size], list[views.View]]
) -> ScaledViews:
    height, width = whole.output_sizes(np.array([size]))[0].tolist()
    return ScaledViews((height, width), choose((height, width)))


_SIGNATURE = [
    tf.TensorSpec((None, None, 3), tf.float32, "pixels"),
    tf.TensorSpec((None, 4), tf.int32, "windows"),
    tf.TensorSpec((None,), tf.bool, "mirrored"),
]


def _of_pixels(network: keras.Model) -> Callable[..., tf.Tensor]:
    """Scores of views of one size, cut out and sent through the network as a batch."""

    @tf.function(input_signature=_SIGNATURE, autograph=False)
    def scores(pixels: Any, windows: Any, mirrored: Any) -> Any:
        crops = _cut(pixels, windows, mirrored)
        # A network for one size must know that it is this one.
        return network(tf.ensure_shape(crops, network.input_shape), training=False)

    return scores


def _of_maps(network: keras.Model) -> tuple[Callable[..., tf.Tensor], Callable[..., tf.Tensor]]:
    """Vectors of views, pooled from the maps of the image and of its mirror image; their scores."""
    halves = model_parts.split_model(network)
    pyramid = model_parts.make_roi_pooling(halves)

    @tf.function(input_signature=_SIGNATURE, autograph=False)
    def pooled(pixels: Any, windows: Any, mirrored: Any) -> Any:
        maps = halves.trunk(tf.stack([pixels, pixels[:, ::-1]]), training=False)
        height, width = tf.unstack(tf.shape(pixels)[:2])
        # All of an image is all of its map. Where poolings round up, as Caffe's, some of its
        # cells are centered beyond the image.
        whole = tf.reduce_all(windows == [0, 0, width, height], axis=1, keepdims=True)
        windows += tf.where(whole, [-width, -height, width, height], 0)
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
        # A row for each of the two, which may have different numbers of views.
        order = tf.argsort(tf.cast(mirrored, tf.int32), stable=True)
        counts = tf.stack(
            [tf.reduce_sum(tf.cast(which, tf.int32)) for which in (~mirrored, mirrored)]
        )
        rows = tf.RaggedTensor.from_row_lengths(tf.gather(windows, order), counts)
        return tf.gather(pyramid(maps, rows).flat_values, tf.argsort(order))

    vectors = tf.TensorSpec((None, None), pyramid.compute_dtype, "vectors")

    @tf.function(input_signature=[vectors], autograph=False)
    def scores(x: Any) -> Any:
        return halves.apply_top(x)

    return pooled, scores


# One for all networks: choosing how to decode is most of what there is to trace.
@tf.function(
    input_signature=[
        tf.TensorSpec((), tf.string),
        tf.TensorSpec((2,), tf.int32),
        tf.TensorSpec((2,), tf.int32),
        tf.TensorSpec((), tf.int32),
    ],
    autograph=False,
)
def _scaled(image: Any, size: Any, target: Any, orientation: Any) -> tf.Tensor:
    return tf.cast(image_ops.decode_resized(image, size, target, orientation), tf.float32)


def _cut(pixels: Any, windows: Any, mirrored: Any) -> tf.Tensor:
    """Windows of one size, the mirrored ones from right to left."""
    left, top, right, bottom = (edge[:, None] for edge in tf.unstack(windows, axis=1))
    rows = top + tf.range(bottom[0, 0] - top[0, 0])
    across = tf.range(right[0, 0] - left[0, 0])
    columns = tf.where(mirrored[:, None], right - 1 - across, left + across)
    numbers = rows[:, :, None] * tf.shape(pixels)[1] + columns[:, None, :]
    return tf.gather(tf.reshape(pixels, (-1, 3)), numbers)


def _side(network: keras.Model, protocol: str, side: int | None) -> int:
    """The side of the views, which must be what a network without pyramid was built for."""
    built = network.input_shape[1:3]
    if None in built:
        return 224 if side is None else side
    if protocol not in FIXED_SIZE_PROTOCOLS:
        raise ValueError(
            f"`protocol` must be {' or '.join(map(repr, FIXED_SIZE_PROTOCOLS))} for "
            f"{network.name}, a network without a "
            "pyramid, which takes images of one size: take its form with `_spp`. "
            f"Received: protocol={protocol!r}."
        )
    side = built[0] if side is None else side
    if built != (side, side):
        raise ValueError(
            f"`side` must be what {network.name} was built for, {built[0]}x{built[1]} pixels. "
            f"Received: side={side}."
        )
    return side


def _check_least(network: keras.Model, side: int, protocol: str) -> None:
    least = layer_chain.min_image_size(network)
    if side < least and protocol != "full":
        raise ValueError(
            f"`side` must be at least {least}, the least that {network.name} can map. "
            f"Received: side={side}."
        )
