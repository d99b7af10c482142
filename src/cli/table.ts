/** Rows in aligned columns, two spaces apart, without trailing spaces. The first row may be a header. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(cell));
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - displayWidth(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const WIDE =
  /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\u{fe0f}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|[\u3000-\u303f\uff01-\uff60\uffe0-\uffe6])/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** A line that takes at most so many columns: cut, and with an ellipsis at its end, if it is longer. */
export function cutToWidth(line: string, columns: number): string {
  let width = 0;
  let kept = 0;
  for (const { segment, index } of graphemes.segment(line)) {
    width += displayWidth(segment);
    if (width > columns) return `${line.slice(0, kept)}…`;
    if (width < columns) kept = index + segment.length;
  }
  return line;
}

/** The columns that a terminal gives to a text: two for an emoji or an East Asian character. */
function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}
