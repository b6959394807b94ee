"""What every command has."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path


def add_command(
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


def load_tensorflow() -> None:
    """Imports TensorFlow, for the commands that need it, without its notes on processors and GPUs.

    Its C++ libraries print while they load, whatever the log level; the text is shown only
    if the import fails.
    """
    if "tensorflow" in sys.modules:
        return
    # Without a GPU, TensorFlow logs an error that it finds none.
    level = "2" if Path("/proc/driver/nvidia").exists() else "3"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", level)
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured, os.fdopen(stderr, "wb") as output:
        os.dup2(captured.fileno(), 2)
        try:
            import tensorflow as tensorflow
        except BaseException:
            captured.seek(0)
            shutil.copyfileobj(captured, output)
            raise
        finally:
            output.flush()
            os.dup2(stderr, 2)
