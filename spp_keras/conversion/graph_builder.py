"""The graph that a conversion builds: layers that share weights, and maps whose sizes are known."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras

from spp_keras._private_apis import list_sublayers, share_layer
from spp_keras.cell_counts import CellCount
from spp_keras.conversion.placement_layers import (
    CellPlacements,
    CropCanvases,
    MaskCells,
    SpreadToCells,
    UnpackImages,
)
from spp_keras.conversion.requirements import Requirements
from spp_keras.conversion.shared_normalization import Normalization

# What a rule wants to hold beyond the images of a map.
Beyond = Literal["anything", "finite", "zero", "one", "lowest"]


_PIXELS = CellCount()


@dataclass(frozen=True)
class FeatureMap:
    """A feature map while a graph is converted.

    Args:
        tensor: Symbolic tensor `(canvases, rows, columns, channels)`.
        rows: Number of rows of an image, from its height.
        columns: Number of columns, from its width.
        beyond: What lies beyond images: `"anything"`, with NaN and infinity; `"finite"`
            numbers; `"zero"`.
        original_size: Rows and columns in the original graph, `None` where unknown.

    Example:

    >>> maps = FeatureMap(keras.Input((None, None, 8)), rows=CellCount().slide(3, stride=2))
    >>> maps.rows.of(224), maps.beyond
    (111, 'anything')
    """

    tensor: Any
    rows: CellCount = _PIXELS
    columns: CellCount = _PIXELS
    beyond: Beyond = "anything"
    original_size: tuple[int | None, ...] = (None, None)


class GraphBuilder:
    """Builds the converted graph layer by layer; rules call its methods.

    Args:
        placements: Symbolic places of images in pixels, see `spp_keras.any_size`.

    Example:

    >>> graph = GraphBuilder(keras.Input((2,), dtype="int32"))
    >>> x = FeatureMap(keras.Input((None, None, 3)))
    >>> graph.fill(x, "zero", keras.layers.Conv2D(8, 3)).beyond
    'zero'
    """

    def __init__(self, placements: Any):
        self.requirements = Requirements()
        # Names of the nested models and opened layers that are being converted.
        self._path: tuple[str, ...] = ()
        self._training: bool | None = None
        self._placements = {(_PIXELS, _PIXELS): placements}
        self._shared: dict[tuple[int, type], tuple[Any, Any]] = {}
        self._filled: dict[tuple[int, str], tuple[Any, Any]] = {}
        self._unpacked: dict[int, tuple[Any, Any]] = {}
        self._names = {"images", "mixed_sizes"}
        self._reserved: set[str] = set()

    def share(self, layer: keras.Operation, layer_class: type | None = None) -> keras.Operation:
        """A new layer with the name, settings and variables of one.

        Args:
            layer: Layer or operation of the original graph.
            layer_class: Class with the same configuration. Defaults to that of `layer`.
        """
        if layer_class is None and type(layer) is keras.layers.Normalization:
            layer_class = Normalization
        layer_class = layer_class or type(layer)
        key = (id(layer), layer_class)
        if key not in self._shared:
            shared = share_layer(layer, layer_class)
            shared.name = self.name_layer(layer)
            if isinstance(shared, Normalization):
                shared.share_with(layer)
            # With the layer itself, so that its id is not given to another one.
            self._shared[key] = (layer, shared)
        return self._shared[key][1]

    def wrap(self, layer: keras.Layer, wrapper_class: type) -> Any:
        """A new layer with the name of one, around a layer that shares its variables.

        Args:
            layer: Layer of the original graph.
            wrapper_class: Subclass of `keras.layers.Wrapper`.
        """
        key = (id(layer), wrapper_class)
        if key not in self._shared:
            inner = share_layer(layer, type(layer))
            self._shared[key] = (layer, wrapper_class(inner, name=self.name_layer(layer)))
        return self._shared[key][1]

    def call(self, layer: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        """Calls a layer on maps and tensors; a symbolic tensor."""
        if self._training is not None and "training" in getattr(
            layer, "call_signature_parameters", ()
        ):
            kwargs["training"] = self._training
        return layer(*_get_tensors(args), **_get_tensors(kwargs))

    def place(self, x: FeatureMap) -> Any:
        """Places of images on a map in cells, a symbolic tensor."""
        key = (x.rows, x.columns)
        if key not in self._placements:
            name = self.make_name("cell_placements")
            layer = CellPlacements(x.rows.steps, x.columns.steps, name=name)
            self._placements[key] = layer(self._placements[_PIXELS, _PIXELS])
        return self._placements[key]

    def fill(self, x: FeatureMap, beyond: Beyond, before: keras.Operation) -> FeatureMap:
        """A map that holds beyond its images what a layer needs there.

        Args:
            x: The map.
            beyond: What the layer needs.
            before: The layer, for names.
        """
        met = {"anything": 0, "finite": 1, "zero": 2}
        if met[x.beyond] >= met.get(beyond, 3):
            return x
        value: Any = "zero" if beyond == "finite" else beyond
        key = (id(x.tensor), value)
        if key not in self._filled:
            finite = x.beyond != "anything"
            layer = MaskCells(value, finite, name=self.make_name(f"mask_before_{before.name}"))
            self._filled[key] = (x.tensor, layer(x.tensor, self.place(x)))
        tensor = self._filled[key][1]
        left: dict[str, Beyond] = {"lowest": "anything", "one": "finite"}
        return replace(x, tensor=tensor, beyond=left.get(beyond, "zero"))

    def spread(self, values: Any, x: FeatureMap, before: keras.Operation) -> Any:
        """A value of each image, `(images, 1, 1, channels)`, at the cells of the image."""
        self.require_free(x, (0, 0))
        layer = SpreadToCells(name=self.make_name(f"spread_before_{before.name}"))
        return layer(values, x.tensor, self.place(x))

    def unpack(self, x: FeatureMap) -> Any:
        """The map of each image as an item of its own, a symbolic tensor."""
        key = id(x.tensor)
        if key not in self._unpacked:
            self.require_free(x, (0, 0))
            layer = UnpackImages(name=self.make_name("image_maps"))
            # With the tensor itself, so that its id is not given to another one.
            self._unpacked[key] = (x.tensor, layer(x.tensor, self.place(x))[0])
        return self._unpacked[key][1]

    def reserve_names(self, names: Iterable[str]) -> None:
        """Keeps the names of the layers of the model itself for them."""
        self._reserved |= set(names) - self._names

    def list_shared_names(self, layer: keras.Layer) -> list[str]:
        """Names of the new layers for those with weights in a layer or model, in their order."""
        names = [new.name for old, new in self._shared.values() if old is layer and new.weights]
        return names or [
            name for part in list_sublayers(layer) for name in self.list_shared_names(part)
        ]

    @contextlib.contextmanager
    def open(self, layer: keras.Operation, training: bool | None = None) -> Iterator[None]:
        """Converts what a nested model or a layer is made of.

        Args:
            layer: The model or layer.
            training: What to call its layers with, `None` for what the model itself gets.
        """
        outside = self._training, self._path
        self._training = training if self._training is None else self._training
        self._path = (*self._path, layer.name)
        yield
        self._training, self._path = outside

    def require_free(self, x: FeatureMap, cells: tuple[int, int]) -> None:
        """Demands free cells between images on a map, as many as a layer reaches beyond them."""
        for axis, count in enumerate((x.rows, x.columns)):
            self.requirements.require_free(axis, count, cells[axis])

    def require_cells(self, x: FeatureMap) -> FeatureMap:
        """Demands that every image has a row and a column on a map."""
        for axis, count in enumerate((x.rows, x.columns)):
            self.requirements.require_cells(axis, count)
        return x

    def align(self, maps: Sequence[FeatureMap], before: keras.Operation) -> list[Any]:
        """Tensors of maps that a layer merges, on which every image has as many cells.

        Sizes of images for which it has not are refused. A canvas may have such a size.
        """
        tensors = [x.tensor for x in maps]
        first = maps[0]
        different = False
        for x in maps[1:]:
            for axis, ours, theirs in ((0, first.rows, x.rows), (1, first.columns, x.columns)):
                if ours != theirs:
                    self.requirements.require_equal(before.name, axis, ours, theirs)
                    different = True
        if not different:
            return tensors
        layer = CropCanvases(name=self.make_name(f"crop_before_{before.name}"))
        return list(layer(tensors, self.place(first)))

    def name_layer(self, layer: keras.Operation) -> str:
        """The name of the new layer for one: the same one where it can be."""
        name = layer.name
        if not self._path and name in self._reserved - self._names:
            self._names.add(name)
            return name
        if name in self._reserved | self._names:
            name = ".".join((*self._path, name))
        return self.make_name(name)

    def make_name(self, name: str) -> str:
        """A name that no other layer of the graph has: the given one where it can be."""
        candidates = (name if i == 0 else f"{name}_{i}" for i in itertools.count())
        taken = self._names | self._reserved
        unused = next(candidate for candidate in candidates if candidate not in taken)
        self._names.add(unused)
        return unused


def _get_tensors(arguments: Any) -> Any:
    return keras.tree.map_structure(
        lambda value: value.tensor if isinstance(value, FeatureMap) else value, arguments
    )
