# Needs no BuildKit: docker build --tag devpocket/server .
# plans/0050-container-image.md tells why it is so.
ARG BASE=node:26-bookworm-slim

FROM ${BASE} AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tini >/dev/null 2>&1 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# With the optional packages: the compiler and the PTYs have their binaries there. The base has the Node that others are given.
RUN npm ci --loglevel=error --cache=/tmp/npm && rm -rf /tmp/npm node_modules/node-linux-* node_modules/node-bin-* node_modules/.bin/node
COPY . .
RUN npm run build --silent && node scripts/image/prune.mjs && rm -rf apps libs scripts/image nest-cli.json tsconfig.json .swcrc .npmrc dist/scripts package-lock.json

FROM ${BASE}
LABEL org.opencontainers.image.title="DevPocket Server" org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production ENVIRONMENT=production HOST=0.0.0.0 DATA_DIR=/data
COPY --from=build /usr/bin/tini-static /usr/local/bin/tini
COPY --from=build /app /app
RUN groupadd --gid 10001 devpocket \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin devpocket \
  && install --directory --owner=10001 --group=10001 --mode=700 /data \
  && ln -s /app/scripts/devpocket.js /usr/local/bin/devpocket
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8000
# Alive, not ready: a server whose database is away is not to be replaced for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8000) + '/health/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Passes signals on, and takes leave of processes that the server did not start (of `docker exec`, of shells that were left).
ENTRYPOINT ["tini", "--"]
CMD ["node", "--max-semi-space-size=4", "dist/apps/api/src/main.js"]
