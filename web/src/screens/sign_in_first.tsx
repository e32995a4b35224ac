/** A screen that needs an account, seen without one. */
import type { LucideIcon } from "lucide-preact";
import { t } from "../i18n/i18n";
import { Note } from "../parts/states";
import { withAccount } from "../session/gate";


export function SignInFirst({ icon, title }: { icon: LucideIcon; title: string }) {
  return (
    <Note icon={icon} title={title} hint={t("joinHint")}>
      <button type="button" class="button primary" onClick={() => withAccount(() => undefined)}>
        {t("signIn")}
      </button>
    </Note>
  );
}
