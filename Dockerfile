# The server, and the command line, in one image:
#   docker build -t execution-store .
#   docker run -d -e EXECUTION_STORE_ALLOW_REMOTE=true -p 127.0.0.1:50051:50051 -v execution-store:/data execution-store
ARG NODE_IMAGE=node:20-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY gen gen
COPY src src
RUN npm run --silent build

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
# Every dependency brings its binaries ready for all platforms; those of others, and what only compilers read, stay here.
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
 && find node_modules -path '*/prebuilds/*' -mindepth 3 -type d ! -name "linux-$(node -p process.arch)" -prune -exec rm -rf {} + \
 && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete

FROM ${NODE_IMAGE}
ENV NODE_ENV=production \
    EXECUTION_STORE_STORE=lmdb:/data \
    EXECUTION_STORE_LISTEN=0.0.0.0:50051
WORKDIR /app
COPY --from=dependencies /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json ./
RUN ln -s /app/dist/src/main.js /usr/local/bin/execution-store \
 && install -d -o node -g node /data
# Who starts the container says who may reach it: by EXECUTION_STORE_ALLOW_REMOTE=true and by publishing the port.
# Without the variable the server refuses to listen for others, and says so.
EXPOSE 50051
VOLUME /data
USER node
# The server is the container's first process: it handles SIGTERM itself and starts no other, so it needs no init.
# Where EXECUTION_STORE_LISTEN is another address, EXECUTION_STORE_ADDRESS tells the check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["execution-store", "health", "--timeout", "4s"]
ENTRYPOINT ["execution-store"]
CMD ["serve"]
