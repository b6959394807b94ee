"""A detector's run folder as its training leaves it, without the training."""

import keras

from spp_keras import detection, run_folder, zoo
from spp_keras.zoo import model_parts

LABELS = ("cat", "größe", "red car")


def make_detector(folder, labels=LABELS, *, rpn=True, **options):
    """Writes it and returns the detector."""
    halves = model_parts.split_model(zoo.zf5_spp(classes=len(labels), width=0.0625, levels=(2, 1)))
    vectors = keras.Input((5 * halves.trunk.output_shape[-1],))
    hidden = keras.layers.Dense(8, "relu")(vectors)
    scores = keras.layers.Dense(len(labels), "sigmoid", name="scores")(hidden)
    corrections = keras.layers.Dense(4 * len(labels), name="corrections")(hidden)
    detector = detection.Detector(
        halves.trunk,
        keras.Model(vectors, [scores, corrections]),
        labels=labels,
        grid=halves.grid,
        levels=(2, 1),
        scales=(120,),
        input_size=64,
        rpn=detection.RegionProposalNetwork(4, anchor_sizes=(32, 64), max_proposals=20)
        if rpn
        else None,
        **options,
    )
    # Scores that differ, and boxes that stay near their windows.
    for name, factor in (("scores", 20), ("corrections", 0.2)):
        kernel = detector.head.get_layer(name).kernel
        kernel.assign(kernel * factor)
    folder.mkdir(parents=True, exist_ok=True)
    detector.save(folder / run_folder.DETECTOR)
    return detector
