/** The known name that a mistyped one most likely means; undefined if none is close. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const plain = normal(name);
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(plain, normal(candidate)) }))
    .toSorted((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best !== undefined && best.distance <= Math.max(2, plain.length / 3) ? best.candidate : undefined;
}

/** Names in snake_case and camelCase mean the same one. */
function normal(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, "");
}

/** The edit distance of Levenshtein. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
