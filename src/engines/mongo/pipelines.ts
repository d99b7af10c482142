import type { Document } from "mongodb";
import type { Policy } from "../../store/document.js";
import type { Write } from "../../store/engine.js";

/** Update pipelines: what a single command computes from the document and the database's clock. */

const NOW = "$$NOW";

const IS_LIVE: Document = {
  $and: [
    // Missing in an upsert that inserts.
    { $ne: [{ $type: "$_id" }, "missing"] },
    { $not: [{ $and: [{ $eq: [{ $type: "$expires_at" }, "date"] }, { $lte: ["$expires_at", NOW] }] }] },
  ],
};

/** Strictly after the document's last change; another writer's `updated_at` that is no date counts as absent. */
const UPDATED_AT: Document = {
  $max: [
    NOW,
    {
      $cond: [
        { $eq: [{ $type: "$updated_at" }, "date"] },
        { $add: [{ $ifNull: ["$updated_at", NOW] }, 1] },
        null,
      ],
    },
  ],
};

/** After the new version in any case, so that what follows its expiry is later than it. */
function expiryOf(ttlMs: number): Document {
  return { $max: [{ $add: [NOW, ttlMs] }, { $add: [UPDATED_AT, 1] }] };
}

/** Replaces value, policy and expiry, or creates. */
export function setPipeline(value: unknown, { ttlMs, policy }: Omit<Write, "value">): Document[] {
  return [
    {
      $set: {
        value: { $literal: value },
        policy: ttlMs === undefined ? policy : "evict",
        created_at: { $cond: [IS_LIVE, "$created_at", UPDATED_AT] },
        updated_at: UPDATED_AT,
        expires_at: ttlMs === undefined ? null : expiryOf(ttlMs),
      },
    },
  ];
}

/** Sets the expiry, which makes the document one to evict. */
export function ttlPipeline(ttlMs: number): Document[] {
  return [{ $set: { policy: "evict", updated_at: UPDATED_AT, expires_at: expiryOf(ttlMs) } }];
}

/** Sets the policy; what persists does not expire. */
export function policyPipeline(policy: Policy): Document[] {
  return [{ $set: { policy, updated_at: UPDATED_AT, ...(policy === "persist" && { expires_at: null }) } }];
}

/** The fields of a document that is created as the command runs. */
export function insertPipeline(value: unknown, policy: Policy, ttlMs: number | undefined): Document[] {
  return [
    {
      $set: {
        value: { $literal: value },
        policy,
        created_at: NOW,
        updated_at: NOW,
        expires_at: ttlMs === undefined ? null : { $add: [NOW, ttlMs] },
      },
    },
  ];
}
