"""The grader ``json-schema``: whether an answer is JSON that fits a schema.

The schema is a file, or else the row's reference, or else that of the row's ``response_format``. The whole answer has
to be JSON, or one fenced block of code. References to other files or addresses are never followed.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from router_model.errors import RequestError
from router_model.install_line import install_line
from router_model.training.grading.answers import RIGHT, WRONG, Answer, Grade, json_value, not_graded

try:
    from jsonschema.exceptions import SchemaError
    from jsonschema.protocols import Validator
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable
except ImportError as exc:
    raise ImportError(f"--by json-schema needs jsonschema; install it with: {install_line('grade')}") from exc

_FENCED: Final = re.compile(r"```[\w-]*[^\S\n]*\n(?P<inside>.*?)\n?[^\S\n]*```", re.DOTALL)


def answer_json(text: str) -> Any:
    r"""Return the JSON value that an answer is, alone or in its only fenced block.

    >>> answer_json('Here it is:\n```json\n{"a": 1}\n```')
    {'a': 1}

    Raises
    ------
    ValueError
        If it is no JSON.
    RecursionError
        If it is nested too deeply to be read.
    """
    blocks = [match["inside"] for match in _FENCED.finditer(text)]
    return json.loads(blocks[0] if len(blocks) == 1 else text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Grades 1 if the answer is JSON that fits the schema.

    Attributes
    ----------
    name : str
    schema : str or None
        The same schema for all answers, as JSON text.
    """

    name: str = "json-schema"
    schema: str | None = None

    @classmethod
    def of_file(cls, path: Path | None) -> "JsonSchema":
        """Read the schema for all answers from a file; without one, each row has its own.

        Raises
        ------
        RequestError
            If the file is no JSON schema.
        """
        if path is None:
            return cls()
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise RequestError(f"--by json-schema: {path} cannot be read ({exc})") from exc
        if _validator(text) is None:
            raise RequestError(f"--by json-schema: {path} is not a JSON schema")
        return cls(f"json-schema:{path.name}", text)

    def grade(self, answers: Sequence[Answer]) -> list[Grade]:
        """Return a grade for each answer."""
        return [self._grade(answer) for answer in answers]

    def _grade(self, answer: Answer) -> Grade:
        schema = self.schema or _schema_of(answer)
        if schema is None:
            return not_graded("no schema: neither a reference nor a response_format")
        validator = _validator(schema)
        if validator is None:
            return not_graded("the schema cannot be read")
        try:
            return RIGHT if validator.is_valid(answer_json(answer.final_text)) else WRONG
        except ValueError:
            return WRONG
        except Unresolvable:
            return not_graded("the schema refers to something that is not in it")
        except RecursionError:
            return not_graded("the answer is nested too deeply")


def _schema_of(answer: Answer) -> str | None:
    if answer.reference is not None:
        return answer.reference
    wanted = json_value(answer.row.get("response_format"))
    of_format = wanted.get("json_schema") if isinstance(wanted, dict) else None
    schema = of_format.get("schema") if isinstance(of_format, dict) else None
    return None if schema is None else json.dumps(schema)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Validator | None:
    """Return what checks values against a schema, or None if it is no schema."""
    written = json_value(schema)
    if not isinstance(written, dict):
        return None
    kind = validator_for(written, default=Draft202012Validator)
    try:
        kind.check_schema(written)
    except (SchemaError, RecursionError):
        return None
    return kind(written, registry=Registry())
