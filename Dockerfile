# Debian rather than Alpine: the native modules (SQLite, secp256k1) are built for glibc.
FROM node:22-bookworm-slim AS build
# Compilers for native modules without a prebuilt binary for this platform.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends python3 make g++ \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json README.md ./
COPY scripts scripts
COPY migrations migrations
COPY docs docs
COPY src src
COPY web web
RUN npm run build && npm prune --omit=dev --no-audit --no-fund && rm -rf node_modules/.cache

FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/scripts scripts
COPY --from=build /app/dist dist
COPY LICENSE.txt ./
# The operator's tool: docker exec CONTAINER messagebox-admin doctor
RUN chmod +x dist/src/cli/admin.js && ln -s /app/dist/src/cli/admin.js /usr/local/bin/messagebox-admin
# The folder of SQLite's file if KNEX_DB_CONNECTION is not set.
RUN mkdir data && chown node:node data
VOLUME /app/data
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["node", "-e", "const { PORT, HTTP_PORT, ROUTING_PREFIX = '' } = process.env; fetch(`http://127.0.0.1:${PORT || HTTP_PORT || 3000}${ROUTING_PREFIX.replace(/\\/+$/, '')}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/src/main.js"]
