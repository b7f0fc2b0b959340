"""Test prompts that training has seen: hand-made twins, oddities and a whole table."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.features import PromptError
from router_model.training.benchmark.leakage import N_EXAMPLES, audit
from router_model.training.table.outcomes import MATRIX_COLUMNS, Outcomes, read_outcomes
from router_model.training.table.split import split_prompts

pytestmark = pytest.mark.slow

QUESTION = (
    "A farmer sells 14 baskets of apples at 3 dollars each and 9 baskets of pears at 4 dollars each on Saturday. "
    "How much does she earn in total?"
)
OPTIONS = "Which of these planets has the shortest year?\nA. Mercury\nB. Neptune\nC. Saturn\nD. Jupiter"
CHINESE = (
    "一位农民星期六以每筐三元的价格卖出十四筐苹果,又以每筐四元的价格卖出九筐梨。"
    "她一共赚了多少钱?请写出计算过程并说明原因。"
)
THAI = (
    "ชาวนาขายแอปเปิลสิบสี่ตะกร้าราคาตะกร้าละสามเหรียญและลูกแพร์เก้าตะกร้าราคาตะกร้าละสี่เหรียญ เธอได้เงินทั้งหมดเท่าไร โปรดอธิบายอย่างละเอียด"
)
OTHERS = [
    "Write a sonnet about autumn rain.",
    "def f(x): return x[::-1]\nWhat is f('abc')?",
    "Translate 'good morning' into Portuguese.",
    "Why does ice float on water?",
]


def outcomes_of(prompts):
    blank = {name: np.ones((len(prompts), 2)) for name in MATRIX_COLUMNS}
    ids = [f"p{i}" for i in range(len(prompts))]
    return Outcomes(prompt_ids=ids, prompts=prompts, tasks=[""] * len(prompts), models=("a", "b"), **blank)


@pytest.mark.parametrize(
    "twin",
    [QUESTION.upper(), f"\n {QUESTION.replace(' ', '   ')}\t", [{"role": "user", "content": QUESTION}]],
    ids=["case", "white space", "as messages"],
)
def test_the_same_text_is_exact(twin):
    found = audit([*OTHERS, QUESTION], [OTHERS[0][:9], twin])
    assert (found.n_exact, found.n_near, found.rows.tolist()) == (1, 0, [1])
    assert (found.twins[0].train_row, found.twins[0].similarity) == (4, 1.0)


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        (QUESTION, QUESTION.replace("Saturday", "Sunday")),
        (QUESTION, QUESTION.replace("14 baskets", "17 baskets")),
        (QUESTION, QUESTION.replace("each on", "eachon").replace("How much", "Howmuch")),
        (QUESTION, QUESTION + " Think."),
        (OPTIONS, "Which of these planets has the shortest year?\nA. Saturn\nB. Jupiter\nC. Mercury\nD. Neptune"),
        (CHINESE, CHINESE.replace("原因", "理由")),
        (THAI, THAI.replace("อย่างละเอียด", "โดยละเอียด")),
    ],
    ids=["a word", "a number", "lost spaces", "a word more", "options reordered", "Chinese", "Thai"],
)
def test_small_changes_are_near(text, twin):
    found = audit([*OTHERS, text], [twin])
    assert (found.n_exact, found.n_near) == (0, 1)
    assert found.twins[0].train_row == 4


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("add 7 and 5", "add 8 and 5"),
        ("yes", "no"),
        ("数", "学"),
        ("Write a function to find the product of a list.", "Write a function to find the median of a tree."),
        (OPTIONS, "Which of these rivers has the longest course?\nA. Nile\nB. Rhine\nC. Volga\nD. Douro"),
    ],
)
def test_other_questions_are_not_near(text, other):
    assert audit([*OTHERS, text], [other]).twins == ()


def test_empty_prompts_are_one_another_and_nothing_else():
    found = audit(["", *OTHERS], ["", " \n", "\0", "?"])
    assert (found.n_exact, found.n_near, found.rows.tolist()) == (2, 0, [0, 1])


def test_no_prompts_at_all():
    assert audit([], []).in_words().startswith("None of 0 test prompts")
    assert audit(OTHERS, []).twins == audit([], OTHERS).twins == ()


def test_huge_prompts_count_by_what_is_encoded():
    """Of 100 kB, the first and the last 4,096 characters are read."""
    huge = "".join(f"line {i} of a long log\n" for i in range(4500))
    found = audit([huge, QUESTION], [huge.replace("line 2000 ", "line X "), huge[:60_000], huge.swapcase()])
    assert [twin.exact for twin in found.twins if twin.test_row in (0, 2)] == [True, True]


def test_repeats_within_a_side_are_no_leakage():
    near = QUESTION.replace("14", "15")
    found = audit([QUESTION, QUESTION, near], [OTHERS[0], OTHERS[0].lower(), OTHERS[1]])
    assert found.twins == ()
    assert (found.in_train.n_exact, found.in_train.n_near) == (1, 1)
    assert (found.in_test.n_exact, found.in_test.n_near) == (1, 0)
    assert found.in_words() == (
        "None of 3 test prompts has a twin among 3 training prompts (similarity 0.8 or more). "
        "Within one side, which is not leakage, 2 training and 1 test prompts are repeated."
    )


def test_results_name_the_twins_that_need_judging_first():
    train = [QUESTION, *OTHERS]
    test = [OTHERS[0], QUESTION.replace("14", "15"), *OTHERS[1:] * 5]
    found = audit(train, test, train_ids=list("abcde"), test_ids=[f"t{i}" for i in range(len(test))])
    document = json.loads(json.dumps(found.as_dict()))
    assert (document["n_exact"], document["n_near"], len(document["examples"])) == (16, 1, N_EXAMPLES)
    first = document["examples"][0]
    assert (first["test_id"], first["train_id"], first["exact"]) == ("t1", "a", False)
    assert 0.8 <= first["similarity"] < 1
    assert found.in_words().startswith("17 of 17 test prompts (100 %) have a twin among 5 training prompts: 16 the")


@given(st.lists(st.text(max_size=40), max_size=6), st.data())
def test_trivial_edits_change_nothing(prompts, data):
    """Blanks around and doubled, and upper case where that is undone by folding, make no prompt another one."""
    edited = [
        prompt if prompt.upper().casefold() != prompt.casefold() else f" {prompt.upper()} ".replace(" ", "  ")
        for prompt in prompts
    ]
    test = data.draw(st.lists(st.sampled_from([*prompts, "unrelated"]), max_size=6))
    assert audit(prompts, test).as_dict() == audit(edited, test).as_dict()
    assert audit(prompts, edited).n_exact == len(prompts)


@given(st.lists(st.text(alphabet="ab c", max_size=12), max_size=8), st.lists(st.text(alphabet="ab c", max_size=12)))
def test_a_leak_is_one_from_either_side(train, test):
    """Some test prompt has a twin in training where some training prompt has one in test."""
    assert bool(audit(train, test).twins) == bool(audit(test, train).twins)


@pytest.mark.parametrize("threshold", [0, 1.1, float("nan")])
def test_impossible_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match="expected a similarity above 0 and at most 1"):
        audit(OTHERS, OTHERS, threshold=threshold)


def test_ids_must_be_one_a_prompt():
    with pytest.raises(ValueError, match="got 1 ids for 4 prompts; expected one each"):
        audit(OTHERS, OTHERS, test_ids=["a"])


def test_what_is_no_prompt_is_refused():
    with pytest.raises(PromptError, match="a prompt is text, a list of chat messages or a chat body; got int"):
        audit(OTHERS, [3])


@pytest.mark.real_data
@pytest.mark.parametrize(("table", "n_exact", "n_near"), [("zeroeval", 0, 1), ("mmlu_pro", 64, 46)])
def test_real_tables_leak_as_documented(real_data, table, n_exact, n_near):
    outcomes = read_outcomes(real_data / table / "outcomes.parquet")
    split = split_prompts(outcomes.prompt_ids, seed=0)
    found = audit(outcomes.take(split.train).prompts, outcomes.take(split.test).prompts)
    assert (found.n_exact, found.n_near) == (n_exact, n_near)
