"""Remove white space without meaning before surface features are counted.

Doubled blanks, blanks at line ends and blank lines come from copying and typing, not from the question. Counts and
shares that include them would change decisions without reason (docs/decisions/0008). Line breaks between lines with
text stay. So does the fact that a line is indented, because it is a sign of code.
"""

import re
from typing import Final

_BLANKS: Final = re.compile(r"[ \t]+")


def plain_text(text: str) -> str:
    r"""Return the text with one blank between words, no blank lines, and two blanks where a line is indented.

    >>> plain_text("def f(x):\n\n\treturn  x  \n")
    'def f(x):\n  return x'
    """
    return "\n".join(_plain_line(line) for line in text.strip().split("\n") if line and not line.isspace())


def _plain_line(line: str) -> str:
    words = line.strip()
    if "  " in words or "\t" in words:
        words = _BLANKS.sub(" ", words)
    indented = line[0] == "\t" or len(line) - len(line.lstrip()) > 1
    return f"  {words}" if indented else words
