"""Do the parts of training and measuring that do not depend on each other here, or on the workers of a Dask cluster."""
