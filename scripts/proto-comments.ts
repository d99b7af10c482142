import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescMessage,
  DescMethod,
  DescService,
} from "@bufbuild/protobuf";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";

/** What a comment can stand above. */
type Commented = DescMessage | DescField | DescEnum | DescEnumValue | DescService | DescMethod;

/** The comments of a proto file, without the space behind their slashes. */
export interface Comments {
  /** Above the file's `syntax`. */
  readonly ofFile: string;
  /** Above a declaration. Throws where there is none. */
  of(declaration: Commented): string;
}

/** Field numbers of descriptor.proto: the path of a declaration in its file is made of them and of indexes. */
const SYNTAX = 12;
const IN_FILE = { message: 4, enum: 5, service: 6 } as const;
const IN_MESSAGE = { field: 2, message: 3, enum: 4 } as const;
const IN_ENUM = 2;
const IN_SERVICE = 2;

/** The comments above the declarations of a file that was built with source code info. */
export function commentsOf(file: FileDescriptorProto): Comments {
  const byPath = new Map(
    (file.sourceCodeInfo?.location ?? []).map(({ path, leadingComments }) => [
      path.join("."),
      leadingComments.replaceAll(/^ /gm, "").trim(),
    ]),
  );
  const at = (path: readonly number[], what: string): string => {
    const comment = byPath.get(path.join("."));
    if (!comment) throw new Error(`${what} has no comment`);
    return comment;
  };
  return {
    ofFile: at([SYNTAX], file.name),
    of: (declaration) => at(pathOf(declaration, file), declaration.toString()),
  };
}

function pathOf(declaration: Commented, file: FileDescriptorProto): number[] {
  if (declaration.kind === "service") return [IN_FILE.service, file.service.indexOf(declaration.proto)];
  if (declaration.kind === "rpc") {
    const { parent, proto } = declaration;
    return [...pathOf(parent, file), IN_SERVICE, parent.proto.method.indexOf(proto)];
  }
  if (declaration.kind === "field") {
    const { parent, proto } = declaration;
    return [...pathOf(parent, file), IN_MESSAGE.field, parent.proto.field.indexOf(proto)];
  }
  if (declaration.kind === "enum_value") {
    const { parent, proto } = declaration;
    return [...pathOf(parent, file), IN_ENUM, parent.proto.value.indexOf(proto)];
  }
  return pathOfType(declaration, file);
}

/** Types lie in the file, or in a message. */
function pathOfType(declaration: DescMessage | DescEnum, file: FileDescriptorProto): number[] {
  const { parent } = declaration;
  const within = parent === undefined ? [] : pathOf(parent, file);
  const step = parent === undefined ? IN_FILE : IN_MESSAGE;
  if (declaration.kind === "enum") {
    const among = parent === undefined ? file.enumType : parent.proto.enumType;
    return [...within, step.enum, among.indexOf(declaration.proto)];
  }
  const among = parent === undefined ? file.messageType : parent.proto.nestedType;
  return [...within, step.message, among.indexOf(declaration.proto)];
}
