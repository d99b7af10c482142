/** A bare grpc-js server: it takes and answers bytes as they are and does nothing else. */
import { type handleUnaryCall, type MethodDefinition, Server, ServerCredentials } from "@grpc/grpc-js";
import { MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from "../src/store/limits.js";
import { EchoMessage, echoMessageOf } from "./echo-message.js";
import { announce, ECHO_SERVICE, readEchoPlan } from "./echo-plan.js";

const asIs = (bytes: Buffer): Buffer => bytes;

const definition: Record<string, MethodDefinition<Buffer, Buffer>> = {};
const handlers: Record<string, handleUnaryCall<Buffer, Buffer>> = {};
for (const { name, replyBytes } of readEchoPlan()) {
  const reply = Buffer.from(EchoMessage.encode(echoMessageOf(replyBytes)).finish());
  definition[name] = {
    path: `/${ECHO_SERVICE}/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  handlers[name] = (_call, callback) => callback(null, reply);
}

const server = new Server({
  "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
  "grpc.max_send_message_length": MAX_RESPONSE_BYTES,
});
server.addService(definition, handlers);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  announce(port);
});
