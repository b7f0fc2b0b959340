// What all SDKs in JavaScript ask; the same as asked.py.
export const URL = process.env.ROUTER_URL;
export const KEY = "any";
export const HI = "Hi.";
export const WEATHER = "What is the weather in Paris?";
export const WHERE = "Where is the Eiffel Tower?";
export const REFUSED = "REFUSE-THIS";
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
export const NAMED = { name: "get_weather", description: "The weather of a city." };
export const RESULT = "21 C";

// A conversation of one message.
export function user(content) {
  return [{ role: "user", content }];
}

// The SDK's own error, and what it says.
export async function errorOf(call, isIt) {
  try {
    await call();
  } catch (error) {
    if (isIt(error)) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error("nothing was raised");
}
