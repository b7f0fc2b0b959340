"""The code in a document, so that tests run what readers copy."""

import re
from pathlib import Path

INTEGRATIONS = Path(__file__).parents[2] / "docs" / "integrations.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sections(path: Path = INTEGRATIONS) -> dict[str, str]:
    """Return the text under each heading of the second level."""
    _, *parts = re.split(r"^## ", path.read_text(), flags=re.MULTILINE)
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def blocks(language: str, section: str, path: Path = INTEGRATIONS) -> list[str]:
    """Return the code of a language in a section, in order."""
    return [code for found, code in _BLOCK.findall(sections(path)[section]) if found == language]


def languages(path: Path = INTEGRATIONS) -> dict[str, list[str]]:
    """Return the languages of the blocks of each section that has any."""
    found = {heading: [language for language, _ in _BLOCK.findall(text)] for heading, text in sections(path).items()}
    return {heading: kinds for heading, kinds in found.items() if kinds}
