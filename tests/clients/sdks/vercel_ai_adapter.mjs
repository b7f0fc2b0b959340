// The Vercel AI SDK with its client of OpenAI, which calls Responses.
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { errorOf, HI, KEY, NAMED, REFUSED, RESULT, SCHEMA, URL, WEATHER, WHERE } from "./asked.mjs";

const model = createOpenAI({ baseURL: `${URL}/v1`, apiKey: KEY })("auto");
const given = { model, maxRetries: 0, providerOptions: { openai: { store: false } } };
const schema = jsonSchema(SCHEMA);

export async function plain() {
  return (await generateText({ ...given, prompt: HI })).text;
}

export async function stream() {
  const pieces = [];
  for await (const piece of streamText({ ...given, prompt: HI }).textStream) pieces.push(piece);
  return pieces;
}

export async function tools() {
  const asked = [];
  const execute = async ({ city }) => (asked.push(city), RESULT);
  const get_weather = tool({ description: NAMED.description, inputSchema: schema, execute });
  const { text } = await generateText({ ...given, prompt: WEATHER, tools: { get_weather }, stopWhen: stepCountIs(3) });
  return [...asked, text];
}

export async function structured() {
  return (await generateText({ ...given, prompt: WHERE, output: Output.object({ schema }) })).output.city;
}

export async function errors() {
  return errorOf(() => generateText({ ...given, prompt: REFUSED }), APICallError.isInstance);
}
