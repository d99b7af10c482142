// Loaded into the measured server before the server itself, by `node --import`: answers, on a port of its own, questions
// that no process answers about another. It needs --expose-gc.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Session } from "node:inspector/promises";

const session = new Session();
let profiling = false;

/** Twice: what the first collection finalizes, the second one frees. */
async function collectGarbage() {
  for (let turn = 0; turn < 2; turn++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage();
}

async function startProfile() {
  if (profiling) throw new Error("a profile is being taken");
  profiling = true;
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  return {};
}

async function writeProfile(file) {
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  profiling = false;
  writeFileSync(file, JSON.stringify(profile));
  return {};
}

function answerTo({ ask, file }) {
  if (ask === "collect garbage") return collectGarbage();
  if (ask === "start profile") return startProfile();
  if (ask === "write profile") return writeProfile(file);
  throw new Error(`${ask} is not known`);
}

const server = createServer(async (request, response) => {
  try {
    const chunks = await request.toArray();
    response.end(JSON.stringify(await answerTo(JSON.parse(Buffer.concat(chunks).toString()))));
  } catch (error) {
    response.end(JSON.stringify({ error: String(error) }));
  }
});
// The server ends as if this were not there.
server.unref();
server.listen(0, "127.0.0.1", () => {
  writeFileSync(new URL(import.meta.url).searchParams.get("port"), String(server.address().port));
});
