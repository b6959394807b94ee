"""Trains the networks in small that the other commands of this folder test.

    python benchmarks/paper/train.py --runs runs/paper --jobs 2

Four networks without a pyramid, with one at one size and at two sizes; Overfeat-7 at random
sizes, on whole and on warped images, too; each from five seeds: 75 trainings of minutes each, of
one thread. What is there is not made again; what was killed goes on.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import networks
import tqdm


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains all that are not there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/paper"), help="for all run folders")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument(
        "--net", action="append", choices=networks.NETS, help="default: what the tables need"
    )
    parser.add_argument("--variant", action="append", choices=networks.VARIANTS, help="likewise")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once (default: 2)")
    options = parser.parse_args(arguments)
    # Before the processes that inherit it: small networks gain nothing by more.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    pairs = [
        (net, variant)
        for net, variant in networks.PAIRS
        if net in (options.net or networks.NETS)
        and variant in (options.variant or networks.VARIANTS)
    ]
    missing = [
        (options.runs, net, variant, seed)
        for seed, (net, variant) in itertools.product(range(options.seeds), pairs)
        if not networks.is_trained(networks.run(options.runs, net, variant, seed))
    ]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        options.jobs, spawn, max_tasks_per_child=8
    ) as workers:
        made = [workers.submit(_train, *one) for one in missing]
        for one in tqdm.tqdm(concurrent.futures.as_completed(made), total=len(made), unit=" nets"):
            one.result()
    return 0


def _train(folder: Path, net: str, variant: str, seed: int) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    from spp_keras import training

    run = networks.run(folder, net, variant, seed)
    # Its bars would be drawn over those of the others.
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stderr(nothing):
        training.train_model(networks.recipe(net, variant, seed), run)
    keras.utils.clear_session(free_memory=True)


if __name__ == "__main__":
    sys.exit(main())
