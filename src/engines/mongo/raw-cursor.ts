import type { AbstractCursor } from "mongodb";

/**
 * The replies of a cursor that was opened with `raw: true`, as they come: a batch of the server at a time. The cursor
 * is closed when the walk ends, however it ends. The buffers are views of the driver's message.
 */
export async function* rawBatches(cursor: AbstractCursor): AsyncGenerator<readonly Buffer[]> {
  try {
    while (await cursor.hasNext()) yield cursor.readBufferedDocuments();
  } finally {
    await cursor.close();
  }
}
