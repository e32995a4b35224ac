/** What happened to me: follows, likes, comments, and the progress of my videos. Messages have their place beside. */
import { useEffect, useState } from "preact/hooks";
import { Bell, CircleAlert, MessagesSquare } from "lucide-preact";
import { api } from "../api/calls";
import type { Notice, User } from "../api/types";
import { tell } from "../feed/engagement";
import { en } from "../i18n/en";
import { ago, type Key, t } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { Note, Spinner } from "../parts/states";
import { links } from "../routing/router";
import { me } from "../session/session";
import { SignInFirst } from "./sign_in_first";

export function InboxScreen() {
  const [tab, setTab] = useState<"notifications" | "messages">("notifications");
  if (!me.value) return <SignInFirst icon={Bell} title={t("inbox")} />;
  return (
    <section class="page inbox">
      <h1>{t("inbox")}</h1>
      <div class="tabs" role="tablist">
        {(["notifications", "messages"] as const).map((name) => (
          <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>
            {t(name)}
          </button>
        ))}
      </div>
      {tab === "notifications" ? <Notices /> : <Note inside icon={MessagesSquare} title={t("messagesSoon")} hint={t("messagesSoonHint")} />}
    </section>
  );
}

function Notices() {
  const [notices, setNotices] = useState<Notice[] | null>(null);
  useEffect(() => {
    api.notifications().then(
      ({ notifications }) => {
        setNotices(notifications);
        const newest = notifications[0];
        if (newest && !newest.read) void api.readNotifications(newest.id).catch(() => undefined); // marked next time
      },
      (error: unknown) => {
        setNotices([]);
        tell(error);
      },
    );
  }, []);
  if (notices === null) return <Spinner />;
  if (notices.length === 0) return <Note inside icon={Bell} title={t("inboxEmpty")} hint={t("inboxEmptyHint")} />;
  return (
    <ul class="people">
      {notices.map((notice) => (
        <li key={notice.id}>
          <NoticeLine notice={notice} />
        </li>
      ))}
    </ul>
  );
}

type Payload = { userId?: string; videoId?: string; title?: string; reason?: string };

/** People named by id in notices, asked for once each. */
const people = new Map<string, Promise<User | null>>();

function person(id: string): Promise<User | null> {
  const asked = people.get(id) ?? api.user(id).catch(() => null); // gone since: the notice says so with "?"
  people.set(id, asked);
  return asked;
}

function NoticeLine({ notice }: { notice: Notice }) {
  const { userId, videoId, title, reason } = (notice.payload ?? {}) as Payload;
  const [who, setWho] = useState<User | null>(null);
  useEffect(() => {
    let here = true;
    if (userId) void person(userId).then((found) => here && setWho(found));
    return () => {
      here = false;
    };
  }, [userId]);
  const key = `notice_${notice.kind.replaceAll("-", "_")}`;
  const words = t(key in en ? (key as Key) : "notice_other", { name: who?.displayName || who?.username || "?", title: title ?? "" });
  const failed = notice.kind === "video-failed";
  const to = failed ? "/studio" : videoId ? links.video(videoId) : who ? links.profile(who.username) : "/inbox";
  return (
    <>
      <a href={to} class={notice.read ? "" : "is-unread"}>
        {who ? (
          <Avatar user={who} size={48} />
        ) : (
          <span class="notice-icon">
            {failed ? <CircleAlert size={22} aria-hidden="true" /> : <Bell size={22} aria-hidden="true" />}
          </span>
        )}
        <span>
          <strong dir="auto">{words}</strong>
          <small>{[reason, ago(notice.createdAtMs)].filter(Boolean).join(" · ")}</small>
        </span>
      </a>
      {notice.kind === "follow-request" && userId && <RequestActs userId={userId} />}
    </>
  );
}

/** Accept or decline, once. */
function RequestActs({ userId }: { userId: string }) {
  const [done, setDone] = useState<Key | null>(null);
  if (done) return <small class="request-done">{t(done)}</small>;
  const act = (asked: Promise<unknown>, word: Key): void => void asked.then(() => setDone(word), tell);
  return (
    <div class="request-acts">
      <button type="button" class="button primary" onClick={() => act(api.acceptFollower(userId), "requestAccepted")}>
        {t("accept")}
      </button>
      <button type="button" class="button" onClick={() => act(api.removeFollower(userId), "requestDeclined")}>
        {t("decline")}
      </button>
    </div>
  );
}
