/** An address that names nothing. */
import { SearchX } from "lucide-preact";
import { t } from "../i18n/i18n";
import { Note } from "../parts/states";

export function MissingScreen() {
  return (
    <Note icon={SearchX} title={t("missingTitle")} hint={t("missingHint")}>
      <a class="button primary" href="/">
        {t("goHome")}
      </a>
    </Note>
  );
}
