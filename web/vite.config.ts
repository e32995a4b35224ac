import { defineConfig } from "vite";
import { precompress } from "./plugins/precompress.ts";

/** The PoP to develop against; `npm run dev` serves the sources and passes the rest on. */
const POP = "http://127.0.0.1:8080";

/** The PoP serves /assets/* as immutable, so every name there carries a content hash; index.html is never cached. */
export default defineConfig({
  plugins: [precompress("dist")],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700, // the player chunk (hls.js), loaded after the first picture
    modulePreload: { polyfill: false },
  },
  server: { host: "127.0.0.1", proxy: { "/api": POP, "/videos": POP } },
});
