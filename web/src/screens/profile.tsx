/** A creator's page: who, how many, follow, and their videos. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { BadgeCheck, Ban, BellOff, Bookmark, Clapperboard, CloudOff, Ellipsis, Heart, Settings, UserX } from "lucide-preact";
import { api } from "../api/calls";
import { Problem } from "../api/http";
import type { User } from "../api/types";
import { followed, setFollow, tell } from "../feed/engagement";
import { FeedList, type FetchBatch } from "../feed/feed_list";
import { count, type Key, t } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { PeopleSheet } from "../parts/people_sheet";
import { Sheet } from "../parts/sheet";
import { Note, Retry, Spinner } from "../parts/states";
import { toast } from "../parts/toast";
import { VideoGrid } from "../parts/video_grid";
import type { Match } from "../routing/router";
import { withAccount } from "../session/gate";
import { me } from "../session/session";

export function ProfileScreen({ match }: { match: Match }) {
  const name = match.params.name ?? "";
  const [user, setUser] = useState<User | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const load = (): void => {
    setProblem(null);
    api.user(`@${name}`).then(setUser, (error: unknown) => setProblem(error instanceof Problem ? error : new Problem(0, "unknown", String(error))));
  };
  useEffect(load, [name, me.value?.id]);
  if (problem) return <Retry icon={UserX} title={t("profileMissing")} hint={problem.message} onRetry={load} />;
  if (!user) return <Spinner />;
  return <Profile user={user} onChange={load} />;
}

function Profile({ user, onChange }: { user: User; onChange: () => void }) {
  const mine = me.value?.id === user.id;
  const [tab, setTab] = useState<Tab>("videos");
  const list = useMemo(() => listOf(tab, user.id), [tab, user.id]);
  useEffect(() => void list.more(), [list]);
  return (
    <section class="page profile">
      <header class="profile-head">
        <Avatar user={user} size={104} />
        <div class="profile-words">
          <h1 dir="auto">
            {user.displayName || user.username} {user.verified && <BadgeCheck size={22} class="verified" aria-label="✓" />}
          </h1>
          <p class="handle">@{user.username}</p>
          {user.bio && (
            <p class="bio" dir="auto">
              {user.bio}
            </p>
          )}
        </div>
        <div class="profile-acts">
          {mine ? (
            <OwnActs />
          ) : (
            <>
              <FollowButton user={user} />
              <MoreActs user={user} onChange={onChange} />
            </>
          )}
        </div>
      </header>
      <Figures user={user} />
      {mine ? <Tabs chosen={tab} onChoose={setTab} /> : <h2 class="section-title">{t("videos")}</h2>}
      <Listed list={list} tab={tab} mine={mine} />
    </section>
  );
}

/** What its owner sees on a profile; others see the videos only. */
type Tab = "videos" | "liked" | "saved";
const TABS: readonly (readonly [Tab, typeof Heart, Key])[] = [
  ["videos", Clapperboard, "videos"],
  ["liked", Heart, "likedVideos"],
  ["saved", Bookmark, "savedVideos"],
];

function listOf(tab: Tab, userId: string): FeedList {
  const page: FetchBatch =
    tab === "liked" ? api.myLikes : tab === "saved" ? api.myBookmarks : (cursor) => api.userVideos(userId, cursor);
  return new FeedList(page, "profile", false);
}

function Tabs({ chosen, onChoose }: { chosen: Tab; onChoose: (tab: Tab) => void }) {
  return (
    <div class="tabs" role="tablist">
      {TABS.map(([tab, Picture, word]) => (
        <button key={tab} type="button" role="tab" aria-selected={chosen === tab} onClick={() => onChoose(tab)}>
          <Picture size={18} aria-hidden="true" /> {t(word)}
        </button>
      ))}
    </div>
  );
}

function Listed({ list, tab, mine }: { list: FeedList; tab: Tab; mine: boolean }) {
  const empty = list.exhausted.value && list.items.value.length === 0;
  if (list.problem.value) return <Retry icon={CloudOff} title={t("feedFailed")} hint={list.problem.value.message} onRetry={() => void list.retry()} />;
  if (!empty) return <VideoGrid key={tab} list={list} />;
  if (tab !== "videos") return <Note inside icon={tab === "liked" ? Heart : Bookmark} title={t("noVideos")} hint={t(tab === "liked" ? "noLiked" : "noSaved")} />;
  return <Note inside icon={Clapperboard} title={t("noVideos")} {...(mine ? { hint: t("noVideosOwn") } : {})} />;
}

function OwnActs() {
  return (
    <>
      <a href="/studio" class="button outline">
        <Clapperboard size={18} aria-hidden="true" /> {t("studio")}
      </a>
      <a href="/settings" class="icon-button" aria-label={t("settings")}>
        <Settings aria-hidden="true" />
      </a>
    </>
  );
}

function FollowButton({ user }: { user: User }) {
  const on = followed.value.get(user.id) ?? user.followedByMe ?? false;
  return (
    <button type="button" class={`button ${on ? "outline" : "primary"}`} aria-pressed={on} onClick={() => setFollow(user.id, !on)}>
      {t(on ? "unfollow" : "follow")}
    </button>
  );
}

/** Mute and block, for everybody's profile but one's own. */
function MoreActs({ user, onChange }: { user: User; onChange: () => void }) {
  const [open, setOpen] = useState(false);
  const act = (asked: Promise<unknown>, done: Key): void => {
    asked.then(() => (toast(t(done, { name: user.displayName || user.username })), onChange()), tell);
    setOpen(false);
  };
  return (
    <>
      <button type="button" class="icon-button" aria-label={t("options")} onClick={() => withAccount(() => setOpen(true))}>
        <Ellipsis aria-hidden="true" />
      </button>
      {open && (
        <Sheet title={`@${user.username}`} onClose={() => setOpen(false)} class="sheet-small">
          <button type="button" class="option-row" onClick={() => act(api.mute(user.id, true), "mutedName")}>
            <BellOff size={20} aria-hidden="true" />
            <span>
              {t("muteUser")}
              <small>{t("muteUserHint")}</small>
            </span>
          </button>
          <button type="button" class="option-row is-danger" onClick={() => act(api.block(user.id, true), "blockedName")}>
            <Ban size={20} aria-hidden="true" />
            <span>
              {t("blockUser")}
              <small>{t("blockUserHint")}</small>
            </span>
          </button>
        </Sheet>
      )}
    </>
  );
}

function Figures({ user }: { user: User }) {
  const [side, setSide] = useState<"followers" | "following" | null>(null);
  const change = followed.value.get(user.id);
  const before = user.followedByMe ?? false;
  const shift = change === undefined || change === before ? 0 : change ? 1 : -1;
  const people: ["followers" | "following", number, Key][] = [
    ["following", user.followingCount ?? 0, "followingWord"],
    ["followers", (user.followerCount ?? 0) + shift, "followersWord"],
  ];
  return (
    <>
      <ul class="figures">
        {people.map(([which, value, word]) => (
          <li key={which}>
            <button type="button" onClick={() => setSide(which)}>
              <strong>{count(value)}</strong> {t(word)}
            </button>
          </li>
        ))}
        <li>
          <strong>{count(user.likeCount ?? 0)}</strong> {t("likesWord")}
        </li>
      </ul>
      {side && <PeopleSheet userId={user.id} side={side} onClose={() => setSide(null)} />}
    </>
  );
}
