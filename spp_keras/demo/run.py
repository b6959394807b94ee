"""Names photographs, fine-tunes and tests networks that come with the package, exports, reports."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from spp_keras import _checks, _files, export, pretrained, recipes, report
from spp_keras.data import Whole, load_records
from spp_keras.demo import demo_page, exported_model, image_forms, photographs, shapes_networks
from spp_keras.evaluation.protocols import Scorer
from spp_keras.run_folder import RunFolder
from spp_keras.training import train_model
from spp_keras.zoo import weight_packages

NETWORK = "efficientnet_lite0"
# Size of the squares that the network was trained on.
_VIEW_SIZE = 224
_NEEDED_BYTES = 2**29
# The last one of the training that the weights are from: a higher one would undo it.
_LEARNING_RATE = 1e-4


def run_demo(output: str | Path, *, epochs: int = 2) -> Path:
    """Shows on examples what the package does, in three minutes on two cores.

    1. Photographs that other packages bring are named by a network with ImageNet weights: whole,
       cropped and warped.
    2. The data set `shapes` is drawn.
    3. A network that comes with the package, trained on it, is fine-tuned for some epochs.
    4. It is tested beside networks that were trained on the same images cropped and warped, each
       in its own form.
    5. The network of the photographs is exported for TensorFlow Serving, and TensorFlow alone
       asks it for all photographs in one request.
    6. A report is written.

    What is there already is not made again: a demo that was interrupted goes on.

    Args:
        output: Folder for everything, the drawn data included.
        epochs: Epochs of the training. Defaults to 2.

    Returns:
        The path of the report, an HTML file.
    """
    output = Path(output)
    _checks.at_least(epochs, 1, "epochs")
    paths = photographs.list_photographs()
    _files.check_free_space(output, _NEEDED_BYTES)

    print(f"1. Naming {len(paths)} photographs by {NETWORK}: whole, cropped and warped to a square")
    run = RunFolder(pretrained.find_run(NETWORK))
    named = _name_photographs(run, paths)
    print(image_forms.format_names(named))

    data_dir = str(output / "data")
    print(f"2. Drawing the images of `shapes` into {data_dir}")
    load_records("shapes", "test", data_dir)

    print(f"3. Fine-tuning the network for whole images, {epochs} epochs")
    fine_tuned = output / "runs" / "zf5_spp"
    recipe = recipes.read_recipe(
        "zf5_spp/shapes",
        task="classification",
        weights="shapes",
        data_dir=data_dir,
        epochs=epochs,
        learning_rate=_LEARNING_RATE,
        early_stopping=False,
    )
    train_model(recipe, fine_tuned)

    print("4. Testing it, and those that it is compared with, on images that none was trained on")
    rows = shapes_networks.evaluate_networks(fine_tuned, data_dir, output / "evaluation")
    print(shapes_networks.format_rows(rows))
    print(shapes_networks.describe_interval())

    saved_model = output / "saved_models" / NETWORK
    print(f"5. Exporting {NETWORK} to {saved_model}, and asking it once for all photographs")
    if not saved_model.exists():
        export.export_model(run, saved_model)
    answers = exported_model.ask(saved_model, paths)
    print(exported_model.format_answers(answers))

    report.write_report(fine_tuned, data_dir=data_dir, split="test")
    page = output / "report.html"
    commands = _list_commands(saved_model, paths[0], fine_tuned)
    _files.write_file(page, demo_page.render_page(named, rows, answers, fine_tuned, commands))
    print(f"6. The report is {page}; next:")
    print("\n".join(f"  {command}" for command in commands))
    return page


def _name_photographs(run: RunFolder, paths: Sequence[Path]) -> list[image_forms.NamedImage]:
    whole = Whole(short_side=weight_packages.PACKAGES[NETWORK].short_side)
    scorers: Mapping[str, Scorer] = {
        "whole": Scorer(run.model, "full", view_size=_VIEW_SIZE, whole=whole),
        "cropped": Scorer(run.model, "crop", view_size=_VIEW_SIZE),
        "warped": Scorer(run.model, "warp", view_size=_VIEW_SIZE),
    }
    return image_forms.name_images(paths, scorers, run.labels)


def _list_commands(saved_model: Path, photograph: Path, run: Path) -> list[str]:
    """What to type next, from the folder where the demo was started."""
    command = _find_command()
    return [
        f"{command} predict {shlex.quote(str(saved_model))} {shlex.quote(str(photograph))}",
        f"{command} app {shlex.quote(str(run))}",
        f"{command} sizes photos/    # a folder of your own",
    ]


def _find_command() -> str:
    """The command that starts `spp-keras` where its environment may not be active."""
    script = Path(sys.executable).with_name("spp-keras")
    if not script.exists():
        return shlex.join([sys.executable, "-m", "spp_keras.cli"])
    on_path = shutil.which("spp-keras")
    if on_path and Path(on_path).samefile(script):
        return "spp-keras"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))
