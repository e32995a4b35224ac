/** Whom I blocked or muted, and the way back. */
import { useEffect, useState } from "preact/hooks";
import { Ban } from "lucide-preact";
import { api } from "../api/calls";
import type { Restriction } from "../api/types";
import { tell } from "../feed/engagement";
import { t } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { Sheet } from "../parts/sheet";
import { Note, Spinner } from "../parts/states";

export function RestrictionsSheet({ onClose }: { onClose: () => void }) {
  const [known, setKnown] = useState<Restriction[] | null>(null);
  useEffect(() => {
    api.restrictions().then(({ restrictions }) => setKnown(restrictions), (error: unknown) => (setKnown([]), tell(error)));
  }, []);
  const lift = (one: Restriction): void => {
    const asked = one.kind === "block" ? api.block(one.user.id, false) : api.mute(one.user.id, false);
    asked.then(() => setKnown((all) => all?.filter((other) => other !== one) ?? null), tell);
  };
  return (
    <Sheet title={t("blockedAndMuted")} onClose={onClose}>
      {known === null && <Spinner />}
      {known?.length === 0 && <Note inside icon={Ban} title={t("nobodyYet")} />}
      <ul class="restrictions">
        {known?.map((one) => (
          <li key={`${one.kind} ${one.user.id}`} class="option-row">
            <Avatar user={one.user} size={44} />
            <span>
              <strong dir="auto">{one.user.displayName || one.user.username}</strong>
              <small>{t(one.kind === "block" ? "blockedWord" : "mutedWord")}</small>
            </span>
            <button type="button" class="button" aria-label={`${t("undo")}: ${one.user.username}`} onClick={() => lift(one)}>
              {t("undo")}
            </button>
          </li>
        ))}
      </ul>
    </Sheet>
  );
}
