/** The `domain` of every ErrorInfo. */
export const ERROR_DOMAIN = "execution-store";
/** The trailer that holds an encoded google.rpc.Status. */
export const STATUS_TRAILER = "grpc-status-details-bin";
/** What stands before the name of a google.rpc message in the type of a detail. */
export const DETAIL_TYPE_PREFIX = "type.googleapis.com/google.rpc.";
