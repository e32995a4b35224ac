/** Own videos with their state, and a place for the numbers to come. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { ChartColumn, Clapperboard, CloudOff, Pencil, Trash2 } from "lucide-preact";
import { api } from "../api/calls";
import type { FeedItem } from "../api/types";
import { tell } from "../feed/engagement";
import { FeedList } from "../feed/feed_list";
import { ago, type Key, t, tn } from "../i18n/i18n";
import { en } from "../i18n/en";
import { Sheet } from "../parts/sheet";
import { Note, Retry, Spinner } from "../parts/states";
import { links } from "../routing/router";
import { me } from "../session/session";
import { EditVideo } from "./edit_video";
import { SignInFirst } from "./sign_in_first";

export function StudioScreen() {
  const user = me.value;
  const [tab, setTab] = useState<"videos" | "analytics">("videos");
  if (!user) return <SignInFirst icon={Clapperboard} title={t("studio")} />;
  return (
    <section class="page studio">
      <h1>{t("studio")}</h1>
      <div class="tabs" role="tablist">
        {(["videos", "analytics"] as const).map((name) => (
          <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>
            {t(name)}
          </button>
        ))}
      </div>
      {tab === "videos" ? <OwnVideos userId={user.id} /> : <Note inside icon={ChartColumn} title={t("analyticsSoon")} hint={t("analyticsSoonHint")} />}
    </section>
  );
}

function OwnVideos({ userId }: { userId: string }) {
  const list = useMemo(() => new FeedList((cursor) => api.userVideos(userId, cursor), "profile", false), [userId]);
  const [doomed, setDoomed] = useState<FeedItem | null>(null);
  const [edited, setEdited] = useState<FeedItem | null>(null);
  useEffect(() => void list.more(), [list]);
  if (list.problem.value) return <Retry icon={CloudOff} title={t("feedFailed")} hint={list.problem.value.message} onRetry={() => void list.retry()} />;
  if (list.exhausted.value && list.items.value.length === 0)
    return (
      <Note inside icon={Clapperboard} title={t("noVideos")} hint={t("noVideosOwn")}>
        <a href="/upload" class="button primary">
          {t("create")}
        </a>
      </Note>
    );
  return (
    <>
      <ul class="own-videos">
        {list.items.value.map((item) => (
          <li key={item.id}>
            <OwnVideoLine item={item} list={list} onEdit={() => setEdited(item)} onDelete={() => setDoomed(item)} />
          </li>
        ))}
      </ul>
      {list.loading.value && <Spinner />}
      {!list.exhausted.value && (
        <button type="button" class="text-button wide" onClick={() => void list.more()}>
          {t("more")}
        </button>
      )}
      {edited && <EditVideo item={edited} list={list} onClose={() => setEdited(null)} />}
      {doomed && <DeleteSheet item={doomed} list={list} onClose={() => setDoomed(null)} />}
    </>
  );
}

type LineProps = { item: FeedItem; list: FeedList; onEdit: () => void; onDelete: () => void };

function OwnVideoLine({ item, list, onEdit, onDelete }: LineProps) {
  const again = (): void => void api.reprocess(item.id).then(({ status: now }) => list.patch(item.id, { status: now }), tell);
  const status = item.status ?? "ready";
  const key = `status_${status}`;
  return (
    <>
      <a href={links.video(item.id)} class="own-thumb" tabIndex={-1} aria-hidden="true">
        {item.thumbnail && <img src={item.thumbnail} alt="" loading="lazy" />}
      </a>
      <div class="own-words">
        <a href={links.video(item.id)} dir="auto">
          {item.title || item.id}
        </a>
        <small>
          {ago(item.createdAtMs)} · {tn("views", item.viewCount)} · {tn("commentCount", item.commentCount)}
        </small>
        <span class={`badge badge-${status}`}>{key in en ? t(key as Key) : status}</span>
        {(status === "failed" || status === "blocked") && <Reason id={item.id} />}
        {status === "failed" && (
          <button type="button" class="text-button" onClick={again}>
            {t("processAgain")}
          </button>
        )}
      </div>
      <button type="button" class="icon-button" aria-label={`${t("editVideo")}: ${item.title}`} onClick={onEdit}>
        <Pencil size={20} aria-hidden="true" />
      </button>
      <button type="button" class="icon-button" aria-label={`${t("delete")}: ${item.title}`} onClick={onDelete}>
        <Trash2 size={20} aria-hidden="true" />
      </button>
    </>
  );
}

/** Why a video did not come through, asked for only when there is something to say. */
function Reason({ id }: { id: string }) {
  const [reason, setReason] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    api.status(id, abort.signal).then((status) => setReason(status.reason ?? ""), () => undefined);
    return () => abort.abort();
  }, [id]);
  return reason ? <small class="reason">{reason}</small> : null;
}

function DeleteSheet({ item, list, onClose }: { item: FeedItem; list: FeedList; onClose: () => void }) {
  const remove = (): void => {
    api.deleteVideo(item.id).then(() => {
      list.drop(item.id);
      onClose();
    }, tell);
  };
  return (
    <Sheet title={t("deleteVideo")} onClose={onClose} class="sheet-center">
      <p>{t("deleteVideoHint")}</p>
      <div class="row-actions">
        <button type="button" class="button" onClick={onClose}>
          {t("cancel")}
        </button>
        <button type="button" class="button danger" onClick={remove}>
          {t("delete")}
        </button>
      </div>
    </Sheet>
  );
}
