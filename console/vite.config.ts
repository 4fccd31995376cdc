// The build of the console, and a server for work on it that passes the API on to a running Lakemill.

import { defineConfig, type ProxyOptions } from "vite";

/** Where Lakemill answers, for `npm run dev` and `npm run preview`. */
const target = process.env["LAKEMILL_URL"] ?? "http://127.0.0.1:8000";

/** Lakemill takes requests of its own pages only, so the proxy speaks in its name. */
const api: ProxyOptions = {
  target,
  changeOrigin: true,
  configure: (proxy) => {
    proxy.on("proxyReq", (request) => {
      if (request.hasHeader("origin")) request.setHeader("origin", target);
    });
    // An answer that Lakemill cuts off is cut off here too, or its reader would wait for ever.
    proxy.on("proxyRes", (answer, _request, response) => {
      answer.on("close", () => {
        if (!answer.complete) response.destroy();
      });
    });
  },
};
const proxy = { "/v1": api, "/metrics": api, "/readyz": api };

/** What Lakemill sends with the page; a built page that needs more fails here too. */
const csp =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

export default defineConfig({
  base: "/console/",
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
    // The licences of what is built in ask to be passed on with it.
    license: { fileName: "licenses.md" },
  },
  server: { host: "127.0.0.1", port: 18110, strictPort: true, proxy },
  preview: {
    host: "127.0.0.1",
    port: 18111,
    strictPort: true,
    proxy,
    headers: { "Content-Security-Policy": csp, "X-Content-Type-Options": "nosniff" },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
