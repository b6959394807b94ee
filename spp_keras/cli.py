"""The command line: `spp-keras zoo | train | predict | export`."""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import spp_keras


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    0 done, 2 wrong arguments or data, or a disk that does not do its part, 75 another
    machine was lost (the same command goes on), 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="spp-keras", description="SPP-net in Keras: images of any size in, one vector out."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {spp_keras.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_zoo(commands)
    _add_train(commands)
    _add_predict(commands)
    _add_export(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"spp-keras: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("spp-keras: interrupted; the same command goes on.", file=sys.stderr)
        return 130


def _command(
    commands: argparse._SubParsersAction, name: str, *, help: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """The parser of a command, whose help ends with examples."""
    return commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_zoo(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands,
        "zoo",
        help="list the networks: parameters, FLOPs, step and map sizes",
        description="Lists the networks of the zoo, at full width and with 1000 classes.",
        examples="  spp-keras zoo\n  spp-keras zoo --json",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs to read")
    parser.set_defaults(run=_zoo)


def _zoo(options: argparse.Namespace) -> int:
    # Imported here, like whatever else a command needs, so that --help is quick.
    from spp_keras.zoo import summary

    networks = summary.summaries()
    if options.json:
        print(json.dumps([network._asdict() for network in networks], indent=2))
        return 0
    print(
        f"{'name':<14} {'in the paper':<12} {'parameters':>12} {'GFLOPs at 224':>14} "
        f"{'step':>5} {'map at 180':>11} {'map at 224':>11}  image size"
    )
    for network in networks:
        sides = [f"{side}x{side}" for side in (network.map_180, network.map_224)]
        size = f"any from {network.least_size}" if network.pyramid else "the one it is built for"
        print(
            f"{network.name:<14} {network.title:<12} {network.parameters:>12,} "
            f"{network.flops / 1e9:>14.2f} {network.step:>5} {sides[0]:>11} {sides[1]:>11}  {size}"
        )
    return 0


def _add_train(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands,
        "train",
        help="train a network as a recipe says, or go on where a run was killed",
        description="Trains a network as a recipe says. If the run was begun before, goes on "
        "where it was. Several GPUs share the work, and several machines that TF_CONFIG names.",
        examples="  spp-keras train zf5_spp/shapes\n"
        "  spp-keras train zoo/zf5_spp/recipe.toml --data voc/2007 --set epochs=3\n"
        "  spp-keras train zf5_spp --data photographs/ --set epochs=3 --set batch_size=32\n"
        "  spp-keras train zf5_spp --data imagenet2012 --data-dir /data --run runs/zf5_spp",
    )
    parser.add_argument("recipe", help="recipe.toml, or the name of one in the zoo")
    parser.add_argument("--data", help="folder, or a data set of TensorFlow Datasets")
    parser.add_argument("--data-dir", help="where TensorFlow Datasets keeps its data sets")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value for a key of the recipe; can be given several times",
    )
    parser.add_argument(
        "--run", dest="folder", metavar="RUN", help="folder of the run (default: runs/RECIPE-DATA)"
    )
    parser.add_argument("--devices", type=int, help="GPUs to use, or parts of the CPU")
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from spp_keras.zoo import recipes

    # Behind the others, so that what is asked for here has the last word.
    settings = options.set + [
        f"{key}={json.dumps(value)}"
        for key, value in (("data", options.data), ("data_dir", options.data_dir))
        if value is not None
    ]
    recipe = recipes.read(options.recipe, settings)
    folder = Path(options.folder or Path("runs") / _run_name(options.recipe, recipe.data))

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from spp_keras import training

    try:
        training.train(recipe, folder, devices=options.devices)
    except training.WorkerLost as error:
        print(f"spp-keras: {error}", file=sys.stderr)
        sys.stderr.flush()
        # TensorFlow would wait for the lost machine until the end of time.
        os._exit(75)
    print(folder)
    return 0


def _add_predict(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands,
        "predict",
        help="say what is on photographs",
        description="Says what is on photographs: a line for each, the likeliest classes with "
        "their scores. A run, what was exported from it as SavedModel and what was exported for "
        "TFLite all see the same of a photograph. Photographs that cannot be used are named, the "
        "others answered; the exit code is then 2.",
        examples="  spp-keras predict --model runs/zf5_spp-shapes photo.jpg\n"
        "  spp-keras predict --model saved_models/zf5_spp --top 1 photographs/*.jpg\n"
        "  spp-keras predict --model phone/zf5_spp.tflite --json photo.png",
    )
    parser.add_argument("photographs", nargs="+", metavar="photo", help="JPEG, PNG, GIF or BMP")
    parser.add_argument(
        "--model",
        required=True,
        help="run folder, SavedModel or folder of its versions, or .tflite",
    )
    parser.add_argument("--top", type=int, default=5, help="how many classes (default: 5)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each")
    parser.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from spp_keras import _checks

    _checks.at_least(options.top, 1, "top")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from spp_keras import serving

    ask, failed = serving.load(options.model, options.top), False
    for name in options.photographs:
        try:
            answer = ask(Path(name).read_bytes())
        except OSError as error:
            answer = serving.Answer(error=f"cannot be read: {error.strerror}")
        failed = failed or answer.error is not None
        if options.json:
            print(json.dumps({"photo": name, **answer._asdict()}), flush=True)
        elif answer.error is not None:
            print(f"spp-keras: {name} {answer.error}", file=sys.stderr)
        else:
            found = zip(answer.labels, answer.scores, strict=True)
            print(name, *(f"{label} {score:.3f}" for label, score in found), sep="\t", flush=True)
    return 2 if failed else 0


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands,
        "export",
        help="export a run for TF Serving or for TFLite",
        description="Exports the best network of a run: as the next version of a model in a "
        "repository of TensorFlow Serving, or, where --to ends in .tflite, as a TFLite file of "
        "built-in operations with its labels beside it.",
        examples="  spp-keras export runs/zf5_spp-shapes --to saved_models/zf5_spp\n"
        "  spp-keras export runs/zf5_spp-shapes --to saved_models/zf5_spp --errors report\n"
        "  spp-keras export runs/zf5_spp-shapes --to phone/zf5_spp.tflite\n"
        "  spp-keras export runs/zf5_spp-shapes --to phone/zf5_spp.tflite --form int8 --size 224",
    )
    parser.add_argument("folder", metavar="RUN", help="folder of a training")
    parser.add_argument("--to", required=True, help="REPOSITORY/MODEL, or a file ending in .tflite")
    served = parser.add_argument_group("for TF Serving")
    served.add_argument("--top", type=int, help="classes that `bytes` answers with (default: 5)")
    served.add_argument(
        "--errors",
        choices=("raise", "report"),
        help="whether an unusable image refuses its request, or is reported beside the answers "
        "for the others (default: raise)",
    )
    lite = parser.add_argument_group("for TFLite")
    lite.add_argument(
        "--form",
        choices=("float32", "float16", "dynamic", "int8"),
        help="of weights, and for int8 of all there is (default: float32)",
    )
    lite.add_argument(
        "--size", type=int, help="side of the images, if the file is to take one size alone"
    )
    lite.add_argument(
        "--calibration",
        metavar="DATA",
        help="folder or data set that int8 is fitted to (default: what the run learned from)",
    )
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    for_lite = options.to.endswith(".tflite")
    wrong = ("top", "errors") if for_lite else ("form", "size", "calibration")
    for name in wrong:
        if getattr(options, name) is not None:
            kind = "the repository of a server" if for_lite else "a file ending in .tflite"
            raise ValueError(f"--{name} is for {kind}. Received: --to {options.to}.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from spp_keras import _checks, export, trained
    from spp_keras.data import sizes

    found = trained.load(options.folder)
    view = found.view
    given = {name: getattr(options, name) for name in ("top", "errors", "form")}
    given = {name: value for name, value in given.items() if value is not None}
    if options.size is not None:
        side = _checks.at_least(options.size, 1, "size")
        view = sizes.centre(side)
        given["size"] = (side, side)
    if options.form == "int8":
        given["calibration"] = trained.sample(options.folder, view, options.calibration)
    elif options.calibration is not None:
        raise ValueError(f"--calibration is for --form int8. Received: {options.calibration}.")
    save = export.save_tflite if for_lite else export.save
    print(save(found.network, options.to, labels=found.labels, view=view, **given))
    return 0


def _run_name(recipe: str, data: str) -> str:
    """`zf5_spp-voc-2007` from `zoo/zf5_spp/recipe.toml` and `voc/2007`."""
    path = Path(recipe).with_suffix("")
    model = path.parent.name if path.name == "recipe" else path.name
    dataset = Path(data).name if Path(data).is_dir() else re.sub(r"\W+", "-", data)
    return f"{model}-{dataset}"


if __name__ == "__main__":
    sys.exit(main())
