"""LangChain's client of OpenAI."""

import openai
from asked import HI, KEY, REFUSED, RESULT, URL, WEATHER, WHERE, error_of
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

chat = ChatOpenAI(model="auto", base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=20)


def plain():
    return chat.invoke(HI).content


def stream():
    return [one.content for one in chat.stream(HI) if one.content]


def tools():
    @tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"{RESULT} {city}"

    bound = chat.bind_tools([get_weather])
    called = bound.invoke(WEATHER)
    (call,) = called.tool_calls
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    return [call["args"]["city"], bound.invoke([HumanMessage(WEATHER), called, result]).content]


def structured():
    class Place(BaseModel):
        city: str

    return chat.with_structured_output(Place).invoke(WHERE).city


def errors():
    return error_of(lambda: chat.invoke(REFUSED), openai.BadRequestError)
