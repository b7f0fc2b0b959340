"""The proxy's surfaces: what callers' SDKs are pointed at."""
