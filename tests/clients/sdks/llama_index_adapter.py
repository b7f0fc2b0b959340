"""LlamaIndex's client of servers like OpenAI's."""

import openai
from asked import HI, KEY, REFUSED, RESULT, URL, WEATHER, WHERE, error_of
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

llm = OpenAILike(
    model="auto",
    api_base=f"{URL}/v1",
    api_key=KEY,
    is_chat_model=True,
    is_function_calling_model=True,
    max_retries=0,
    timeout=20,
)


def plain():
    return llm.chat([ChatMessage(role="user", content=HI)]).message.content


def stream():
    return [one.delta for one in llm.stream_chat([ChatMessage(role="user", content=HI)]) if one.delta]


def tools():
    asked = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return RESULT

    given = [FunctionTool.from_defaults(get_weather)]
    said = [ChatMessage(role="user", content=WEATHER)]
    called = llm.chat_with_tools(given, chat_history=said)
    (call,) = llm.get_tool_calls_from_response(called)
    result = given[0](**call.tool_kwargs).content
    said += [called.message, ChatMessage(role="tool", content=result, additional_kwargs={"tool_call_id": call.tool_id})]
    return [*asked, llm.chat_with_tools(given, chat_history=said).message.content]


def structured():
    class Place(BaseModel):
        city: str

    return llm.as_structured_llm(Place).complete(WHERE).raw.city


def errors():
    return error_of(lambda: llm.chat([ChatMessage(role="user", content=REFUSED)]), openai.BadRequestError)
