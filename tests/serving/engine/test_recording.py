import asyncio
import hashlib
import json
from dataclasses import replace

import numpy as np
import orjson
import pytest
from simulated_world import POEM, SUM

from router_model.features import Prompt, load_encoder
from router_model.features.bag import count_terms
from router_model.features.featuriser import featurise
from router_model.features.logged import new_key_file, pack, unpack
from router_model.saved.artifact import prompt_hash
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import PromptStorage, Settings
from router_model.serving.decision_log.rows import json_bytes, record_of, row_of
from router_model.serving.engine.recording import (
    PendingDecision,
    PromptVolume,
    UnsealedFeatures,
    log_keys,
    prompt_storage,
)

PLENTY = PromptVolume(10**9)


@pytest.fixture
def decided(bench, query):
    """A decision and what was asked."""

    async def main():
        async with bench() as b:
            asked = query(SUM, user_id="u", session_id="s", surface="plano", target_success=0.6)
            return asked, await b.engine.decide(asked), b.log.decisions[0]

    return asyncio.run(main())


def test_a_record_says_what_was_answered(decided):
    asked, routed, record = decided
    assert [one.model for one in record.candidates] == [step.model for step in routed.plan]
    first, step = record.candidates[0], routed.plan[0]
    assert (first.p_success, first.expected_cost_usd, first.propensity) == (step.p_success, step.expected_cost_usd, 1.0)
    assert (first.p_low, first.p_high) == step.p_interval
    assert (record.decision_id, record.model, record.reason) == (routed.decision_id, "small", "cheapest_above_bar")
    assert (record.user_id, record.session_id, record.key_id, record.surface) == ("u", "s", "key", "plano")
    assert (record.target_success, record.threshold, record.success_value_usd) == (0.6, 0.6, None)
    assert record.prompt_sha256 == hashlib.sha256(SUM.encode()).hexdigest()
    assert json.loads(record.messages) == asked.body["messages"]
    assert sum(one.propensity for one in record.candidates) == 1
    assert (record.shadow, record.degraded, record.certified) == (False, False, False)


@pytest.mark.parametrize(
    ("storage", "has_hash", "has_text"),
    [(PromptStorage.FULL, True, True), (PromptStorage.HASH, True, False), (PromptStorage.NONE, False, False)],
)
def test_prompts_are_kept_as_the_setting_says(decided, storage, has_hash, has_text):
    asked, routed, _ = decided
    pending = PendingDecision.of(asked, routed, Prompt.parse(asked.body), storage, PLENTY)
    record = pending.record()
    assert (record.prompt_sha256 is not None, record.messages is not None) == (has_hash, has_text)
    assert has_text or "subtract" not in repr(record) + repr(pending)


def test_what_else_was_asked_is_kept_as_the_setting_says(decided):
    """The type of a turn and the longest answer are no text of the caller's."""
    asked, routed, _ = decided
    tool = {"type": "function", "function": {"name": "add"}}
    form = {"type": "json_schema", "json_schema": {"name": "sum"}}
    said = {"tools": [tool], "response_format": form, "max_tokens": 64, "max_completion_tokens": 128}
    asked = replace(asked, body=asked.body | said)
    full, hashed = (
        PendingDecision.of(asked, replace(routed, turn="title"), Prompt.parse(asked.body), storage, PLENTY).record()
        for storage in (PromptStorage.FULL, PromptStorage.HASH)
    )
    assert (full.turn_type, full.max_output_tokens) == (hashed.turn_type, hashed.max_output_tokens) == ("title", 128)
    assert (json.loads(full.tools), json.loads(full.response_format)) == ([tool], form)
    assert (hashed.tools, hashed.response_format) == (None, None)
    little = PromptVolume(len(full.messages) + 10)
    beyond = PendingDecision.of(asked, routed, Prompt.parse(asked.body), PromptStorage.FULL, little).record()
    assert (beyond.messages, beyond.tools) == (None, None)


@pytest.mark.parametrize(
    ("host", "storage"),
    [
        *[(host, "full") for host in ("127.0.0.1", "::1", "[::1]", "localhost", "127.3.2.1")],
        *[(host, "hash") for host in ("0.0.0.0", "::", "10.0.0.1", "example.org")],
    ],
)
def test_prompts_are_kept_in_full_on_loopback_only(host, storage):
    assert prompt_storage(Settings(artifact="a", host=host)) == storage
    assert prompt_storage(Settings(artifact="a", host=host, log_prompts="none")) == "none"


@pytest.fixture
def keys(tmp_path):
    return new_key_file(tmp_path / "log.key")


async def test_features_are_kept_sealed_and_are_those_that_were_decided_by(bench, query, keys):
    """No text and no hash of it is kept beside them. A default plan has none, as nothing was computed."""

    def fails(*_args, **_fields):
        raise ValueError("broken")

    async with bench(log_prompts="features", log_key=keys.origin) as b:
        await b.engine.decide(query(SUM, body={"max_tokens": 40}))
        b.replace_router(decide=fails)
        await b.engine.decide(query(SUM))
        record, degraded = b.log.decisions
    assert (record.messages, record.prompt_sha256, degraded.prompt_features) == (None, None, None)
    assert "subtract" not in repr(record)
    logged, expected = unpack(keys.open(record.prompt_features)), featurise([SUM], load_encoder("static"))
    assert (logged.text_hash, logged.needs.max_output_tokens) == (prompt_hash(SUM), 40)
    assert np.array_equal(logged.surface, expected.surface[0])
    assert np.array_equal(logged.term_codes, count_terms(expected.pieces[0])[0])


def test_features_wait_for_the_log_without_being_shown(decided, keys):
    asked, routed, _ = decided
    prompt = Prompt.parse(asked.body)
    features = featurise([prompt], load_encoder("static"))
    unsealed = UnsealedFeatures(keys, prompt, features, load_encoder("static").content_hash)
    pending = PendingDecision.of(asked, routed, prompt, PromptStorage.FEATURES, PLENTY, unsealed=unsealed)
    assert "subtract" not in repr(pending)
    assert len(pack(features, prompt, text_hash=0, encoder_hash="sha256:" + "0" * 64)) <= pending.n_chars
    none = PendingDecision.of(asked, routed, prompt, PromptStorage.FEATURES, PromptVolume(100), unsealed=unsealed)
    assert (none.n_chars, none.record().prompt_features) == (0, None)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs --log-key FILE.*log new-key FILE"),
        ({"log_key": "absent.key"}, "--log-key: absent.key: the key file cannot be read"),
        ({"artifact": None, "default_plan": ("a",), "log_key": "absent.key"}, "needs an ARTIFACT"),
    ],
)
def test_features_need_a_key_and_a_router(settings, said):
    with pytest.raises(SettingsError, match=said):
        log_keys(Settings(**{"artifact": "a", "log_prompts": "features", **settings}))
    assert log_keys(Settings(artifact="a", log_key="absent.key")) is None


def test_messages_that_are_not_quite_json_are_kept_all_the_same(decided):
    asked, routed, _ = decided
    odd = replace(asked, body={"messages": [{"role": "user", "content": "\ud800", "more": {1, 2}}]})
    with pytest.raises(TypeError):
        orjson.dumps(odd.body["messages"])
    record = PendingDecision.of(odd, routed, Prompt("x", 1), PromptStorage.FULL, PLENTY).record()
    assert json.loads(record.messages)[0]["content"] == "\ud800"


async def test_exclusions_are_recorded_by_their_codes(bench, query):
    async with bench() as b:
        await b.engine.decide(query(POEM, body={"tools": [{"type": "f"}]}))
        assert b.log.decisions[0].excluded == (("small", "tools"),)


@pytest.mark.parametrize("degraded", [False, True])
async def test_the_row_made_at_once_is_that_of_the_record(bench, query, degraded):
    """With a prompt that no database takes as it is, and with a default plan, of which nothing is predicted."""

    def fails(*_args, **_fields):
        raise ValueError("broken")

    async with bench() as b:
        if degraded:
            b.replace_router(decide=fails)
        asked = query(f"{SUM} \0", user_id="\ud800")
        pending = PendingDecision.of(asked, await b.engine.decide(asked), Prompt("x", 1), PromptStorage.FULL, PLENTY)
        kind, row = row_of(pending.record())
        assert json_bytes(pending.row()) == json_bytes(row)
        assert record_of(kind, pending.row()) == record_of(kind, row)
        assert (pending.record().candidates[0].p_success is None) == degraded
        assert pending.decision_id == row["decision_id"]


async def test_one_keys_prompts_are_kept_up_to_a_volume(bench, query):
    """Beyond it decisions are logged all the same, by the hashes of their prompts; other keys have their own."""
    async with bench(log_prompt_chars_a_minute=10 * len(SUM)) as b:
        for _ in range(12):
            await b.engine.decide(query(SUM))
        await b.engine.decide(replace(query(SUM), key_id="other"))
        *flood, last, others = b.log.decisions
        assert len(flood) == 11
        assert (flood[0].messages is not None, last.messages, others.messages is not None) == (True, None, True)
        assert {one.prompt_sha256 for one in b.log.decisions} == {hashlib.sha256(SUM.encode()).hexdigest()}
        assert b.engine.status["prompts_left_out"] == sum(one.messages is None for one in b.log.decisions)


def test_the_volume_is_that_of_a_minute():
    now = 0.0
    volume = PromptVolume(60, clock=lambda: now)
    assert [volume.takes("k", 40), volume.takes("k", 40)] == [True, False]
    now = 20.0  # a third of a minute: 20 are free again
    assert [volume.takes("k", 40), volume.takes("k", 1), volume.takes(None, 60)] == [True, False, True]
