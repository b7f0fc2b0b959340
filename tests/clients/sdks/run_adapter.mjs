// Run one SDK's cases beside its node_modules: `node run_adapter.mjs NAME`, with ROUTER_URL set.
//
// A case is a function that the module NAME exports. What it returns, or the error that it throws, goes out as JSON.
const CASES = ["plain", "stream", "tools", "structured", "errors"];
const cases = await import(`./${process.argv[2]}_adapter.mjs`);
const found = {};
for (const name of CASES.filter((one) => one in cases)) {
  try {
    found[name] = { got: await cases[name]() };
  } catch (error) {
    console.error(error);
    found[name] = { failed: `${error.name}: ${error.message}` };
  }
}
console.log(JSON.stringify(found));
