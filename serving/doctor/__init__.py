"""Examine a service's set-up from outside, whether it runs or not: what is wrong, and what to do about it.

Every check stands for itself, so that one look shows all that is wrong. Nothing is written, migrated or paid for: of
providers only the list of models is asked for.
"""
