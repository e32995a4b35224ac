/** Starts the app: settings that shape the first paint, then the shell. */
import "@fontsource-variable/plus-jakarta-sans/wght.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/feed.css";
import "./styles/panels.css";
import "./styles/screens.css";
import { render } from "preact";
import { App } from "./app";
import { useLanguage } from "./i18n/i18n";
import { startReporting } from "./reporting/watch_queue";
import { startRouting } from "./routing/router";
import { preferences, startPreferences } from "./session/preferences";
import { startServiceWorker } from "./install";

startPreferences();
startRouting();
startReporting();
void useLanguage(preferences.value.language);
render(<App />, document.getElementById("app")!);
startServiceWorker();
