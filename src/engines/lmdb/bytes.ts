/**
 * Copies small bytes into Node's pool, which is several times cheaper than memory of their own. LMDB's buffer, which
 * every read uses again, is longer than what was read: its own property `length` tells what was.
 */
export function copyOf(bytes: Buffer, from = 0): Buffer {
  const length = bytes.length - from;
  const copy = Buffer.allocUnsafe(length);
  copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset + from, length));
  return copy;
}
