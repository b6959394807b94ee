"""The third tier: long matrices, of which `.ci/run` runs a part and `.ci/exhaustive` all."""

import pytest


def mark_rest(names, *kept):
    """Parameters, all but those to keep with the marker `exhaustive`."""
    assert set(kept) < set(names)
    return [
        name if name in kept else pytest.param(name, marks=pytest.mark.exhaustive) for name in names
    ]
