import type { KeyMetadata, StoreDocument } from "../client/documents.js";
import { escapeJson, printName } from "./names.js";

/** A key without its value, with the wire's names; times are ISO 8601, null where there is none. */
export function keyFields(document: KeyMetadata): Record<string, string | null> {
  return {
    store_name: document.storeName,
    key: document.key,
    dataset_id: document.datasetId ?? null,
    policy: document.policy,
    created_at: iso(document.createdAt),
    updated_at: iso(document.updatedAt),
    expires_at: iso(document.expiresAt),
    etag: document.etag,
  };
}

/** A store without its metadata. One that exists only through its keys has null for all but its name and dataset. */
export function storeFields(document: StoreDocument): Record<string, string | null> {
  return {
    store_name: document.storeName,
    dataset_id: document.datasetId ?? null,
    policy: document.policy ?? null,
    created_at: iso(document.createdAt),
    updated_at: iso(document.updatedAt),
    expires_at: iso(document.expiresAt),
    etag: document.etag ?? null,
  };
}

/** Fields as one line of JSON; `raw` fields hold JSON text already. */
export function jsonLine(
  fields: Readonly<Record<string, unknown>>,
  raw: Readonly<Record<string, string>> = {},
): string {
  const members = [
    ...Object.entries(fields).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`),
    ...Object.entries(raw).map(([name, json]) => `${JSON.stringify(name)}:${json}`),
  ];
  return escapeJson(`{${members.join(",")}}`);
}

/** The cells of a table for fields; a dash where there is nothing. */
export function cells(
  fields: Readonly<Record<string, string | null>>,
  columns: readonly string[],
): readonly string[] {
  return columns.map((column) => {
    const value = fields[column];
    return value === undefined || value === null ? "-" : printName(value);
  });
}

function iso(time: Date | undefined): string | null {
  return time === undefined ? null : time.toISOString();
}
