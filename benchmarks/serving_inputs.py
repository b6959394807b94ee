"""Photographs, as files, for what `serving.py` measures."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image


def photographs(sizes: Sequence[tuple[int, int]], quality: int = 90) -> list[bytes]:
    """JPEG files with the smoothness and the grain of photographs."""
    files = []
    for number, (height, width) in enumerate(sizes):
        drawn = np.random.default_rng((number, height, width))
        few = drawn.uniform(0, 255, (2 + height // 16, 2 + width // 16, 3)).astype("uint8")
        smooth = Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC)
        grainy = np.asarray(smooth) + drawn.normal(0, 4, (height, width, 3))
        file = io.BytesIO()
        Image.fromarray(np.clip(grainy, 0, 255).astype("uint8")).save(file, "JPEG", quality=quality)
        files.append(file.getvalue())
    return files
