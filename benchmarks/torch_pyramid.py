"""The pyramid as PyTorch computes it quickest: 6x6 bins from the map, coarser ones from those."""

import pooling_inputs as inputs
import torch
from torch.nn.functional import max_pool2d


def derive_levels(finest: torch.Tensor) -> list[torch.Tensor]:
    """Every level, from the 6x6 bins."""
    grids = {6: finest}
    for bins, source in inputs.DERIVATIONS:
        grids[bins] = max_pool2d(grids[source], source // bins)
    return [grids[bins] for bins in inputs.LEVELS]


def derive_vectors(finest: torch.Tensor) -> torch.Tensor:
    """Vectors bin by bin as ours are: of maps with channels last that is a view of each grid."""
    return torch.cat([grid.permute(0, 2, 3, 1).flatten(1) for grid in derive_levels(finest)], 1)
