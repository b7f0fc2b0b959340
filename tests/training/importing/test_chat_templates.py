"""Text that chat templates made becomes messages again."""

import pytest

from router_model.training.importing.chat_templates import messages_of

SYSTEM = {"role": "system", "content": "Be terse."}
ASKED = {"role": "user", "content": "Hi\nthere"}
ANSWERED = {"role": "assistant", "content": "Yo"}


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "<|im_start|>system\nBe terse.<|im_end|>\n<|im_start|>user\nHi\nthere<|im_end|>\n<|im_start|>assistant\n",
            [SYSTEM, ASKED],
        ),
        (
            (
                "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi\nthere<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\nYo<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\nHi\nthere<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
            ),
            [ASKED, ANSWERED, ASKED],
        ),
        (
            "<bos><start_of_turn>user\nHi\nthere<end_of_turn>\n<start_of_turn>model\nYo<end_of_turn>\n",
            [ASKED, ANSWERED],
        ),
        ("<|user|>\nHi\nthere<|end|>\n<|assistant|>\n", [ASKED]),
        ("<|start|>developer<|message|>Be terse.<|end|><|start|>user<|message|>Hi\nthere<|end|>", [SYSTEM, ASKED]),
        ("<s>[INST] Hi\nthere [/INST]", [ASKED]),
        ("<s>[INST] Hi\nthere [/INST] Yo</s>[INST] Hi\nthere [/INST]", [ASKED, ANSWERED, ASKED]),
        ("<\uff5cUser\uff5c>Hi\nthere<\uff5cAssistant\uff5c><think>\n", [ASKED]),
        (
            "<\uff5cUser\uff5c>Hi\nthere<\uff5cAssistant\uff5c>Yo<\uff5cend\uff5c><\uff5cUser\uff5c>Hi\nthere<\uff5cAssistant\uff5c>",
            [ASKED, ANSWERED, ASKED],
        ),
        ("<|im_start|>user\ncut off", []),
        ("A plain question about <html> and [lists]?", []),
    ],
)
def test_template_is_taken_off(text, messages):
    assert messages_of(text) == messages
