/** Posting a video: choose, shape and describe while the bytes already travel, then watch it go live. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/calls";
import type { Completion } from "../api/types";
import { Problem } from "../api/http";
import { tell as tellProblem } from "../feed/engagement";
import { t } from "../i18n/i18n";
import { toast } from "../parts/toast";
import type { Match } from "../routing/router";
import { withAccount } from "../session/gate";
import { me } from "../session/session";
import { type Draft, keepDraft, matches, readDraft } from "../upload/draft";
import type { ChosenPartner, ChosenSound } from "../upload/edit";
import { type Facts, inspect } from "../upload/inspect";
import { sendFile } from "../upload/transfer";
import { Processing } from "./upload_processing";
import type { CaptionFile } from "./upload_captions";
import { UploadDetails } from "./upload_details";
import { DropZone } from "./upload_drop";
import { chosenOf } from "./upload_sound";

type Chosen = { file: File; url: string; facts: Facts | null };
export type Sending = { share: number; problem: string | null; done: boolean; videoId: string | null };

const IDLE: Sending = { share: 0, problem: null, done: false, videoId: null };

export function UploadScreen({ match }: { match: Match }) {
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [sending, setSending] = useState<Sending>(IDLE);
  const [posted, setPosted] = useState<string | null>(null);
  const sound = useAskedSound(match.query.get("sound"));
  const partner = useAskedPartner(match.query);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);

  const choose = async (file: File): Promise<void> => {
    const url = URL.createObjectURL(file);
    const facts = await inspect(url);
    setChosen({ file, url, facts });
    begin(file, facts);
  };
  const begin = (file: File, facts: Facts | null): void => {
    abort.current?.abort();
    const controller = new AbortController();
    abort.current = controller;
    setSending(IDLE);
    transfer(file, facts, controller.signal, (change) => setSending((known) => ({ ...known, ...change }))).catch((error: unknown) => {
      if (!controller.signal.aborted) setSending((known) => ({ ...known, problem: error instanceof Error ? error.message : String(error) }));
    });
  };
  const reset = (): void => {
    abort.current?.abort();
    if (chosen) URL.revokeObjectURL(chosen.url);
    setChosen(null);
    setSending(IDLE);
    setPosted(null);
  };
  const post = async (details: Completion, captions: CaptionFile[]): Promise<void> => {
    const { videoId } = sending;
    if (!videoId) return;
    await api.completeUpload(videoId, details);
    keepDraft(null);
    setPosted(videoId);
    for (const { lang, text } of captions) await api.putCaptions(videoId, lang, text).catch(refused);
  };

  return (
    <section class="page upload">
      <h1>{t("uploadTitle")}</h1>
      {posted ? (
        <Processing id={posted} onAnother={reset} />
      ) : chosen ? (
        <UploadDetails
          {...chosen}
          key={`${sound?.id} ${partner?.id}`}
          sending={sending}
          sound={sound}
          partner={partner}
          onRetry={() => begin(chosen.file, chosen.facts)}
          onChange={reset}
          onPost={post}
        />
      ) : (
        <DropZone onFile={(file) => (me.value ? void choose(file) : withAccount(() => void choose(file)))} />
      )}
    </section>
  );
}

/** The video is posted all the same: its captions can be sent again later. */
function refused(error: unknown): void {
  toast(t("captionsNotSent", { reason: error instanceof Error ? error.message : String(error) }));
}

/** The sound of "use this sound", asked for by its id. */
function useAskedSound(id: string | null): ChosenSound | null {
  const [sound, setSound] = useState<ChosenSound | null>(null);
  useEffect(() => {
    if (id) api.sound(id).then((found) => setSound(chosenOf(found)), tellProblem);
  }, [id]);
  return sound;
}

/** The video of "duet" or "stitch". */
function useAskedPartner(query: URLSearchParams): ChosenPartner | null {
  const [partner, setPartner] = useState<ChosenPartner | null>(null);
  const layout = query.has("duet") ? "duet" : "stitch";
  const id = query.get(layout);
  useEffect(() => {
    if (id) api.video(id).then(({ title, user }) => setPartner({ id, layout, title, name: user.displayName || user.username }), tellProblem);
  }, [id, layout]);
  return partner;
}

/** Ask for a place (or go on with the kept one), send the parts, say how far it is. */
async function transfer(file: File, facts: Facts | null, signal: AbortSignal, tell: (change: Partial<Sending>) => void): Promise<void> {
  const known = readDraft();
  let draft = known && matches(known, file) ? known : await openDraft(file, facts);
  const send = (place: Draft): Promise<void> =>
    sendFile({
      ...place,
      file,
      signal,
      onProgress: (share) => {
        keepDraft({ ...place, share });
        tell({ share });
      },
    });
  tell({ videoId: draft.videoId });
  try {
    await send(draft);
  } catch (error) {
    const gone = error instanceof Problem && (error.status === 404 || error.status === 410);
    if (!gone || draft !== known) throw error;
    draft = await openDraft(file, facts); // the kept upload has expired at the origin: start again
    tell({ videoId: draft.videoId });
    await send(draft);
  }
  tell({ share: 1, done: true });
}

async function openDraft(file: File, facts: Facts | null): Promise<Draft> {
  const { videoId, uploadUrl, chunkSize } = await api.initUpload(file.name, file.size, facts?.durationMs ?? 0);
  const draft = { videoId, uploadUrl, chunkSize, name: file.name, size: file.size, lastModified: file.lastModified, share: 0 };
  keepDraft(draft);
  return draft;
}
