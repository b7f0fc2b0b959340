"""``python -m router_model`` is the command `router-model`."""

from router_model.cli import main

main()
