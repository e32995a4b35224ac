/** After "Post": each stage as it happens, and what came of it. */
import { useEffect, useState } from "preact/hooks";
import { CircleAlert, CircleCheck, Clock } from "lucide-preact";
import type { VideoStatus } from "../api/types";
import { type Key, t } from "../i18n/i18n";
import { en } from "../i18n/en";
import { links } from "../routing/router";
import { follow } from "../upload/progress_feed";

/** A stage's words; a stage this build does not know is shown by its own name. */
function stageWords(status: VideoStatus): string {
  const key = `stage_${status.stage || status.status}`.replaceAll("-", "_");
  return key in en ? t(key as Key) : (status.stage || status.status).replaceAll("_", " ");
}

export function Processing({ id, onAnother }: { id: string; onAnother: () => void }) {
  const [status, setStatus] = useState<VideoStatus | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    follow(id, setStatus, abort.signal).catch((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
    return () => abort.abort();
  }, [id]);
  const state = status?.status;
  const failed = problem !== null || state === "failed" || state === "blocked" || state === "deleted";
  return (
    <div class="processing" aria-live="polite" data-status={state ?? "waiting"}>
      {state === "ready" && <Outcome icon={CircleCheck} tone="good" title={t("uploadReady")} />}
      {state === "review" && <Outcome icon={Clock} tone="plain" title={t("status_review")} hint={t("uploadReview")} />}
      {failed && <Outcome icon={CircleAlert} tone="bad" title={t(state === "blocked" ? "status_blocked" : "status_failed")} hint={problem ?? status?.reason ?? ""} />}
      {!failed && state !== "ready" && state !== "review" && (
        <>
          <h2>{status ? stageWords(status) : t("processing")}</h2>
          <progress value={status?.progress ?? 0} max={1} aria-label={t("processing")} />
          <p>{t("leaveHint")}</p>
        </>
      )}
      <div class="row-actions">
        {(failed || state === "ready" || state === "review") && (
          <button type="button" class="button" onClick={onAnother}>
            {t("postAnother")}
          </button>
        )}
        {state === "ready" && (
          <a class="button primary" href={links.video(id)}>
            {t("watchIt")}
          </a>
        )}
        {!failed && state !== "ready" && (
          <a class="button" href="/studio">
            {t("studio")}
          </a>
        )}
      </div>
    </div>
  );
}

type OutcomeProps = { icon: typeof Clock; tone: "good" | "bad" | "plain"; title: string; hint?: string };

function Outcome({ icon: Picture, tone, title, hint }: OutcomeProps) {
  return (
    <div class={`outcome outcome-${tone}`}>
      <Picture size={56} strokeWidth={1.6} aria-hidden="true" />
      <h2>{title}</h2>
      {hint && <p>{hint}</p>}
    </div>
  );
}
