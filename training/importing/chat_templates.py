"""Convert text that a chat template made back into chat messages.

Evaluations of local models record the text that was sent to the model, with the marks of its chat template. Without
this conversion, two models with different templates would have no prompt in common. One simplification: only the
templates of the large model families are known. Text of another template stays text.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Message = dict[str, str]

_TURNS: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<\|im_start\|>(?P<role>\w+)\n(?P<content>.*?)<\|im_end\|>",  # ChatML: Qwen and many others
        r"<\|start_header_id\|>(?P<role>\w+)<\|end_header_id\|>\n\n(?P<content>.*?)<\|eot_id\|>",  # Llama 3
        r"<\|header_start\|>(?P<role>\w+)<\|header_end\|>\n\n(?P<content>.*?)<\|eot\|>",  # Llama 4
        r"<start_of_turn>(?P<role>\w+)\n(?P<content>.*?)<end_of_turn>",  # Gemma
        r"<\|(?P<role>system|user|assistant)\|>\n?(?P<content>.*?)(?:<\|end\|>|</s>|<\|endoftext\|>)",  # Phi, Zephyr
        r"<\|start\|>(?P<role>\w+)<\|message\|>(?P<content>.*?)<\|end\|>",  # gpt-oss
        # DeepSeek, which uses wider bars
        r"<\uff5c(?P<role>User|Assistant)\uff5c>(?P<content>.*?)(?=<\uff5c(?:User|Assistant|end))",
        r"(?P<role>\[/?INST\])(?P<content>.*?)(?=\[/?INST\]|</s>)",  # Mistral and Llama 2
    )
)
_ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model": "assistant",
        "developer": "system",
        "User": "user",
        "Assistant": "assistant",
        "[INST]": "user",
        "[/INST]": "assistant",
    }
)


def messages_of(text: str) -> list[Message]:
    r"""Return the messages in a text; an empty list if it has no marks of a known template.

    >>> messages_of("<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n")
    [{'role': 'user', 'content': 'Hi'}]
    >>> messages_of("What is 1 + 1?")
    []
    """
    for pattern in _TURNS:
        found = [_message(turn) for turn in pattern.finditer(text)]
        if any(message["role"] == "user" for message in found):
            return found
    return []


def _message(turn: re.Match[str]) -> Message:
    role = turn["role"]
    return {"role": _ROLES.get(role, role), "content": turn["content"].strip()}
