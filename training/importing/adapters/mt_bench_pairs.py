"""Read MT-Bench's pairwise judgments: which of two answers a judge preferred, in both orders of the answers."""

from typing import Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.adapters.mt_bench import question_fields
from router_model.training.importing.conversion import ADVICE, Conversion, Source, is_missing, present
from router_model.training.importing.problems import RecordError, shown
from router_model.training.importing.votes import TIE, vote_rows

_QUALITY_OF_FIRST: Final = {"model_1": 1.0, "model_2": 0.0, "tie": TIE}
_ERROR: Final = "error"
_PLACED: Final = frozenset(
    {
        "model_1", "model_2", "winner", "g1_winner", "g2_winner", "tstamp", "g1_user_prompt", "g1_judgment",
        "g2_user_prompt", "g2_judgment",
    }
)  # fmt: skip


def _recognises(record: Source) -> bool:
    return {"question_id", "model_1", "model_2"} <= record.keys() and bool({"g1_winner", "winner"} & record.keys())


def mt_bench_pairs(record: Source, around: Around) -> Conversion:
    """Read a judgment of two answers.

    Fields: ``model_1``, ``model_2``, ``g1_winner`` and ``g2_winner`` (or ``winner``), whose mean is the
    quality, so that a judge who follows the order of the answers says nothing; ``g1_user_prompt``, ``turn``,
    ``tstamp``. Games that the judge did not decide by its rules do not count.
    """
    games = [record[key] for key in ("g1_winner", "g2_winner", "winner") if not is_missing(record.get(key))]
    unknown = [game for game in games if game not in (*_QUALITY_OF_FIRST, _ERROR)]
    if unknown:
        expected = f"one of {', '.join(_QUALITY_OF_FIRST)}, {_ERROR}"
        raise RecordError("g1_winner", f"{shown(unknown[0])} in a judgment of MT-Bench", expected, ADVICE)
    decided = [_QUALITY_OF_FIRST[game] for game in games if game != _ERROR]
    if not decided:
        return Conversion([], {"judgments without a winner": 1})
    first = sum(decided) / len(decided)
    return vote_rows(
        question_fields(record, "g1_user_prompt", around),
        (record["model_1"], record["model_2"]),
        (first, 1 - first),
        timestamp=record.get("tstamp"),
        extra=present(record, _PLACED),
    )


ADAPTER: Final = Adapter("mt_bench_pairs", "MT-Bench pairs", _recognises, mt_bench_pairs, averages=True, votes=True)
