import {
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  ScalarType,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorSet,
  MethodOptions_IdempotencyLevel as Idempotency,
} from "@bufbuild/protobuf/wkt";
import { type Comments, commentsOf } from "./proto-comments.js";

const WELL_KNOWN = "google.protobuf.";
const WELL_KNOWN_PAGE = "https://protobuf.dev/reference/protobuf/google.protobuf/";

/** The names of a file's types without its package, in the order of the file: those inside of a type follow it. */
interface Types {
  readonly messages: readonly DescMessage[];
  readonly enums: readonly DescEnum[];
}

/** The reference of a file as a page of Markdown: its methods with requests and answers, other messages, enums. */
export function referenceOf(set: FileDescriptorSet, name: string): string {
  const file = createFileRegistry(set).getFile(name);
  if (file === undefined) throw new Error(`${name} is not in the descriptor set`);
  return new Page(commentsOf(file.proto), file.proto.package).text(file.services, {
    messages: file.messages.flatMap(withNested),
    enums: [...file.enums, ...file.messages.flatMap(withNested).flatMap((message) => message.nestedEnums)],
  });
}

function withNested(message: DescMessage): readonly DescMessage[] {
  return [message, ...message.nestedMessages.flatMap(withNested)];
}

/** The anchor that a heading has, as GitHub and most renderers make them. */
function anchor(heading: string): string {
  return `#${heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9_ -]/g, "")
    .replaceAll(" ", "-")}`;
}

class Page {
  readonly #comments: Comments;
  readonly #package: string;

  constructor(comments: Comments, packageName: string) {
    this.#comments = comments;
    this.#package = packageName;
  }

  text(services: readonly DescService[], { messages, enums }: Types): string {
    const ofMethods = new Set(
      services.flatMap(({ methods }) => methods.flatMap((each) => [each.input, each.output])),
    );
    // What lies inside of a request is told behind the methods, with the messages that several of them have.
    const others = messages.filter((message) => !ofMethods.has(message));
    const sections = [
      `# Reference of \`${this.#package}\``,
      "This page is generated from the comments of [`execution_store.proto`](../proto/execution_store/v1/execution_store.proto).",
      this.#comments.ofFile.replaceAll(/^# /gm, "## ").replaceAll(/docs\/(\w+\.md)/g, "[$1]($1)"),
      ...services.flatMap((service) => this.#service(service)),
      "## Messages",
      ...others.flatMap((message) => [`### ${this.#short(message)}`, this.#message(message)]),
      "## Enumerations",
      ...enums.flatMap((each) => [`### ${this.#short(each)}`, this.#enum(each)]),
    ];
    return `${sections.join("\n\n")}\n`;
  }

  #service(service: DescService): string[] {
    const rows = service.methods.map((method) => {
      const kind =
        method.methodKind === "server_streaming" ? "a stream, no side effects" : idempotency(method);
      return `| [${method.name}](${anchor(method.name)}) | ${kind} |`;
    });
    return [
      `## ${service.name}`,
      this.#comments.of(service),
      ["| method | repeated |", "| --- | --- |", ...rows].join("\n"),
      ...service.methods.flatMap((method) => this.#method(method)),
    ];
  }

  #method(method: DescMethod): string[] {
    const stream = method.methodKind === "server_streaming" ? ", a stream" : "";
    return [
      `### ${method.name}`,
      this.#comments.of(method),
      `**Request: \`${method.input.name}\`**`,
      this.#message(method.input, method),
      `**Answer: \`${method.output.name}\`**${stream}`,
      this.#message(method.output, method),
    ];
  }

  /** A message's comment, without the pointer to the method that it is shown with, and its fields. */
  #message(message: DescMessage, shownWith?: DescMethod): string {
    const pointer = shownWith === undefined ? "" : `See ${shownWith.parent.name}.${shownWith.name}.`;
    const comment = this.#comments.of(message).replace(pointer, "").trim();
    const rows = message.fields.map((field) => {
      return `| ${field.number} | \`${field.name}\` | ${this.#type(field)} | ${cell(this.#comments.of(field))} |`;
    });
    const table = ["| # | field | type | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
    return [comment, table].filter(Boolean).join("\n\n");
  }

  #enum(each: DescEnum): string {
    const rows = each.values.map(
      (value) => `| ${value.number} | \`${value.name}\` | ${cell(this.#comments.of(value))} |`,
    );
    return [
      this.#comments.of(each),
      ["| # | name | meaning |", "| --- | --- | --- |", ...rows].join("\n"),
    ].join("\n\n");
  }

  #type(field: DescField): string {
    const element = field.message ?? field.enum;
    const name =
      element === undefined ? `\`${ScalarType[scalarOf(field)].toLowerCase()}\`` : this.#link(element);
    if (field.fieldKind === "list") return `repeated ${name}`;
    return field.proto.proto3Optional ? `optional ${name}` : name;
  }

  #link(type: DescMessage | DescEnum): string {
    const short = this.#short(type);
    if (!type.typeName.startsWith(WELL_KNOWN)) return `[${short}](${anchor(short)})`;
    const inside = type.typeName.slice(WELL_KNOWN.length);
    return `[${inside}](${WELL_KNOWN_PAGE}${anchor(inside)})`;
  }

  #short({ typeName }: DescMessage | DescEnum): string {
    return typeName.startsWith(`${this.#package}.`) ? typeName.slice(this.#package.length + 1) : typeName;
  }
}

function scalarOf(field: DescField): ScalarType {
  if ("scalar" in field && field.scalar !== undefined) return field.scalar;
  throw new Error(`${field.parent.typeName}.${field.name} has a type that this page has no form for`);
}

function idempotency({ idempotency: level }: DescMethod): string {
  if (level === Idempotency.NO_SIDE_EFFECTS) return "no side effects";
  return level === Idempotency.IDEMPOTENT ? "idempotent" : "not idempotent";
}

function cell(comment: string): string {
  return comment.replaceAll("\n", " ").replaceAll("|", "\\|");
}
