/** Loading, empty and failed, said the same way on every screen. */
import type { LucideIcon } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { t } from "../i18n/i18n";

export function Spinner({ label }: { label?: string }) {
  return (
    <div class="spinner-box" role="status" aria-label={label ?? "…"}>
      <span class="spinner" aria-hidden="true" />
    </div>
  );
}

/** `inside`: below a heading of its own; otherwise the note is all there is, and its title the page's. */
type NoteProps = { icon: LucideIcon; title: string; hint?: string; inside?: boolean; children?: ComponentChildren };

export function Note({ icon: Picture, title, hint, inside, children }: NoteProps) {
  const Heading = inside ? "h2" : "h1";
  return (
    <div class="note">
      <span class="note-icon">
        <Picture size={34} strokeWidth={1.6} aria-hidden="true" />
      </span>
      <Heading class="note-title">{title}</Heading>
      {hint && <p>{hint}</p>}
      {children}
    </div>
  );
}

export function Retry({ icon, title, hint, onRetry }: { icon: LucideIcon; title: string; hint?: string; onRetry: () => void }) {
  return (
    <Note icon={icon} title={title} {...(hint ? { hint } : {})}>
      <button type="button" class="button" onClick={onRetry}>
        {t("tryAgain")}
      </button>
    </Note>
  );
}
