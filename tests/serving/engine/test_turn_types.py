"""Background calls of agents, told from work, and what they do to a conversation."""

import pytest

from router_model.serving.engine.turn_types import turn_type

CLAUDE_TITLE = "Generate a concise, sentence-case title (3-7 words) that captures the main topic of this session."
COMPACT = "CRITICAL: text only.\n\nYour task is to create a detailed summary of the conversation so far, and"
TOOLS = [{"type": "function", "function": {"name": "f"}}]
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}
LOOP = [CALL, {"role": "tool", "tool_call_id": "1", "content": "64"}]


def user(text):
    return {"role": "user", "content": text}


def system(*texts):
    return {"role": "system", "content": [{"type": "text", "text": text} for text in texts]}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("work", {"messages": [user("Fix the parser.")]}),
        ("work", {"messages": [system("Be brief."), user("Write a title for my book.")], "tools": TOOLS}),
        ("work", {"messages": [user("Fix it."), *LOOP], "tools": TOOLS}),
        ("work", {"messages": [user("Fix it."), *LOOP]}),  # the last step of a loop, for which the tools are left out
        ("work", {"messages": [user("Fix it."), *LOOP, user("And now?")], "tools": TOOLS}),
        ("work", {"messages": [user("Fix it."), *LOOP, user("As JSON.")], "response_format": {"type": "json_object"}}),
        ("work", {"messages": []}),
        ("work", {"messages": [user(None), user([None, {"type": "text", "text": 3}])], "max_tokens": None}),
        ("check", {"messages": [user("quota")], "max_tokens": 1}),
        ("check", {"messages": [user("foo"), *LOOP], "tools": TOOLS, "max_completion_tokens": 1}),
        ("title", {"messages": [system("You are Claude Code.", CLAUDE_TITLE), user("fix it")], "tools": []}),
        ("title", {"messages": [system("You are a title generator. You output ONLY a thread title."), user("x")]}),
        ("compaction", {"messages": [system("You code."), user("Fix it."), *LOOP, user(COMPACT)], "tools": TOOLS}),
        ("compaction", {"messages": [user("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff")]}),
        ("summary", {"messages": [user("Fix it."), *LOOP, CALL, user("What was done?")]}),
    ],
)
def test_work_is_told_from_background_calls(kind, body):
    assert turn_type(body) == kind


POEM = user("river moon verse rhyme autumn silence wind lantern")


@pytest.mark.parametrize(
    "background",
    [
        {"said": [POEM], "body": {"max_tokens": 1}},
        {"said": [system(CLAUDE_TITLE), POEM]},
        {"said": [POEM, user(COMPACT), POEM | {"content": f"{COMPACT} {POEM['content'] * 3}"}]},
    ],
)
async def test_a_background_call_is_routed_by_itself_and_leaves_the_session_alone(bench, query, background):
    """The work goes to 'small'; poems are for 'large', and are answered by it without a session."""
    named = {"session_id": "s", "target_success": 0.6}
    async with bench() as b:
        await b.engine.decide(query(**named))
        aside = await b.engine.decide(query(**background, **named))
        assert (aside.model, aside.reason == "session", aside.session_id) == ("large", False, "s")
        b.engine.conversations.answered(aside, "coder", key_id="key", session_id="s")
        b.engine.conversations.heard(aside, "call:8f0a2b1c", key_id="key", user_id=None)
        loop = await b.engine.decide(query([POEM, *LOOP, user("Two minutes are left.")], **named))
        assert (loop.model, loop.reason) == ("small", "session")
        assert b.engine.status["sessions"]["in_memory"] == 1
