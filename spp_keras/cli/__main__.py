"""So that `python -m spp_keras.cli` is the command, too."""

import sys

from spp_keras.cli import main

if __name__ == "__main__":
    sys.exit(main())
