"""Why a router decided so: `Router.route` with ``explain=True``."""
