"""The same questions, asked by the official SDKs: of OpenAI, of Anthropic and of Google.

A case takes a client and a model and returns what an application would look at, without what differs by nature: ids,
the model's name, times, and what the router adds to the usage.
"""

import base64
import json
from typing import Any

import pydantic

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n scripted pixel").decode()
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"name": "get_weather", "description": "The weather of a city.", "parameters": SCHEMA}
LIMIT = {"max_tokens": 100}


class Chat:
    """OpenAI's SDK."""

    kind = "openai"

    @staticmethod
    def client(url: str, key: str, **options: Any) -> Any:
        import openai

        return openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=20, **options)

    @staticmethod
    def seen(answer: Any) -> dict[str, Any]:
        usage = answer.usage
        return {
            "choices": [
                (
                    choice.index,
                    choice.message.content,
                    _calls(choice.message.tool_calls),
                    choice.finish_reason,
                    [token.logprob for token in choice.logprobs.content] if choice.logprobs else None,
                )
                for choice in answer.choices
            ],
            "usage": (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens),
        }

    @classmethod
    def ask(cls, client: Any, model: str, content: Any = "What is 6 times 7?", **more: Any) -> dict[str, Any]:
        messages = more.pop("messages", [{"role": "user", "content": content}])
        return cls.seen(client.chat.completions.create(model=model, messages=messages, **(LIMIT | more)))

    @classmethod
    def text(cls, client: Any, model: str) -> Any:
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "One."},
            {"role": "user", "content": "And two, d'accord? 🎲"},
        ]
        return cls.ask(client, model, messages=messages, temperature=0.5)

    @classmethod
    def stream(cls, client: Any, model: str, **more: Any) -> Any:
        given = {"messages": [{"role": "user", "content": "Count."}], "stream_options": {"include_usage": True}}
        chunks = list(client.chat.completions.create(model=model, stream=True, **(LIMIT | given | more)))
        texts: dict[int, str] = {}
        reasons: dict[int, str] = {}
        calls: list[list[str]] = []
        for choice in (one for chunk in chunks for one in chunk.choices):
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                assert choice.index not in reasons, "two ends of one choice"
                reasons[choice.index] = choice.finish_reason
            for call in choice.delta.tool_calls or []:
                if call.function.name:
                    calls.append([call.function.name, ""])
                calls[call.index][1] += call.function.arguments or ""
        usages = [chunk.usage for chunk in chunks if chunk.usage]
        assert len(usages) == 1, "one chunk has the usage"
        assert not chunks[-1].choices, "the usage comes on a chunk of its own, where it was asked for"
        return texts, reasons, _parsed(calls), usages[0].prompt_tokens, usages[0].completion_tokens

    @classmethod
    def tools(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, "Paris, please.", tools=[{"type": "function", "function": WEATHER}])

    @classmethod
    def forced_tool(cls, client: Any, model: str) -> Any:
        other = {"type": "function", "function": WEATHER | {"name": "other"}}
        forced = {"type": "function", "function": {"name": "get_weather"}}
        tools = [other, {"type": "function", "function": WEATHER}]
        return cls.ask(client, model, "Oslo.", tools=tools, tool_choice=forced)

    @classmethod
    def tools_streamed(cls, client: Any, model: str) -> Any:
        return cls.stream(client, model, tools=[{"type": "function", "function": WEATHER}])

    @classmethod
    def tool_results(cls, client: Any, model: str) -> Any:
        function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
        other = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
        messages = [
            {"role": "user", "content": "Paris and Oslo."},
            {
                "role": "assistant",
                "content": "A moment.",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": function},
                    {"id": "call_2", "type": "function", "function": other},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "21 C"},
            {"role": "tool", "tool_call_id": "call_2", "content": "9 C"},
        ]
        return cls.ask(client, model, messages=messages, tools=[{"type": "function", "function": WEATHER}])

    @classmethod
    def vision(cls, client: Any, model: str) -> Any:
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        return cls.ask(client, model, [{"type": "text", "text": "What is it?"}, image])

    @classmethod
    def structured(cls, client: Any, model: str) -> Any:
        form = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
        answer = cls.ask(client, model, "Where?", response_format=form)
        return json.loads(answer["choices"][0][1])["city"]

    @classmethod
    def stop(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, stop=["END", "FIN"])

    @classmethod
    def several(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, n=2)

    @classmethod
    def several_streamed(cls, client: Any, model: str) -> Any:
        return cls.stream(client, model, n=2)

    @classmethod
    def logprobs(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, logprobs=True)


class Responses:
    """OpenAI's SDK, asking for Responses."""

    kind = "openai-responses"
    client = Chat.client

    @staticmethod
    def seen(answer: Any) -> dict[str, Any]:
        usage = answer.usage
        items = [
            (item.type, [(part.type, part.text, [one.logprob for one in part.logprobs or []]) for part in item.content])
            if item.type == "message"
            else (item.type, item.name, json.loads(item.arguments))
            for item in answer.output
        ]
        return {
            "output": items,
            "status": (answer.status, answer.object, answer.error, answer.incomplete_details),
            "usage": (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens),
        }

    @classmethod
    def ask(cls, client: Any, model: str, said: Any = "What is 6 times 7?", **more: Any) -> dict[str, Any]:
        return cls.seen(client.responses.create(model=model, input=said, max_output_tokens=100, **more))

    @classmethod
    def text(cls, client: Any, model: str) -> Any:
        said = [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "One."},
            {"role": "user", "content": "And two, d'accord? 🎲"},
        ]
        return cls.ask(client, model, said, instructions="Be brief.", temperature=0.5)

    @classmethod
    def stream(cls, client: Any, model: str, said: Any = "Count.", **more: Any) -> Any:
        """The SDK puts the events together, which it does not do with a wrong order of them."""
        with client.responses.stream(model=model, input=said, max_output_tokens=100, **more) as events:
            listed = list(events)
            final = events.get_final_response()
        kinds = [event.type for event in listed]
        assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
        assert kinds[-2:] == ["response.output_item.done", "response.completed"]
        assert [event.sequence_number for event in listed] == list(range(len(listed)))
        deltas = [event.delta for event in listed if event.type.endswith(".delta")]
        done = next(event for event in listed if event.type.endswith(("text.done", "arguments.done")))
        assert "".join(deltas) == getattr(done, "text", None) or "".join(deltas) == done.arguments
        return cls.seen(final), sorted(set(kinds))

    @classmethod
    def tools(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, "Paris, please.", tools=[cls._tool()])

    @classmethod
    def forced_tool(cls, client: Any, model: str) -> Any:
        tools = [cls._tool() | {"name": "other"}, cls._tool()]
        return cls.ask(client, model, "Oslo.", tools=tools, tool_choice={"type": "function", "name": "get_weather"})

    @staticmethod
    def _tool() -> dict[str, Any]:
        return {"type": "function", **WEATHER, "strict": True}

    @classmethod
    def tools_streamed(cls, client: Any, model: str) -> Any:
        return cls.stream(client, model, tools=[cls._tool()])

    @classmethod
    def tool_results(cls, client: Any, model: str) -> Any:
        called = [
            {
                "type": "function_call",
                "call_id": call_id,
                "name": "get_weather",
                "arguments": json.dumps({"city": city}),
            }
            for call_id, city in (("call_0", "Paris"), ("call_1", "Oslo"))
        ]
        results = [
            {"type": "function_call_output", "call_id": "call_0", "output": "21 C"},
            {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "9 C"}]},
        ]
        said = [{"role": "user", "content": "Paris and Oslo."}, {"role": "assistant", "content": "A moment."}]
        return cls.ask(client, model, [*said, *called, *results], tools=[cls._tool()])

    @classmethod
    def vision(cls, client: Any, model: str) -> Any:
        image = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}
        return cls.ask(
            client, model, [{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, image]}]
        )

    @classmethod
    def structured(cls, client: Any, model: str) -> Any:
        class Place(pydantic.BaseModel):
            city: str

        return client.responses.parse(
            model=model, input="Where?", text_format=Place, max_output_tokens=100
        ).output_parsed.city

    @classmethod
    def logprobs(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, include=["message.output_text.logprobs"])


class Messages:
    """Anthropic's SDK."""

    kind = "anthropic"

    @staticmethod
    def client(url: str, key: str, **options: Any) -> Any:
        import anthropic

        return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=20, **options)

    @staticmethod
    def seen(answer: Any) -> dict[str, Any]:
        usage = answer.usage
        blocks = [
            (block.type, block.text) if block.type == "text" else (block.type, block.name, block.input)
            for block in answer.content
        ]
        return {
            "content": blocks,
            "reason": answer.stop_reason,
            "usage": (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens),
        }

    @classmethod
    def ask(cls, client: Any, model: str, content: Any = "What is 6 times 7?", **more: Any) -> Any:
        messages = more.pop("messages", [{"role": "user", "content": content}])
        return cls.seen(client.messages.create(model=model, messages=messages, **(LIMIT | more)))

    @classmethod
    def text(cls, client: Any, model: str) -> Any:
        messages = [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "One."},
            {"role": "user", "content": "And two, d'accord? 🎲"},
        ]
        return cls.ask(client, model, messages=messages, system="Be brief.", extra_body={"temperature": 0.5})

    @classmethod
    def stream(cls, client: Any, model: str, **more: Any) -> Any:
        given = {"messages": [{"role": "user", "content": "Count."}]}
        with client.messages.stream(model=model, **(LIMIT | given | more)) as events:
            kinds = [event.type for event in events]
            answer = cls.seen(events.get_final_message())
        assert kinds[0] == "message_start"
        assert kinds[-1] == "message_stop"
        assert kinds.count("message_delta") == 1
        return answer

    @classmethod
    def tools(cls, client: Any, model: str, **more: Any) -> Any:
        return cls.ask(client, model, "Paris, please.", tools=[cls._tool()], **more)

    @classmethod
    def forced_tool(cls, client: Any, model: str) -> Any:
        tools = [cls._tool() | {"name": "other"}, cls._tool()]
        return cls.ask(client, model, "Oslo.", tools=tools, tool_choice={"type": "tool", "name": "get_weather"})

    @staticmethod
    def _tool() -> dict[str, Any]:
        return {"name": "get_weather", "description": "The weather of a city.", "input_schema": SCHEMA}

    @classmethod
    def tools_streamed(cls, client: Any, model: str) -> Any:
        return cls.stream(client, model, tools=[cls._tool()])

    @classmethod
    def tool_results(cls, client: Any, model: str) -> Any:
        uses = [
            {"type": "tool_use", "id": f"toolu_{city}", "name": "get_weather", "input": {"city": city}}
            for city in ("Paris", "Oslo")
        ]
        results = [
            {"type": "tool_result", "tool_use_id": "toolu_Paris", "content": "21 C"},
            {"type": "tool_result", "tool_use_id": "toolu_Oslo", "content": [{"type": "text", "text": "9 C"}]},
        ]
        messages = [
            {"role": "user", "content": "Paris and Oslo."},
            {"role": "assistant", "content": [{"type": "text", "text": "A moment."}, *uses]},
            {"role": "user", "content": results},
        ]
        return cls.ask(client, model, messages=messages, tools=[cls._tool()])

    @classmethod
    def vision(cls, client: Any, model: str) -> Any:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        return cls.ask(client, model, [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}])

    @classmethod
    def stop(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, stop_sequences=["END", "FIN"])

    @classmethod
    def structured(cls, client: Any, model: str) -> Any:
        form = {"format": {"type": "json_schema", "schema": SCHEMA}}
        answer = cls.ask(client, model, "Where?", output_config=form)
        return json.loads(answer["content"][0][1])["city"]


class Generate:
    """Google's SDK."""

    kind = "gemini"

    @staticmethod
    def client(url: str, key: str, **options: Any) -> Any:
        from google import genai

        return genai.Client(
            api_key=key,
            vertexai=False,
            http_options={"base_url": url, "api_version": "v1beta", "timeout": 20_000} | options,
        )

    @staticmethod
    def seen(answer: Any) -> dict[str, Any]:
        usage = answer.usage_metadata
        return {
            "candidates": [
                (
                    one.index or 0,
                    [
                        part.text or (part.function_call.name, part.function_call.args)
                        for part in one.content.parts or []
                        if part.text or part.function_call
                    ],
                    one.finish_reason.name,
                )
                for one in answer.candidates
            ],
            "usage": (usage.prompt_token_count, usage.cached_content_token_count, usage.candidates_token_count),
        }

    @classmethod
    def ask(cls, client: Any, model: str, contents: Any = "What is 6 times 7?", **config: Any) -> Any:
        given = {"max_output_tokens": 100, "automatic_function_calling": {"disable": True}} | config
        return cls.seen(client.models.generate_content(model=model, contents=contents, config=given))

    @classmethod
    def text(cls, client: Any, model: str) -> Any:
        contents = [
            {"role": "user", "parts": [{"text": "One?"}]},
            {"role": "model", "parts": [{"text": "One."}]},
            {"role": "user", "parts": [{"text": "And two, d'accord? 🎲"}]},
        ]
        return cls.ask(client, model, contents, system_instruction="Be brief.", temperature=0.5)

    @classmethod
    def stream(cls, client: Any, model: str, **config: Any) -> Any:
        given = {"max_output_tokens": 100, "automatic_function_calling": {"disable": True}} | config
        chunks = list(client.models.generate_content_stream(model=model, contents="Count.", config=given))
        parts = [part for chunk in chunks for one in chunk.candidates or [] for part in one.content.parts or []]
        reasons = [one.finish_reason.name for chunk in chunks for one in chunk.candidates or [] if one.finish_reason]
        usage = chunks[-1].usage_metadata
        return (
            "".join(part.text or "" for part in parts),
            [(part.function_call.name, part.function_call.args) for part in parts if part.function_call],
            reasons,
            usage.prompt_token_count,
            usage.candidates_token_count,
        )

    @staticmethod
    def _tools(*names: str) -> dict[str, Any]:
        declared = [
            {"name": name, "description": WEATHER["description"], "parameters_json_schema": SCHEMA} for name in names
        ]
        return {"tools": [{"function_declarations": declared}]}

    @classmethod
    def tools(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, "Paris, please.", **cls._tools("get_weather"))

    @classmethod
    def forced_tool(cls, client: Any, model: str) -> Any:
        calling = {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["get_weather"]}}
        return cls.ask(client, model, "Oslo.", tool_config=calling, **cls._tools("other", "get_weather"))

    @classmethod
    def tools_streamed(cls, client: Any, model: str) -> Any:
        return cls.stream(client, model, **cls._tools("get_weather"))

    @classmethod
    def tool_results(cls, client: Any, model: str) -> Any:
        calls = [{"function_call": {"name": "get_weather", "args": {"city": city}}} for city in ("Paris", "Oslo")]
        results = [
            {"function_response": {"name": "get_weather", "response": {"result": text}}} for text in ("21 C", "9 C")
        ]
        contents = [
            {"role": "user", "parts": [{"text": "Paris and Oslo."}]},
            {"role": "model", "parts": [{"text": "A moment."}, *calls]},
            {"role": "user", "parts": results},
        ]
        return cls.ask(client, model, contents, **cls._tools("get_weather"))

    @classmethod
    def vision(cls, client: Any, model: str) -> Any:
        image = {"inline_data": {"mime_type": "image/png", "data": base64.b64decode(PIXEL)}}
        return cls.ask(client, model, [{"role": "user", "parts": [{"text": "What is it?"}, image]}])

    @classmethod
    def stop(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, stop_sequences=["END", "FIN"])

    @classmethod
    def structured(cls, client: Any, model: str) -> Any:
        config = {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
        answer = cls.ask(client, model, "Where?", **config)
        return json.loads(answer["candidates"][0][1][0])["city"]

    @classmethod
    def several(cls, client: Any, model: str) -> Any:
        return cls.ask(client, model, candidate_count=2)


def _calls(calls: Any) -> list[tuple[str, Any]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls or []]


def _parsed(calls: list[list[str]]) -> list[tuple[str, Any]]:
    return [(name, json.loads(arguments)) for name, arguments in calls]


SURFACES = {"chat": Chat, "responses": Responses, "messages": Messages, "generate": Generate}
CASES = (
    "text",
    "stream",
    "tools",
    "forced_tool",
    "tools_streamed",
    "tool_results",
    "vision",
    "structured",
    "stop",
    "several",
    "several_streamed",
    "logprobs",
)
