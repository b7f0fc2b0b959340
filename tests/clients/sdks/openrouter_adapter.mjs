// OpenRouter's SDK for TypeScript.
import { OpenRouter } from "@openrouter/sdk";
import { BadRequestResponseError } from "@openrouter/sdk/models/errors";
import { errorOf, HI, KEY, NAMED, REFUSED, RESULT, SCHEMA, URL, user, WEATHER, WHERE } from "./asked.mjs";

const client = new OpenRouter({ apiKey: KEY, serverURL: `${URL}/api/v1`, retryConfig: { strategy: "none" } });

function send(messages, more = {}) {
  return client.chat.send({ chatRequest: { model: "openrouter/auto", messages, ...more } });
}

export async function plain() {
  return (await send(user(HI))).choices[0].message.content;
}

export async function stream() {
  const pieces = [];
  for await (const chunk of await send(user(HI), { stream: true })) {
    const piece = chunk.choices[0]?.delta.content;
    if (piece) pieces.push(piece);
  }
  return pieces;
}

export async function tools() {
  const given = { tools: [{ type: "function", function: { ...NAMED, parameters: SCHEMA } }] };
  const { message } = (await send(user(WEATHER), given)).choices[0];
  const [call] = message.toolCalls;
  const result = { role: "tool", toolCallId: call.id, content: RESULT };
  const answer = await send([...user(WEATHER), message, result], given);
  return [JSON.parse(call.function.arguments).city, answer.choices[0].message.content];
}

export async function structured() {
  const responseFormat = { type: "json_schema", jsonSchema: { name: "place", schema: SCHEMA, strict: true } };
  return JSON.parse((await send(user(WHERE), { responseFormat })).choices[0].message.content).city;
}

export async function errors() {
  return errorOf(() => send(user(REFUSED)), (error) => error instanceof BadRequestResponseError);
}
