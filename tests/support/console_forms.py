"""What a test of the console needs of its pages."""

import re

import httpx2


def form_token(answer: httpx2.Response) -> str:
    """Return the token that the forms of a page carry."""
    return re.search(r'x-csrf-token": "(\w+)"', answer.text)[1]
