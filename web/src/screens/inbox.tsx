/** What happened to me: follows, likes, comments, and the progress of my videos. Messages have their place beside. */
import { useEffect, useState } from "preact/hooks";
import { Bell, MessagesSquare } from "lucide-preact";
import { api } from "../api/calls";
import type { Notice } from "../api/types";
import { tell } from "../feed/engagement";
import { ago, t } from "../i18n/i18n";
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
      {tab === "notifications" ? <Notices /> : <Note icon={MessagesSquare} title={t("messagesSoon")} hint={t("messagesSoonHint")} />}
    </section>
  );
}

function Notices() {
  const [notices, setNotices] = useState<Notice[] | null>(null);
  useEffect(() => {
    api.notifications().then(({ notifications }) => setNotices(notifications), (error: unknown) => {
      setNotices([]);
      tell(error);
    });
  }, []);
  if (notices === null) return <Spinner />;
  if (notices.length === 0) return <Note icon={Bell} title={t("inboxEmpty")} hint={t("inboxEmptyHint")} />;
  return (
    <ul class="people">
      {notices.map((notice) => (
        <li key={notice.id}>
          <a href={notice.videoId ? links.video(notice.videoId) : notice.actor ? links.profile(notice.actor.username) : "/studio"}>
            {notice.actor ? <Avatar user={notice.actor} size={48} /> : <span class="notice-icon"><Bell size={22} aria-hidden="true" /></span>}
            <span>
              <strong dir="auto">{notice.text}</strong>
              <small>{ago(notice.createdAtMs)}</small>
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
