import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

const suite = "suite/src/api/SignalClient.e2e.test.ts";

export default defineConfig({
  // Bundled before the first test: a dependency found later would reload the page under the suite.
  optimizeDeps: { entries: [suite] },
  test: {
    include: [suite],
    globalSetup: ["suite/src/test/signalServerSetup.ts"],
    reporters: ["default", ["json", { outputFile: "result.json" }]],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({
        launchOptions: {
          executablePath: "/usr/bin/chromium",
          args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        },
      }),
      instances: [{ browser: "chromium" }],
    },
  },
});
