import pytest

from router_model.serving.common.masking import masked_keys


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Incorrect API key provided: sk-proj-abcDEF1234567890abcDEF.", "abcDEF1234567890"),
        ("Incorrect API key provided: sk-abc12****************wxyz.", "wxyz"),
        ("Invalid token 'xai-A1b2C3d4E5f6G7h8I9j0'", "A1b2C3d4E5f6G7h8I9j0"),
        ("key=AIzaSyA1234567890abcdefghijk was refused", "1234567890abcdefghijk"),
        ("header was Bearer my-own-token-of-the-cluster", "my-own-token"),
        ("api_key: 0123456789abcdef0123456789abcdef", "0123456789abcdef"),
        ('{"api-key": "0123456789abcdef"}', "0123456789abcdef"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig0", "hbGciOiJIUzI1NiJ9"),
        ("rm_k7f3q9xw2m4t_" + "A" * 43, "AAAA"),
    ],
)
def test_what_looks_like_a_key_is_masked(text, secret):
    assert secret in text
    assert secret not in masked_keys(text)
    assert "***" in masked_keys(text)


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-4o-mini-2024-07-18` does not exist",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "Rate limit reached for meta-llama/llama-3.1-70b-instruct in organization org-1: Limit 6000, Used 5990",
        "risk-averse task-oriented key-value stores",
    ],
)
def test_other_words_stay(text):
    assert masked_keys(text) == text
