"""The HTTP edge: refuse malformed requests, read bodies, and answer errors."""
