"""How providers say that a content filter kept an answer, or the rest of one, back."""

from typing import Final

OF_GOOGLE: Final = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "MODEL_ARMOR",
        "JAILBREAK",
    }
)
FILTERED: Final = frozenset({"content_filter", "refusal", "guardrail_intervened", "OTHER"}) | OF_GOOGLE
"""Why answers with nothing in them end, in the words of OpenAI, Anthropic, Bedrock and Google (`OTHER`: a prompt)."""
