"""`spp-keras report`."""

import argparse

from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "report",
        help="write all that is known of a run into one HTML file",
        description="Writes what is known of a run into one HTML file with all its pictures: "
        "tests with their spread, curves, what the pyramid sees of photographs, right and wrong "
        "examples, which classes are taken for which; of a detector, what it finds. The page is "
        "readable on a phone and asks no host for anything. Prints the path of the file.",
        examples="  spp-keras report runs/zf5_spp-shapes\n"
        "  spp-keras report runs/seed0 --with runs/seed1 --with runs/seed2\n"
        "  spp-keras report runs/zf5_spp --compare runs/zf5\n"
        "  spp-keras report runs/zf5_spp --data photographs/ --split test --to pages/zf5_spp.html\n"
        "  spp-keras report runs/zf5_spp-shapes-detector --images 30",
    )
    parser.add_argument("folder", metavar="RUN", help="folder of a training, of a detector's too")
    parser.add_argument(
        "--to", metavar="FILE", help="file ending in .html (default: RUN/report.html)"
    )
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        dest="repeats",
        metavar="RUN",
        help="the same training with another seed, whose tests are averaged with those of the "
        "first; may be given several times",
    )
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="RUN",
        help="another training, whose tests on the same images are shown in the same table; may "
        "be given several times",
    )
    parser.add_argument(
        "--images",
        type=int,
        metavar="N",
        help="validation images to look at, 0 for none (default: 600; of a detector 12)",
    )
    parser.add_argument(
        "--data", default="", help="folder or data set to look at (default: what the run names)"
    )
    parser.add_argument("--data-dir", default="", help="where TensorFlow Datasets keeps its data")
    parser.add_argument("--split", default="", help="split to look at (default: validation)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    load_tensorflow()
    from spp_keras import report

    path = report.write_report(
        options.folder,
        options.to,
        repeats=options.repeats,
        compare=options.compare,
        data=options.data,
        data_dir=options.data_dir,
        split=options.split,
        images=options.images,
    )
    print(path)
    return 0
