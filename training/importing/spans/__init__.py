"""Read spans of traces: `transport` knows how files hold spans, and each convention knows what attributes mean.

`conversion` combines the two, and joins the information that other records have about a span.
"""
