"""Run the command `router-model` by ``python -m router_model``."""

from router_model.cli import main

main()
