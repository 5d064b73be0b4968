# Built and run without BuildKit. The production image is completed together with the container runtimes.
FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# With the optional packages: compiler and PTYs have their binaries there.
RUN npm ci
COPY . .
# The image has its own Node.
RUN npm run build && npm prune --omit=dev && rm -rf node_modules/node-linux-* node_modules/node-bin-*

FROM node:26-bookworm-slim
ENV NODE_ENV=production ENVIRONMENT=production HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /app
RUN mkdir /data && chown node:node /data
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
VOLUME /data
EXPOSE 8000
HEALTHCHECK CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8000) + '/health/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=4", "dist/apps/api/src/main.js"]
