"""Scripts that run a published package on our data, in the package's own Python environment.

They import that package and none of our code. Each script is called with a folder: it reads ``task.npz`` there and
writes ``answer.npz`` and ``answer.json`` (described in `router_model.training.benchmark.packages.exchange`). The
docstring of each script lists what it changes about the package, and why.
"""
