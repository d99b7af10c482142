/** How large a part may be. */
export interface PartLimits<Item> {
  /** The most items. @default no limit */
  readonly items?: number;
  /** The most bytes, unless a single item has more. @default no limit */
  readonly bytes?: number;
  /** The bytes of an item. @default none */
  readonly bytesOf?: (item: Item) => number;
}

/** Splits items, in order, into parts within limits. */
export function split<Item>(items: readonly Item[], limits: PartLimits<Item>): readonly (readonly Item[])[] {
  const { items: mostItems = Infinity, bytes: mostBytes = Infinity, bytesOf = () => 0 } = limits;
  const parts: Item[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    const part = parts.at(-1);
    if (part === undefined || part.length === mostItems || bytes + size > mostBytes) {
      parts.push([item]);
      bytes = size;
    } else {
      part.push(item);
      bytes += size;
    }
  }
  return parts;
}
