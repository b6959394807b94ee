"""The cases of PyTorch and torchvision."""

from collections.abc import Callable, Sequence

import numpy as np
import pooling_inputs as inputs
import torch
import torchvision
from torch.nn.functional import adaptive_max_pool2d
from torch_pyramid import derive_levels, derive_vectors
from worker import Prepared, case

_TIES = "channels last; the first of a tie has it all"


@case("whole", f"PyTorch `adaptive_max_pool2d`, {inputs.FIRST}", "channels last")
def _whole_first(setting: str) -> Prepared:
    maps = [_channels_last(inputs.maps(setting))]
    return Prepared(lambda: _pyramid_first(maps), by_bin)


@case("whole", f"PyTorch `adaptive_max_pool2d`, {inputs.GIVEN}", "channels last")
def _whole_given(setting: str) -> Prepared:
    maps = [_channels_last(inputs.maps(setting))]
    return Prepared(lambda: _pyramid_given(maps), _by_bin_given)


@case("gradient", f"PyTorch `adaptive_max_pool2d`, {inputs.FIRST}", _TIES)
def _gradient_first(setting: str) -> Prepared:
    x = inputs.maps(setting)
    return _gradient(_pyramid_first, [x], _arriving_first(inputs.upstream(len(x))))


@case("gradient", f"PyTorch `adaptive_max_pool2d`, {inputs.GIVEN}", _TIES)
def _gradient_given(setting: str) -> Prepared:
    x = inputs.maps(setting)
    return _gradient(_pyramid_given, [x], inputs.upstream(len(x)))


@case("mixed", f"PyTorch, one by one, {inputs.FIRST}", "channels last, sixteen calls")
def _mixed_first(setting: str) -> Prepared:
    maps = [_channels_last(x) for x in _mixed_maps()]
    return Prepared(lambda: _pyramid_first(maps), by_bin)


@case("mixed", f"PyTorch, one by one, {inputs.GIVEN}", "channels last, sixteen calls for 6x6")
def _mixed_given(setting: str) -> Prepared:
    maps = [_channels_last(x) for x in _mixed_maps()]
    return Prepared(lambda: _pyramid_given(maps), _by_bin_given)


@case("mixed gradient", f"PyTorch, one by one, {inputs.FIRST}", _TIES)
def _mixed_gradient_first(setting: str) -> Prepared:
    maps = _mixed_maps()
    return _gradient(_pyramid_first, maps, _arriving_first(inputs.upstream(len(maps))))


@case("mixed gradient", f"PyTorch, one by one, {inputs.GIVEN}", _TIES)
def _mixed_gradient_given(setting: str) -> Prepared:
    maps = _mixed_maps()
    return _gradient(_pyramid_given, maps, inputs.upstream(len(maps)))


@case("windows", f"PyTorch, one by one, {inputs.FIRST}", "crops, channels last")
def _windows_first(setting: str) -> Prepared:
    return _windows(setting, _pyramid_first, by_bin)


@case("windows", f"PyTorch, one by one, {inputs.GIVEN}", "crops, channels last; 6x6 one by one")
def _windows_given(setting: str) -> Prepared:
    return _windows(setting, _pyramid_given, _by_bin_given)


@case("windows gradient", f"PyTorch, one by one, {inputs.FIRST}", "crops, channels last")
def _windows_gradient_first(setting: str) -> Prepared:
    arriving = _arriving_first(inputs.upstream(len(inputs.windows(setting))))
    return _windows_gradient(setting, _pyramid_first, arriving)


@case("windows gradient", f"PyTorch, one by one, {inputs.GIVEN}", "crops, channels last")
def _windows_gradient_given(setting: str) -> Prepared:
    arriving = inputs.upstream(len(inputs.windows(setting)))
    return _windows_gradient(setting, _pyramid_given, arriving)


@case("windows", f"torchvision `roi_pool`, {inputs.FIRST}", "four tensors as they come")
def _windows_torchvision_first(setting: str) -> Prepared:
    x, rois = _map_and_rois(setting)
    return Prepared(
        lambda: [torchvision.ops.roi_pool(x, rois, bins) for bins in inputs.LEVELS], by_bin
    )


@case("windows", f"torchvision `roi_pool`, {inputs.GIVEN}", "four tensors as they come")
def _windows_torchvision_given(setting: str) -> Prepared:
    x, rois = _map_and_rois(setting)
    return Prepared(lambda: derive_levels(torchvision.ops.roi_pool(x, rois, 6)), by_bin)


@case("windows gradient", f"torchvision `roi_pool`, {inputs.FIRST}", "four tensors as they come")
def _windows_gradient_torchvision_first(setting: str) -> Prepared:
    x, rois = _map_and_rois(setting)
    return _gradient_of_levels(
        lambda: [torchvision.ops.roi_pool(x, rois, bins) for bins in inputs.LEVELS], x, len(rois)
    )


@case("windows gradient", f"torchvision `roi_pool`, {inputs.GIVEN}", "four tensors as they come")
def _windows_gradient_torchvision_given(setting: str) -> Prepared:
    x, rois = _map_and_rois(setting)
    return _gradient_of_levels(
        lambda: derive_levels(torchvision.ops.roi_pool(x, rois, 6)), x, len(rois)
    )


@case("windows", "floor: PyTorch `fill_`", "the same, into memory in hand")
def _windows_floor(setting: str) -> Prepared:
    memory = torch.empty((len(inputs.windows(setting)), inputs.BINS * inputs.CHANNELS))
    return Prepared(lambda: memory.fill_(1))


def by_bin(result: torch.Tensor | np.ndarray | Sequence[torch.Tensor | np.ndarray]) -> np.ndarray:
    """One tensor or one a level, channels first, as `(items, bins, channels)`."""
    tensors = result if isinstance(result, list) else [result]
    vectors = np.concatenate([np.asarray(t).reshape(len(t), -1) for t in tensors], axis=1)
    parts = np.split(
        vectors, np.cumsum([bins**2 * inputs.CHANNELS for bins in inputs.LEVELS])[:-1], axis=1
    )
    grids = [part.reshape(len(part), inputs.CHANNELS, -1).swapaxes(1, 2) for part in parts]
    return np.concatenate(grids, axis=1)


def _pyramid_first(maps: list[torch.Tensor]) -> torch.Tensor:
    return _joined(
        [
            torch.cat([adaptive_max_pool2d(x, bins).flatten(1) for bins in inputs.LEVELS], 1)
            for x in maps
        ]
    )


def _pyramid_given(maps: list[torch.Tensor]) -> torch.Tensor:
    return derive_vectors(_joined([adaptive_max_pool2d(x, 6) for x in maps]))


def _joined(tensors: list[torch.Tensor]) -> torch.Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def _by_bin_given(vectors: torch.Tensor) -> np.ndarray:
    return vectors.numpy().reshape(-1, inputs.BINS, inputs.CHANNELS)


def _gradient(
    pyramid: Callable[[list[torch.Tensor]], torch.Tensor],
    maps: list[np.ndarray],
    arriving: np.ndarray,
) -> Prepared:
    tensors = [_channels_last(x).requires_grad_() for x in maps]
    slopes = torch.from_numpy(arriving)

    @torch.enable_grad()
    def gradients() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(pyramid(tensors), tensors, slopes)

    return Prepared(gradients, _by_cell)


def _windows(
    setting: str,
    pyramid: Callable[[list[torch.Tensor]], torch.Tensor],
    answer: Callable[[torch.Tensor], np.ndarray],
) -> Prepared:
    x = _channels_last(inputs.feature_map()[np.newaxis])
    edges = inputs.windows(setting).tolist()
    return Prepared(lambda: pyramid(_crops(x, edges)), answer)


def _windows_gradient(
    setting: str, pyramid: Callable[[list[torch.Tensor]], torch.Tensor], arriving: np.ndarray
) -> Prepared:
    x = _channels_last(inputs.feature_map()[np.newaxis]).requires_grad_()
    edges = inputs.windows(setting).tolist()
    slopes = torch.from_numpy(arriving)

    @torch.enable_grad()
    def gradients() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(pyramid(_crops(x, edges)), x, slopes)

    return Prepared(gradients, _by_cell)


def _gradient_of_levels(
    levels: Callable[[], list[torch.Tensor]], x: torch.Tensor, items: int
) -> Prepared:
    x.requires_grad_()
    parts = _by_level(inputs.upstream(items))
    slopes = [
        torch.from_numpy(part).reshape(items, inputs.CHANNELS, bins, bins)
        for part, bins in zip(parts, inputs.LEVELS, strict=True)
    ]

    @torch.enable_grad()
    def gradients() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(levels(), x, slopes)

    return Prepared(gradients, _by_cell)


def _by_cell(gradients: Sequence[torch.Tensor]) -> np.ndarray:
    return torch.cat(
        [x.permute(0, 2, 3, 1).reshape(-1, inputs.CHANNELS) for x in gradients]
    ).numpy()


def _arriving_first(upstream: np.ndarray) -> np.ndarray:
    """What arrives, in the order of `_pyramid_first`: in a level channel by channel."""
    return np.concatenate(_by_level(upstream), axis=1)


def _by_level(upstream: np.ndarray) -> list[np.ndarray]:
    bins = upstream.reshape(-1, inputs.BINS, inputs.CHANNELS)
    parts = np.split(bins, np.cumsum([bins**2 for bins in inputs.LEVELS])[:-1], axis=1)
    return [part.swapaxes(1, 2).reshape(len(part), -1) for part in parts]


def _mixed_maps() -> list[np.ndarray]:
    return [x[np.newaxis] for x in inputs.mixed_maps()]


def _crops(x: torch.Tensor, edges: list[list[int]]) -> list[torch.Tensor]:
    return [x[:, :, top:bottom, left:right] for top, left, bottom, right in edges]


def _map_and_rois(setting: str) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.from_numpy(inputs.feature_map()[np.newaxis]).permute(0, 3, 1, 2).contiguous()
    return x, torch.from_numpy(inputs.inclusive_rois(setting))


def _channels_last(x: np.ndarray) -> torch.Tensor:
    # A view of NumPy's may have a stride of 0 for a batch of one: then PyTorch takes the slow way.
    tensor = torch.from_numpy(x).permute(0, 3, 1, 2)
    return tensor.clone(memory_format=torch.channels_last)
