"""Trains the weights that come with the package, and compares whole, cropped and warped images.

    python benchmarks/shapes_weights.py --runs runs/shapes
    python benchmarks/shapes_weights.py --render    # the text again, from the JSON

ZF-5 with a pyramid is trained on `shapes` by three recipes of the zoo, with three seeds each, until
it stops learning: on whole images, on squares cut out of them and on squares that they are bent to,
of as many pixels. Each network is tested in the form that it was trained in, on images that no
training saw. Trainings that are there already, whole or in part, are gone on with.

Writes to OUT the weights of seed 0 in float16, `shapes_weights.json` with the results and with some
logits, by which tests recognize the weights, and `shapes_weights.md`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machines
import shapes_weights_tables as tables

_FORMS = {"shapes": ("full",), "shapes_cropped": ("crop", "10-view"), "shapes_warped": ("warp",)}
_NETWORK = "zf5_spp"
# Images whose logits are kept: small enough for a JSON file.
_KEPT_IMAGES = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what is missing, measures and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/shapes"), help="run folders")
    parser.add_argument("--data-dir", default="", help="where TensorFlow Datasets keeps `shapes`")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default: 3)")
    machines.render_option(parser)
    machines.out_option(parser)
    parser.set_defaults(out=Path(__file__).parents[1] / "zoo" / _NETWORK)
    options = parser.parse_args(arguments)
    if not options.render:
        _measure(options)
    return machines.render(options.out / "shapes_weights", tables.markdown)


def _measure(options: argparse.Namespace) -> None:
    import keras
    import numpy as np
    import tensorflow as tf

    import spp_keras
    from spp_keras import _files
    from spp_keras.data import load_records
    from spp_keras.evaluation import score_cache

    began = machines.begin()
    machine = machines.describe(f"python benchmarks/shapes_weights.py --runs {options.runs}")
    machine["versions"] |= {
        "spp_keras": spp_keras.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
    for seed in range(options.seeds):
        for name in _FORMS:
            spp_keras.train(
                f"{_NETWORK}/{name}",
                options.runs / f"{name}-{seed}",
                seed=seed,
                data_dir=options.data_dir,
            )
    images = score_cache.ImageChunks(load_records("shapes", "test", options.data_dir or None))
    labels = images.records.labels
    rows, correct = [], {}
    for name, protocols in _FORMS.items():
        runs = [options.runs / f"{name}-{seed}" for seed in range(options.seeds)]
        scores = [_score(run, protocols, images) for run in runs]
        for index, protocol in enumerate(protocols):
            right = [of_run[index].argmax(axis=1) == labels for of_run in scores]
            correct[name, protocol] = np.array(right, float)
            rows.append(_make_row(name, protocol, correct[name, protocol], runs))
    weights = {name: _ship(options, name, images) for name in _FORMS}
    whole = correct["shapes", "full"]
    differences = [
        {"form": name, "protocol": protocol, **_describe_interval(whole - values)}
        for (name, protocol), values in correct.items()
        if name != "shapes"
    ]
    machines.finish(machine, began)
    results = {
        "machine": machine,
        "images": len(labels),
        "seeds": options.seeds,
        "rows": rows,
        "differences": differences,
        "weights": weights,
    }
    path = options.out / "shapes_weights.json"
    _files.write_file(path, json.dumps(results, indent=1) + "\n")
    machines.say(f"{path} after {machine['minutes']} minutes")


def _score(run: Path, protocols: Sequence[str], images: Any) -> list[Any]:
    """Scores of a run for all images, by each protocol."""
    from spp_keras import run_folder
    from spp_keras.evaluation import protocol_evaluation, run_settings

    folder = run / run_folder.EVALUATION / run_folder.SCORE_CACHE
    evaluated = run_settings.read_run(run, protocols)
    return protocol_evaluation.score_protocols(evaluated, protocols, images, folder)


def _make_row(name: str, protocol: str, correct: Any, runs: Sequence[Path]) -> dict[str, Any]:
    from spp_keras import recipes, run_folder
    from spp_keras.training import history_file, plateau

    histories = [history_file.read_history(run) for run in runs]
    settled = [recipes.read_recipe(run / run_folder.RECIPE) for run in runs]
    return {
        "form": name,
        "protocol": protocol,
        "accuracies": correct.mean(axis=1).tolist(),
        **_describe_interval(correct),
        "epochs": [len(history) for history in histories],
        "stopped_learning": [*map(plateau.has_stopped_learning, histories, settled)],
    }


def _describe_interval(values: Any) -> dict[str, Any]:
    from spp_keras.comparison import paired_intervals

    interval = paired_intervals.fixed_test_interval([*values])
    return {"mean": interval.mean, "interval": [interval.low, interval.high]}


def _ship(options: argparse.Namespace, name: str, images: Any) -> dict[str, Any]:
    """Writes the weights of seed 0; returns how to recognize them, and how many images are right.

    The logits are those of the rounded weights, and how far the exact ones are from them.
    """
    import numpy as np

    from spp_keras.run_folder import RunFolder

    run = RunFolder(options.runs / f"{name}-0")
    path = options.out / f"{name}.weights.h5"
    records, protocol = images.records, _FORMS[name][0]
    exact = compute_logits(run, str(run / "best.weights.h5"), protocol, records)
    _round_weights(run, path)
    rounded = compute_logits(run, str(path), protocol, records)
    labels = records.labels
    return {
        "correct": int((rounded.argmax(axis=1) == labels).sum()),
        "correct_in_float32": int((exact.argmax(axis=1) == labels).sum()),
        "largest_change_of_logits": float(np.abs(rounded - exact).max()),
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "logits": [[round(value, 5) for value in row] for row in rounded[:_KEPT_IMAGES].tolist()],
    }


def compute_logits(run: Any, weights: str, protocol: str, records: Any) -> Any:
    """Logits of images, float32 `(images, classes)`.

    Args:
        run: Run folder with the recipe of the weights.
        weights: Path of the file.
        protocol: A protocol of one view.
        records: The images.
    """
    import numpy as np

    from spp_keras.data import image_reader
    from spp_keras.evaluation import protocols, run_settings
    from spp_keras.zoo import zf5_spp

    network = zf5_spp(
        len(run.labels), width=run.recipe.width, weights=weights, classifier_activation=None
    )
    settings = run_settings.read_run(run.path, (protocol,)).views
    score = protocols.Scorer(network, protocol, **settings._asdict())
    return np.stack(
        [
            score(image_reader.read_span(records.files, span), tuple(size))
            for span, size in zip(records.spans, records.sizes, strict=True)
        ]
    )


def _round_weights(run: Any, path: Path) -> None:
    """A copy of the best weights of a run in float16, with the names of the classes."""
    import h5py

    from spp_keras import _files, run_folder
    from spp_keras.zoo import shipped_weights

    with (
        _files.replace_file(path) as temporary,
        h5py.File(run / run_folder.BEST_WEIGHTS, "r") as source,
        h5py.File(temporary, "w") as target,
    ):

        def copy(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                target.create_dataset(name, data=node[()].astype("float16"), compression="gzip")
            else:
                target.require_group(name)
            target[name].attrs.update(node.attrs)

        source.visititems(copy)
        target.attrs.update(source.attrs)
        target.attrs[shipped_weights.LABELS] = run.labels


if __name__ == "__main__":
    sys.exit(main())
