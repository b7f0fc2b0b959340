"""Pydantic AI."""

import asyncio

import openai
from asked import HI, KEY, REFUSED, RESULT, URL, WEATHER, WHERE, error_of
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def agent(**given):
    client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=20)
    return Agent(OpenAIChatModel("auto", provider=OpenAIProvider(openai_client=client)), **given)


def plain():
    return agent().run_sync(HI).output


def stream():
    async def read():
        async with agent().run_stream(HI) as answer:
            return [one async for one in answer.stream_text(delta=True, debounce_by=None)]

    return asyncio.run(read())


def tools():
    asked = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return RESULT

    answer = agent(tools=[get_weather]).run_sync(WEATHER).output
    return [*asked, answer]


def structured():
    class Place(BaseModel):
        city: str

    return agent(output_type=Place).run_sync(WHERE).output.city


def errors():
    return error_of(lambda: agent().run_sync(REFUSED), ModelHTTPError)
