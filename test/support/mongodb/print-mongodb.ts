/** A program for tests: finds a MongoDB by its own environment, prints what it says, and ends it. */
import { findMongodb } from "./find-mongodb.js";
import { messageOf } from "./mongod-binary.js";

try {
  const found = await findMongodb(process.env, (line) => console.log(line));
  await found.close();
} catch (error) {
  console.log(messageOf(error));
}
