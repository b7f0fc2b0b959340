"""Scripts run by the Python of a package's own environment; they import that package and nothing of ours.

Each is called with a folder: it reads ``task.npz`` there and writes ``answer.npz`` and ``answer.json``
(`router_model.training.benchmark.packages.exchange` describes them). What it changes about the package, and why, is in
its docstring.
"""
