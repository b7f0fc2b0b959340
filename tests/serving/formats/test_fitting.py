"""What is sent to a model, by what its family and its host take; the rows of the table are held to the facts here."""

from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.catalog import ModelCard
from router_model.serving.formats.fitting.described import described
from router_model.serving.formats.fitting.fit import fitted
from router_model.serving.formats.fitting.generate import UNCHECKED_SIGNATURE
from router_model.serving.formats.fitting.parameters import PARAMETERS, Weight
from router_model.serving.formats.fitting.table import BY_KIND, FAMILIES, HOSTS, family_of
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind, Provider, Target

BASES = {
    Kind.OPENAI: "https://gateway.example/v1",
    Kind.ANTHROPIC: "https://api.anthropic.com/v1",
    Kind.GEMINI: "https://generativelanguage.googleapis.com/v1beta",
    Kind.ECHO: "echo://",
}
HI = [{"role": "user", "content": "Hi"}]


def target(model, kind=Kind.OPENAI, *, host=None, ours="ours", limit=None):
    base = BASES[kind] if host is None else f"https://{host}/v1"
    card = None if limit is None else ModelCard("ours", Decimal(1), Decimal(1), max_output_tokens=limit)
    return Target(ours, Provider("p", kind, base), model, card)


def fit(body, model, kind=Kind.OPENAI, *, refused=(), **at):
    done = fitted(body, target(model, kind, **at), refused=refused)
    return done.body, done.changes


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("GPT-5", ["gpt-5", "openai/gpt-5-mini-2025-08-07", "azure/gpt-5-nano", "prod-gpt-5"]),
        ("GPT-5 chat", ["gpt-5-chat-latest", "openai/gpt-5-chat"]),
        ("GPT-5.1", ["gpt-5.1", "openai/gpt-5.1-2025-11-13"]),
        ("GPT-5.2 to 5.4", ["gpt-5.2", "openai/gpt-5.4-mini"]),
        ("GPT-5.5 and later", ["gpt-5.5", "openai/gpt-5.6-sol"]),
        ("GPT-6 and later", ["gpt-6-astra"]),
        ("o1, o3, o4", ["o1", "openai/o3-mini", "o4-mini-2025-04-16", "openai/o4-mini-high"]),
        ("GPT-4 and 3.5", ["gpt-4o", "openai/gpt-4.1-nano", "gpt-35-turbo", "chatgpt-4o-latest"]),
        ("gpt-oss", ["openai/gpt-oss-120b", "gpt-oss:20b"]),
        ("Claude up to 4.0", ["claude-3-5-sonnet-20241022", "anthropic/claude-opus-4", "claude-sonnet-4@20250514"]),
        (
            "Claude 4.1 to 4.5",
            [
                *("claude-opus-4-1-20250805", "anthropic/claude-sonnet-4.5", "claude-haiku-4-5@20251001"),
                *("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-4.5-sonnet"),
            ],
        ),
        ("Claude 4.6", ["claude-opus-4-6", "anthropic.claude-opus-4-6-v1"]),
        ("Claude 4.7 to 5.4", ["claude-opus-4-7", "global.anthropic.claude-sonnet-5", "claude-opus-5"]),
        ("Claude 5.5 and later, and those without a version", ["claude-sonnet-5-5", "claude-latest"]),
        ("Claude Fable and Mythos", ["claude-mythos-preview", "claude-fable-5"]),
        ("Gemini up to 2.0", ["google/gemini-2.0-flash-001", "gemini-1.5-pro"]),
        ("Gemini 2.5 Pro", ["google/gemini-2.5-pro", "models/gemini-2.5-pro-preview"]),
        ("Gemini 2.5", ["gemini-2.5-flash-lite"]),
        ("Gemini 3.1 Pro and later", ["gemini-3.1-pro-preview", "gemini-pro-latest"]),
        ("Gemini 3 and later", ["gemini-3-flash-preview", "gemini-flash-latest"]),
        ("Grok 4", ["grok-4-fast-reasoning", "x-ai/grok-4", "grok-code-fast-1"]),
        ("Grok 4.3", ["grok-4.3"]),
        ("Mistral", ["mistralai/mistral-large-2512", "codestral-latest", "mixtral-8x7b"]),
        ("DeepSeek, GLM, Kimi, MiniMax, Qwen", ["deepseek-chat", "z-ai/glm-4.6", "moonshotai/kimi-k2"]),
        ("all others", ["llama-3.3-70b", "AIDC-AI/Marco-o1", "phi-4", "my-finetune", "gpt4all-j"]),
    ],
)
def test_a_family_is_known_by_its_ids_on_every_host(name, ids):
    assert {family_of(target(model)).name for model in ids} == {name}


def test_our_id_tells_the_family_where_the_providers_does_not():
    assert family_of(target("deployment-7", ours="openai/gpt-5")).name == "GPT-5"
    assert family_of(target("gpt-4o", ours="openai/gpt-5")).name == "GPT-4 and 3.5"


SAMPLERS = {"temperature": 0.2, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.1}
NO_SAMPLERS = ("frequency_penalty", "presence_penalty", "temperature", "top_p")


@pytest.mark.parametrize(
    ("model", "host", "asked", "sent", "changes"),
    [
        # the name of the limit
        ("gpt-5", None, {"max_tokens": 9}, {"max_completion_tokens": 9}, ()),
        ("openai/o3", "openrouter.ai", {"max_tokens": 9}, {"max_completion_tokens": 9}, ()),
        ("gpt-4o", "api.openai.com", {"max_tokens": 9}, {"max_completion_tokens": 9}, ()),
        ("gpt-4o", "eu.openai.azure.com", {"max_tokens": 9}, {"max_completion_tokens": 9}, ()),
        ("mistral-small", "api.mistral.ai", {"max_completion_tokens": 9}, {"max_tokens": 9}, ()),
        ("llama-3", None, {"max_completion_tokens": 9}, {"max_completion_tokens": 9}, ()),
        ("gpt-5", None, {"max_tokens": 9, "max_completion_tokens": 5}, {"max_completion_tokens": 5}, ()),
        # samplers
        ("gpt-5", None, SAMPLERS, {}, NO_SAMPLERS),
        ("o4-mini", None, {"temperature": 1, "top_p": 1.0, "presence_penalty": 0}, {}, ()),
        ("gpt-5.1", None, SAMPLERS, SAMPLERS, ()),
        ("gpt-5.1", None, {**SAMPLERS, "reasoning_effort": "low"}, {"reasoning_effort": "low"}, NO_SAMPLERS),
        ("gpt-5.1", None, {"top_p": 0.9, "reasoning_effort": "none"}, {"top_p": 0.9, "reasoning_effort": "none"}, ()),
        ("gpt-5.5", None, SAMPLERS, {}, NO_SAMPLERS),
        ("gpt-5.5", None, {"top_p": 0.9, "reasoning_effort": "none"}, {"top_p": 0.9, "reasoning_effort": "none"}, ()),
        ("gpt-4o", None, {**SAMPLERS, "top_k": 5, "min_p": 0.1}, SAMPLERS, ("min_p", "top_k")),
        ("claude-sonnet-4.5", None, {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, ("top_p",)),
        ("claude-sonnet-4.5", None, {"temperature": 1, "top_p": 0.9}, {"top_p": 0.9}, ()),
        ("claude-opus-4.7", None, {"temperature": 0.2, "top_k": 5}, {}, ("temperature", "top_k")),
        (
            "claude-sonnet-4",
            None,
            {"temperature": 1.5, "top_p": 0.9},
            {"temperature": 1.0, "top_p": 0.9},
            ("temperature=1",),
        ),
        (
            "mistral-small",
            "api.mistral.ai",
            {"temperature": 1.8, "top_k": 3},
            {"temperature": 1.5},
            ("top_k", "temperature=1.5"),
        ),
        ("grok-4", None, {"presence_penalty": 0.5, "top_k": 3}, {"top_k": 3}, ("presence_penalty",)),
        ("mistral-small", "api.mistral.ai", {"seed": 7}, {"random_seed": 7}, ()),
        ("llama-3", None, {**SAMPLERS, "top_k": 5, "seed": 1}, {**SAMPLERS, "top_k": 5, "seed": 1}, ()),
        # efforts: the nearest that is known
        ("gpt-5", None, {"reasoning_effort": "none"}, {"reasoning_effort": "minimal"}, ("reasoning_effort=minimal",)),
        ("gpt-5.1", None, {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, ("reasoning_effort=low",)),
        ("gpt-5.2", None, {"reasoning_effort": "max"}, {"reasoning_effort": "xhigh"}, ("reasoning_effort=xhigh",)),
        ("o3", None, {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high"}, ("reasoning_effort=high",)),
        ("gpt-4o", None, {"reasoning_effort": "low"}, {}, ("reasoning_effort",)),
        ("gpt-4o", None, {"reasoning_effort": "none"}, {}, ()),
        ("grok-4", None, {"reasoning_effort": "high"}, {}, ("reasoning_effort",)),
        ("gpt-5", None, {"reasoning_effort": "huge"}, {"reasoning_effort": "huge"}, ()),
        ("gpt-5", None, {"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}, ()),
        (
            "gpt-5",
            None,
            {"reasoning": {"max_tokens": 800}, "max_tokens": 1000},
            {"reasoning_effort": "high", "max_completion_tokens": 1000},
            (),
        ),
        ("gpt-5.1", None, {"reasoning": {"enabled": False}}, {"reasoning_effort": "none"}, ()),
        ("openai/o1", "openrouter.ai", {"reasoning": {"effort": "max"}}, {"reasoning": {"effort": "max"}}, ()),
        ("qwen3", None, {"reasoning_effort": "max"}, {"reasoning_effort": "max"}, ()),
        # hints that a host refuses
        (
            "mistral-small",
            "api.mistral.ai",
            {"store": True, "user": "u", "parallel_tool_calls": True},
            {"parallel_tool_calls": True},
            (),
        ),
        ("llama-3", "api.groq.com", {"metadata": {"a": "b"}, "top_k": 3}, {}, ("top_k",)),
        # needs are never left out
        ("gpt-5", None, {"stop": ["END"], "n": 2, "logprobs": True}, {"stop": ["END"], "n": 2, "logprobs": True}, ()),
    ],
)
def test_chat_bodies(model, host, asked, sent, changes):
    assert fit({"messages": HI, **asked}, model, host=host) == ({"messages": HI, **sent}, changes)


ADAPTIVE = {"type": "adaptive"}
LOOP = [*HI, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}]


@pytest.mark.parametrize(
    ("model", "asked", "sent", "changes"),
    [
        ("claude-sonnet-4-5", {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, ("top_p",)),
        ("claude-sonnet-4-0", {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2, "top_p": 0.9}, ()),
        ("claude-opus-4-8", {"temperature": 0.2, "top_p": 1, "top_k": 5}, {}, ("temperature", "top_k")),
        ("deepseek-chat", {"temperature": 1.5}, {"temperature": 1.5}, ()),
        # an effort is a budget up to 4.5: medium is half, of 8,000 tokens 4,000; the temperature is 1 while it thinks
        (
            "claude-haiku-4-5",
            {"thinking": ADAPTIVE, "output_config": {"effort": "medium"}, "temperature": 0.2, "top_k": 3},
            {"thinking": {"type": "enabled", "budget_tokens": 4000}},
            ("temperature", "top_k"),
        ),
        ("claude-haiku-4-5", {"output_config": {"effort": "low"}}, {}, ("reasoning_effort",)),
        ("claude-haiku-4-5", {"thinking": ADAPTIVE, "messages": LOOP}, {"messages": LOOP}, ("thinking",)),
        (
            "claude-sonnet-4-5",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "messages": LOOP},
            {"messages": LOOP},
            ("thinking",),
        ),
        ("claude-haiku-4-5", {"thinking": ADAPTIVE, "max_tokens": 1000}, {"max_tokens": 1000}, ("thinking",)),
        # a budget is an effort from 4.7 on: 4,500 of 8,000 tokens are nearer to a half than to four fifths
        (
            "claude-opus-4-7",
            {"thinking": {"type": "enabled", "budget_tokens": 4500}},
            {"thinking": ADAPTIVE, "output_config": {"effort": "medium"}},
            (),
        ),
        ("claude-opus-4-6", {"thinking": {"type": "enabled", "budget_tokens": 4500}}, None, ()),
        (
            "claude-opus-4-6",
            {"output_config": {"effort": "xhigh"}},
            {"output_config": {"effort": "high"}},
            ("reasoning_effort=high",),
        ),
        ("claude-opus-4-7", {"thinking": ADAPTIVE, "output_config": {"effort": "xhigh"}}, None, ()),
        (
            "claude-haiku-4-5",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "tool_choice": {"type": "any"}},
            {"tool_choice": {"type": "any"}},
            ("thinking",),
        ),
        ("claude-opus-4-7", {"thinking": ADAPTIVE, "tool_choice": {"type": "any"}}, None, ()),
        ("claude-sonnet-5", {"thinking": {"type": "disabled"}}, None, ()),
        ("claude-sonnet-5-5", {"thinking": {"type": "disabled"}}, {"output_config": {"effort": "low"}}, ("thinking",)),
        ("claude-sonnet-5", {"thinking": {"type": "adaptive", "display": "omitted"}, "new": [1]}, None, ()),
    ],
)
def test_messages_bodies(model, asked, sent, changes):
    """None: the body stays as it is."""
    body = {"messages": HI, "max_tokens": 8000, **asked}
    assert fit(body, model, Kind.ANTHROPIC) == (
        {"messages": HI, "max_tokens": 8000, **(asked if sent is None else sent)},
        changes,
    )


@pytest.mark.parametrize(("limit", "expected"), [(None, 4096), (64_000, 64_000)])
def test_anthropic_is_told_a_limit_where_the_caller_has_none(limit, expected):
    body, changes = fit({"messages": HI}, "claude-sonnet-5", Kind.ANTHROPIC, limit=limit)
    assert (body["max_tokens"], changes) == (expected, ())


@pytest.mark.parametrize(
    ("kind", "body", "sent"),
    [
        (Kind.OPENAI, {"max_tokens": 9000}, {"max_tokens": 8192}),
        (Kind.ANTHROPIC, {"max_tokens": 9000}, {"max_tokens": 8192}),
        (Kind.GEMINI, {"generationConfig": {"maxOutputTokens": 9000}}, {"generationConfig": {"maxOutputTokens": 8192}}),
        (Kind.GEMINI, {"generation_config": {"maxOutputTokens": 9}}, {"generation_config": {"maxOutputTokens": 9}}),
    ],
)
def test_a_limit_is_at_most_what_the_model_can_write(kind, body, sent):
    changes = () if body == sent else ("max_tokens=8192",)
    assert fit(body, "m", kind, limit=8192) == (sent, changes)


def thinking(**config):
    return {"generationConfig": {"thinkingConfig": config}}


@pytest.mark.parametrize(
    ("model", "asked", "sent", "changes"),
    [
        (
            "gemini-2.5-flash",
            thinking(thinkingLevel="MEDIUM", includeThoughts=True),
            thinking(includeThoughts=True, thinkingBudget=8192),
            (),
        ),
        ("gemini-3-flash", thinking(thinkingLevel="MEDIUM"), thinking(thinkingLevel="MEDIUM"), ()),
        (
            "gemini-3-pro-preview",
            thinking(thinkingLevel="MEDIUM"),
            thinking(thinkingLevel="LOW"),
            ("reasoning_effort=low",),
        ),
        ("gemini-3.1-pro", thinking(thinkingLevel="MINIMAL"), thinking(thinkingLevel="LOW"), ("reasoning_effort=low",)),
        ("gemini-3-flash", thinking(thinkingLevel="XHIGH"), thinking(thinkingLevel="HIGH"), ("reasoning_effort=high",)),
        ("gemini-2.5-flash", thinking(thinkingBudget=0), thinking(thinkingBudget=0), ()),
        ("gemini-2.5-pro", thinking(thinkingBudget=0), thinking(thinkingBudget=1024), ("reasoning_effort=minimal",)),
        (
            "gemini-3-flash",
            thinking(thinkingBudget=0),
            thinking(thinkingLevel="MINIMAL"),
            ("reasoning_effort=minimal",),
        ),
        ("gemini-3-pro", thinking(thinkingBudget=500), thinking(thinkingBudget=500), ()),
        ("gemini-2.0-flash", thinking(thinkingLevel="LOW"), {"generationConfig": {}}, ("reasoning_effort",)),
        ("gemma-3", thinking(thinkingLevel="LOW"), thinking(thinkingLevel="LOW"), ()),
    ],
)
def test_generate_bodies(model, asked, sent, changes):
    assert fit(asked, model, Kind.GEMINI) == (sent, changes)


@pytest.mark.parametrize(
    ("model", "signatures", "expected"),
    [
        ("gemini-3-pro-preview", (None, None), (UNCHECKED_SIGNATURE, None)),
        ("gemini-3-pro-preview", ("c2ln", None), ("c2ln", None)),
        ("gemini-2.5-flash", (None, None), (None, None)),
        ("gemma-3-27b-it", (None,), (None,)),
    ],
)
def test_calls_of_other_models_are_signed_where_gemini_insists(model, signatures, expected):
    """Also those of Google's own callers: another model may have answered before."""

    def calls(signed):
        parts = [
            {"functionCall": {"name": f"f{i}"}} | ({"thoughtSignature": one} if one else {})
            for i, one in enumerate(signed)
        ]
        return {"contents": [{"role": "model", "parts": [{"text": "t"}, *parts]}]}

    assert fit(calls(signatures), model, Kind.GEMINI)[0] == calls(expected)


THOUGHT = {"type": "redacted_thinking", "data": "x"}
ENCRYPTED = {"type": "reasoning.encrypted", "format": "openai-responses-v1", "data": "x"}
SIGNED = {"type": "reasoning.text", "format": "anthropic-claude-v1", "text": "t", "signature": "s"}
PLAIN = {"type": "reasoning.text", "text": "t"}
GOOGLES = {"google": {"thought_signature": "c2ln"}}


@pytest.mark.parametrize(
    ("model", "host", "written", "kept"),
    [
        ("deepseek-chat", "api.deepseek.com", {"reasoning_content": "hm"}, {"reasoning_content": "hm"}),
        ("my-model", None, {"reasoning": "hm"}, {"reasoning": "hm"}),
        ("gpt-5", None, {"reasoning_content": "hm", "reasoning": "hm"}, {}),
        ("mistral-small", None, {"reasoning_content": "hm"}, {}),
        ("openai/gpt-oss-120b", "api.groq.com", {"reasoning_content": "hm", "reasoning_details": [PLAIN]}, {}),
        (
            "openai/gpt-5",
            "openrouter.ai",
            {"reasoning_details": [ENCRYPTED, SIGNED]},
            {"reasoning_details": [ENCRYPTED]},
        ),
        (
            "anthropic/claude-sonnet-5",
            "openrouter.ai",
            {"reasoning_details": [ENCRYPTED, SIGNED]},
            {"reasoning_details": [SIGNED]},
        ),
        ("claude-sonnet-5", None, {"thinking_blocks": [1]}, {"thinking_blocks": [1]}),
        (
            "kimi-k2",
            None,
            {"thinking_blocks": [1], "reasoning_details": [SIGNED, PLAIN]},
            {"reasoning_details": [PLAIN]},
        ),
        ("gemini-3-pro", None, {"extra_content": GOOGLES}, {"extra_content": GOOGLES}),
        (
            "gpt-4o",
            None,
            {"extra_content": GOOGLES, "tool_calls": [{"id": "1", "extra_content": GOOGLES}]},
            {"tool_calls": [{"id": "1"}]},
        ),
    ],
)
def test_a_model_reads_its_own_vendors_reasoning_and_no_others(model, host, written, kept):
    said = {"role": "assistant", "content": "yes"}
    body, changes = fit({"messages": [*HI, {**said, **written}]}, model, host=host)
    assert (body["messages"][1], changes) == ({**said, **kept}, ())


@pytest.mark.parametrize(
    ("model", "role"),
    [("gpt-5", "developer"), ("o3", "developer"), ("deepseek-chat", "system"), ("my-model", "system")],
)
def test_a_developer_is_the_system_where_that_role_is_not_known(model, role):
    body, _ = fit({"messages": [{"role": "developer", "content": "Be brief."}]}, model)
    assert body["messages"] == [{"role": role, "content": "Be brief."}]


@pytest.mark.parametrize(
    ("model", "signature", "is_kept"),
    [
        ("claude-sonnet-5", "Eq+/MA==", True),
        ("claude-sonnet-5", "", False),
        ("claude-sonnet-5", "reasoning_content", False),
        ("claude-sonnet-5", '{"encrypted_content": "x"}', False),
        ("kimi-k2", "reasoning_content", True),
        ("kimi-k2", None, False),
    ],
)
def test_thinking_that_a_models_vendor_did_not_sign_stays_here(model, signature, is_kept):
    """A message of nothing else goes with it."""
    thought, words = {"type": "thinking", "thinking": "a", "signature": signature}, {"type": "text", "text": "c"}
    turns = [{"role": "assistant", "content": [thought, words]}, {"role": "assistant", "content": [thought]}]
    body, _ = fit({"messages": turns, "max_tokens": 9}, model, Kind.ANTHROPIC)
    assert body["messages"] == (turns if is_kept else [{"role": "assistant", "content": [words]}])


@pytest.mark.parametrize(
    ("kind", "refused", "asked", "sent", "changes"),
    [
        (Kind.OPENAI, {"temperature"}, {"temperature": 1}, {}, ()),
        (Kind.OPENAI, {"temperature"}, {"temperature": 0.5}, {"temperature": 0.5}, ()),
        (Kind.OPENAI, {"user", "n"}, {"user": "u", "n": 2}, {"n": 2}, ()),
        (Kind.OPENAI, {"parallel_tool_calls"}, {"parallel_tool_calls": False}, {}, ()),
        (Kind.OPENAI, {"parallel_tool_calls"}, {"parallel_tool_calls": False, "tools": [{}]}, None, ()),
        (Kind.OPENAI, {"limit:max_completion_tokens"}, {"max_tokens": 9}, {"max_completion_tokens": 9}, ()),
        (Kind.OPENAI, {"limit:max_tokens"}, {"max_completion_tokens": 9}, {"max_tokens": 9}, ()),
        (
            Kind.OPENAI,
            {"reasoning_history"},
            {"messages": [{"role": "assistant", "reasoning": "hm"}]},
            {"messages": [{"role": "assistant"}]},
            (),
        ),
        (
            Kind.ANTHROPIC,
            {"reasoning_history"},
            {"messages": [{"role": "assistant", "content": [THOUGHT]}, *LOOP], "max_tokens": 9},
            {"messages": LOOP, "max_tokens": 9},
            (),
        ),
        (Kind.ANTHROPIC, {"metadata"}, {"metadata": {"user_id": "u"}, "max_tokens": 9}, {"max_tokens": 9}, ()),
        (Kind.GEMINI, {"top_p"}, {"generationConfig": {"topP": 1, "topK": 3}}, {"generationConfig": {"topK": 3}}, ()),
        (Kind.GEMINI, {"n"}, {"generation_config": {"candidate_count": 1}}, {}, ()),
    ],
)
def test_what_was_refused_is_left_out_where_that_changes_nothing(kind, refused, asked, sent, changes):
    """None: the body stays as it is."""
    assert fit(asked, "my-model", kind, refused=refused) == (asked if sent is None else sent, changes)


@pytest.mark.parametrize(
    ("kind", "asked", "dropped"),
    [
        (
            Kind.ANTHROPIC,
            {"seed": 1, "presence_penalty": 0.5, "min_p": 0, "verbosity": "low"},
            ("presence_penalty", "seed", "verbosity"),
        ),
        (Kind.GEMINI, {"seed": 1, "presence_penalty": 0.5, "min_p": 0.1, "repetition_penalty": 1}, ("min_p",)),
        (Kind.OPENAI, {"seed": 1, "min_p": 0.1}, ()),
    ],
)
def test_preferences_that_a_format_has_no_word_for_are_told_and_left_out(kind, asked, dropped):
    call = Call(Surface.CHAT, {"messages": HI, **asked})
    request = adapter_for(Surface.CHAT, kind).request(call, target("my-model", kind), None)
    assert request.changes == dropped
    assert not [name for name in dropped if name in request.content.decode()]


def test_any_json_object_is_offered_and_not_forced_where_no_tool_can_be():
    call = Call(Surface.CHAT, {"messages": HI, "response_format": {"type": "json_object"}})
    request = adapter_for(Surface.CHAT, Kind.ANTHROPIC).request(call, target("claude-sonnet-5-5", Kind.ANTHROPIC), None)
    assert orjson.loads(request.content)["tool_choice"]["type"] == "auto"
    assert request.changes == ("response_format",)


def test_echo_and_embeddings_are_not_fitted():
    body = {"input": "a", "temperature": 0.2, "max_tokens": 9}
    call = Call(Surface.EMBEDDINGS, body)
    sent = adapter_for(Surface.EMBEDDINGS, Kind.OPENAI).request(call, target("gpt-5"), None)
    assert orjson.loads(sent.content) == {**body, "model": "gpt-5"}
    assert fit(body, "gpt-5", Kind.ECHO) == (body, ())


VALUES = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.just({}) | st.just([]) | st.just([{}])
)
NAMES = sorted({path for one in PARAMETERS for path in (*one.chat, *one.messages, *one.generate) if "." not in path})
MODELS = ["gpt-5", "gpt-4o", "claude-haiku-4-5", "claude-sonnet-5-5", "gemini-2.5-pro", "gemini-3-pro", "my-model"]


@given(
    body=st.dictionaries(
        st.sampled_from([*NAMES, "messages", "generationConfig", "output_config"]), VALUES, max_size=6
    ),
    model=st.sampled_from(MODELS),
    kind=st.sampled_from([Kind.OPENAI, Kind.ANTHROPIC, Kind.GEMINI]),
    refused=st.sets(st.sampled_from([one.name for one in PARAMETERS])),
)
def test_any_body_can_be_fitted_again_and_stays_the_callers(body, model, kind, refused):
    """Fitting twice is fitting once, and the caller's body is not touched: the next candidate gets it."""
    before = orjson.dumps(body)
    once = fitted(body, target(model, kind), refused=refused)
    assert orjson.dumps(body) == before
    assert fitted(once.body, target(model, kind), refused=refused) == type(once)(once.body)


def test_the_table_names_what_there_is():
    """Rows drop hints and preferences alone, lack needs alone, and say where the fact is from, and of when."""
    weights = {one.name: one.weight for one in PARAMETERS}
    for row in (*FAMILIES, *HOSTS):
        assert Weight.NEED not in {weights[name] for name in row.drops}
        assert {weights[name] for name in row.lacks} <= {Weight.NEED}
        assert (row.source[:8], row.as_of[:2]) == ("https://", "20")
    assert {weights[name] for names in BY_KIND.values() for name in names} == {Weight.PREFERENCE}
    assert len({row.name for row in FAMILIES}) == len(FAMILIES)


def test_the_documentation_shows_the_table():
    docs = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
    shown = docs.partition("<!-- fitting -->\n")[2].partition("\n<!-- /fitting -->")[0]
    assert shown == described()
