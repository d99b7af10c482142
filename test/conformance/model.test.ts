import { createModelEngine } from "../support/model-engine.js";
import { describeEngine } from "./conformance.js";

describeEngine(
  "model",
  ({ now }) => {
    const engine = createModelEngine({ now });
    return Promise.resolve({ engine, close: () => engine.close() });
  },
  {
    durability: "the model lives in memory",
    slices: "the model deletes in one step, which nothing can interrupt",
  },
);
