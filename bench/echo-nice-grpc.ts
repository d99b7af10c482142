/**
 * Bare nice-grpc services without middleware: one with a message of one field of bytes, and one with the
 * messages of the measured service, which decodes and encodes what that has to, but stores nothing.
 */
import { createServer, type TsProtoServiceDefinition } from "nice-grpc";
import { StoreServiceDefinition } from "../gen/ts/execution_store/v1/execution_store.js";
import { MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from "../src/store/limits.js";
import { EchoMessage, echoMessageOf } from "./echo-message.js";
import { announce, ECHO_SERVICE, readEchoPlan, TYPED_ECHO_SERVICE } from "./echo-plan.js";

type UnaryMethod = TsProtoServiceDefinition["methods"][string] & {
  readonly requestStream: false;
  readonly responseStream: false;
};

interface Service {
  readonly methods: Record<string, UnaryMethod>;
  readonly handlers: Record<string, () => Promise<unknown>>;
}

const plain: Service = { methods: {}, handlers: {} };
const typed: Service = { methods: {}, handlers: {} };

for (const { name, replyBytes, reply, typed: kind } of readEchoPlan()) {
  const message = echoMessageOf(replyBytes);
  plain.methods[name] = {
    name,
    requestType: EchoMessage,
    requestStream: false,
    responseType: EchoMessage,
    responseStream: false,
    options: {},
  };
  plain.handlers[name] = async () => message;
  if (kind === undefined || reply === undefined) continue;
  const method = StoreServiceDefinition.methods[kind];
  const answer = method.responseType.decode(Buffer.from(reply, "base64"));
  typed.methods[name] = { ...method, name };
  typed.handlers[name] = async () => answer;
}

const server = createServer({
  "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
  "grpc.max_send_message_length": MAX_RESPONSE_BYTES,
});
server.add({ name: "EchoService", fullName: ECHO_SERVICE, methods: plain.methods }, plain.handlers);
// Depending on what is measured there may be none, and grpc-js does not add a service without methods.
if (Object.keys(typed.methods).length > 0) {
  server.add(
    { name: "TypedEchoService", fullName: TYPED_ECHO_SERVICE, methods: typed.methods },
    typed.handlers,
  );
}
announce(await server.listen("127.0.0.1:0"));
