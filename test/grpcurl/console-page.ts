/** A command that a page shows, with what the page says it prints. */
export interface ShownCommand {
  /** The heading above it. */
  readonly heading: string;
  /** Where it stands in the page, from 1. */
  readonly line: number;
  readonly command: string;
  /** Without the newline at its end. */
  readonly output: string;
}

const PROMPT = "$ ";

/** Whether a shell would read another line. */
function goesOn(command: string): boolean {
  return command.endsWith("\\") || command.split("'").length % 2 === 0;
}

/**
 * The commands of all blocks of `console` in a page of Markdown, in order. In a block, a line that begins with `$ ` is a
 * command, together with the lines that it goes on in, by a backslash or an open quote; what follows it is its output.
 */
export function shownCommands(page: string): readonly ShownCommand[] {
  const commands: { heading: string; line: number; command: string[]; output: string[] }[] = [];
  let heading = "";
  let inBlock = false;
  page.split("\n").forEach((text, index) => {
    const current = commands.at(-1);
    if (text.startsWith("```")) {
      inBlock = text === "```console";
    } else if (!inBlock) {
      heading = /^#+ (.*)/.exec(text)?.[1] ?? heading;
    } else if (text.startsWith(PROMPT)) {
      commands.push({ heading, line: index + 1, command: [text.slice(PROMPT.length)], output: [] });
    } else if (current?.output.length === 0 && goesOn(current.command.join("\n"))) {
      current.command.push(text);
    } else {
      current?.output.push(text);
    }
  });
  return commands.map((each) => ({
    ...each,
    command: each.command.join("\n"),
    output: each.output.join("\n"),
  }));
}

/** Times that the service takes from its clock. */
const TIME = /"(createdAt|updatedAt|expiresAt|commitTime)": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z"/g;
/** Strings that only the service can read. */
const OPAQUE = /"(etag|resumeToken|nextPageToken)": "([^"]+)"/;

/** What is said of a deadline that has passed: the client's words, or those of the server where it was the first. */
const DEADLINE = /^(  Code: DeadlineExceeded\n  Message: )(?:context deadline exceeded|Deadline exceeded)$/gm;

/**
 * Compares what a page shows with what a run gives, where the two may differ in nothing but times of the service's clock,
 * opaque strings, and who was the first to find that a deadline had passed. An opaque string of the page stands for one string of the run throughout: two etags that
 * are the same in the page are the same in the run, and two that differ do.
 */
export class PageRun {
  readonly #ofRun = new Map<string, string>();
  readonly #ofPage = new Map<string, string>();

  /** A command of the page, with the opaque strings of the run in place of those that the page showed before. */
  toRun(command: string): string {
    let text = command;
    for (const [shown, given] of this.#ofRun) text = text.replaceAll(shown, given);
    return text;
  }

  /** The output of a run in the words of the page: equal to the page's if the run did as the page says. */
  inWordsOfPage(shown: string, given: string): { readonly shown: string; readonly given: string } {
    const shownLines = shown.split("\n");
    const lines = given.split("\n").map((line, index) => this.#line(shownLines[index] ?? "", line));
    return { shown: withoutChance(shown), given: withoutChance(lines.join("\n")) };
  }

  #line(shown: string, given: string): string {
    const [, shownField, shownText = ""] = OPAQUE.exec(shown) ?? [];
    const [, givenField, givenText = ""] = OPAQUE.exec(given) ?? [];
    if (givenField === undefined || givenField !== shownField) return given;
    if (!this.#ofRun.has(shownText) && !this.#ofPage.has(givenText)) {
      this.#ofRun.set(shownText, givenText);
      this.#ofPage.set(givenText, shownText);
    }
    return given.replace(givenText, this.#ofPage.get(givenText) ?? givenText);
  }
}

function withoutChance(text: string): string {
  return text.replace(TIME, '"$1": "<time>"').replace(DEADLINE, "$1<deadline>");
}
