/** The same URI for another database; who authenticates, and where, stays. */
export function databaseUri(uri: string, name: string): string {
  const parts = /^(mongodb(?:\+srv)?:\/\/)([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(uri);
  if (parts === null) throw new Error("the URI of the MongoDB for tests does not begin as mongodb://HOST");
  const [, scheme = "", authority = "", database = "", query = ""] = parts;
  const options = new URLSearchParams(query);
  // Without it, users are looked up in the database of the URI.
  if (authority.includes("@") && !options.has("authSource")) options.set("authSource", database || "admin");
  const text = options.toString();
  return `${scheme}${authority}/${name}${text === "" ? "" : `?${text}`}`;
}
