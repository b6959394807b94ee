"""`spp-keras report`."""

import argparse

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "report",
        help="write a report about a run, one HTML file",
        description="Writes a report about a run, one HTML file with all its pictures: test "
        "results with confidence intervals, learning curves, what the pyramid responds to, "
        "correct and wrong predictions and the confusion matrix; of a detector, its detections. "
        "The page is readable on a phone and loads nothing from elsewhere. Prints the path of the "
        "file.",
        examples="  spp-keras report runs/zf5_spp-shapes\n"
        "  spp-keras report runs/seed0 --repeat runs/seed1 --repeat runs/seed2\n"
        "  spp-keras report runs/zf5_spp --compare runs/zf5\n"
        "  spp-keras report runs/zf5_spp --data photos/ --output pages/zf5_spp.html\n"
        "  spp-keras report runs/zf5_spp-shapes-detector --images 30",
    )
    parser.add_argument("run", metavar="RUN", help="run folder, of a detector's too")
    parser.add_argument(
        "--output", metavar="FILE", help="file ending in .html (default: RUN/report.html)"
    )
    parser.add_argument(
        "--repeat",
        action="append",
        default=[],
        dest="repeats",
        metavar="RUN",
        help="the same training with another seed, whose test results are averaged with those of "
        "RUN; may be given several times",
    )
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="RUN",
        help="another training, whose test results on the same images are shown in the same "
        "table; may be given several times",
    )
    parser.add_argument(
        "--images",
        type=int,
        metavar="N",
        help="validation images to predict, 0 for none (default: 600; of a detector 12)",
    )
    _arguments.add_data_flags(parser, "that of the run")
    parser.set_defaults(run_command=_write_report)


def _write_report(options: argparse.Namespace) -> int:
    run = _arguments.choose_run(options.run)
    load_tensorflow()
    from spp_keras import report

    path = report.write_report(
        run,
        options.output,
        repeats=options.repeats,
        compare=options.compare,
        data=options.data,
        data_dir=options.data_dir,
        split=options.split,
        images=options.images,
    )
    print(path)
    return 0
