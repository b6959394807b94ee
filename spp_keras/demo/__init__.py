"""The demo: what the package is for, in minutes."""

from spp_keras.demo.run import run_demo as run_demo
