// The Vercel AI SDK with its client of OpenAI, which calls Responses. Prints what each case got, as JSON.
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";

const SCHEMA = jsonSchema({
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
});
const openai = createOpenAI({ baseURL: `${process.env.ROUTER_URL}/v1`, apiKey: "any" });
const model = openai("auto");
const given = { model, maxRetries: 0, providerOptions: { openai: { store: false } } };

const cases = {
  async plain() {
    return (await generateText({ ...given, prompt: "Hi." })).text;
  },
  async stream() {
    const pieces = [];
    for await (const piece of streamText({ ...given, prompt: "Hi." }).textStream) pieces.push(piece);
    return pieces;
  },
  async tools() {
    const asked = [];
    const execute = async ({ city }) => (asked.push(city), "21 C");
    const get_weather = tool({ description: "The weather of a city.", inputSchema: SCHEMA, execute });
    const prompt = "What is the weather in Paris?";
    const { text } = await generateText({ ...given, prompt, tools: { get_weather }, stopWhen: stepCountIs(3) });
    return [...asked, text];
  },
  async structured() {
    const prompt = "Where is the Eiffel Tower?";
    return (await generateText({ ...given, prompt, output: Output.object({ schema: SCHEMA }) })).output.city;
  },
  async errors() {
    try {
      await generateText({ ...given, prompt: "REFUSE-THIS" });
    } catch (error) {
      if (APICallError.isInstance(error)) return `${error.name}: ${error.message}`;
      throw error;
    }
    throw new Error("nothing was raised");
  },
};

const found = {};
for (const [name, run] of Object.entries(cases)) {
  try {
    found[name] = { got: await run() };
  } catch (error) {
    console.error(error);
    found[name] = { failed: `${error.name}: ${error.message}` };
  }
}
console.log(JSON.stringify(found));
