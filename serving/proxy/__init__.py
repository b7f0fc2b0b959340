"""The proxy: the surfaces that callers point their SDKs at."""
