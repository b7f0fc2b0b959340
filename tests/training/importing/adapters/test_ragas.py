"""ragas: tables with the added column of the model, and without it."""

import pytest

from router_model.errors import TableError

HEADER = "user_input,retrieved_contexts,response,reference,context_recall,faithfulness"
ROW = "Name a prime.,\"['c']\",11,11,0.1,0.8"


@pytest.mark.parametrize(
    ("header", "row", "quality"),
    [
        (f"{HEADER},model", f"{ROW},m", 0.8),
        (f"{HEADER},factual_correctness(mode=f1),model", f"{ROW},0.5,m", 0.5),
        ("question,answer,contexts,answer_correctness,model_name", "Name a prime.,11,[],0.25,m", 0.25),
    ],
)
def test_metric_of_the_answer_is_the_quality(imported, header, row, quality):
    (found,) = imported({"r.csv": f"{header}\n{row}\n"}).rows
    assert (found["prompt"], found["model"], found["quality"]) == ("Name a prime.", "m", quality)
    assert "response" not in found["extra"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}\n{ROW}\n", "results of ragas, which name no model, expected a column 'model'"),
        ("user_input,response,context_recall,model\nx,y,0.5,m\n", "results of ragas without a metric of the answer"),
    ],
)
def test_what_is_missing_is_named(imported, text, message):
    with pytest.raises(TableError, match=message):
        imported({"r.csv": text})
