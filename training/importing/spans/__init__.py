"""Spans of traces: how files hold them (`transport`), and what conventions of attributes mean.

`conversion` puts the two together and joins what other records tell about a span.
"""
