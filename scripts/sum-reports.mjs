// Sums the reports of the test runners in a folder: of vitest (NAME.json), pytest (NAME.xml, JUnit) and go test (NAME.jsonl).
// Names what failed, and ends with the line that counts. usage: node scripts/sum-reports.mjs FOLDER SKIPPED FAILED
// Needs nothing installed, since it also speaks where the installation failed.
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";

const SHOWN_CHARACTERS = 6000;
const [folder, skipped, failedSteps] = process.argv.slice(2);

// Again at the end, where it is found, also in the last part of a long log.
function tell(place, name, message) {
  console.log(`\nFAILED ${place} > ${name}\n${message.slice(0, SHOWN_CHARACTERS)}`);
}

function ofVitest(text) {
  const report = JSON.parse(text);
  let broken = 0;
  for (const { name, status, message, assertionResults } of report.testResults) {
    const failures = assertionResults.filter((test) => test.status === "failed");
    for (const test of failures) tell(name, test.fullName, test.failureMessages.join("\n"));
    if (status !== "failed" || failures.length > 0) continue;
    broken += 1;
    tell(name, "could not run", message);
  }
  return {
    passed: report.numPassedTests,
    // Errors outside of tests and files leave their mark in success alone.
    failed: Math.max(report.numFailedTests + broken, report.success ? 0 : 1),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

const ENTITIES = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescapeXml(text) {
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code, name) =>
    code === undefined ? (ENTITIES[name] ?? whole) : String.fromCodePoint(Number(code)),
  );
}

function ofJunit(text) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  if (!text.trimEnd().endsWith("</testsuites>")) throw new Error("it is cut off");
  for (const [, attributes, body = ""] of text.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const failure = /<(?:failure|error)\b[^>]*>(.*?)<\/(?:failure|error)>/s.exec(body);
    if (failure !== null) {
      const [, place] = /classname="([^"]*)"/.exec(attributes) ?? [];
      const [, name] = /\bname="([^"]*)"/.exec(attributes) ?? [];
      tell(unescapeXml(place ?? ""), unescapeXml(name ?? ""), unescapeXml(failure[1]));
      sum.failed += 1;
    } else if (/<skipped\b/.test(body)) sum.skipped += 1;
    else sum.passed += 1;
  }
  return sum;
}

function ofGo(text) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const output = new Map();
  const failedTests = new Set();
  const underWay = new Set();
  const events = text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  for (const { Action, Package, Test, Output = "" } of events) {
    const id = `${Package} > ${Test ?? "package"}`;
    if (Action === "output") output.set(id, (output.get(id) ?? "") + Output);
    if (Action === "fail") failedTests.add(id);
    if (Action === "start") underWay.add(Package);
    if (Test === undefined && ["pass", "fail", "skip"].includes(Action)) underWay.delete(Package);
    if (Test === undefined) {
      // A package that fails without a test that did, as one that does not compile, counts as one.
      const alone = ![...failedTests].some((each) => each.startsWith(`${Package} > `) && each !== id);
      if (Action === "fail" && alone) sum.failed += 1;
      if (Action === "fail" && alone) tell(Package, "package", output.get(id) ?? "");
    } else if (Action === "pass") sum.passed += 1;
    else if (Action === "skip") sum.skipped += 1;
    else if (Action === "fail") {
      sum.failed += 1;
      tell(Package, Test, output.get(id) ?? "");
    }
  }
  if (underWay.size > 0) throw new Error(`it is cut off: ${[...underWay].join(", ")} did not end`);
  return sum;
}

const READERS = { ".json": ofVitest, ".xml": ofJunit, ".jsonl": ofGo };

const total = { passed: 0, failed: 0, skipped: Number(skipped) };
for (const name of readdirSync(folder)) {
  try {
    const read = READERS[extname(name)];
    const { passed, failed, skipped: left } = read(readFileSync(join(folder, name), "utf8"));
    total.passed += passed;
    total.failed += failed;
    total.skipped += left;
  } catch (error) {
    console.log(
      `\nFAILED ${name}\nThis report cannot be read, which counts as one that failed: ${error.message}`,
    );
    total.failed += 1;
  }
}
// A step that failed without a test that did counts as one.
total.failed = Math.max(total.failed, Number(failedSteps));
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
