/** A creator's page: who, how many, follow, and their videos. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { BadgeCheck, Clapperboard, Settings, UserX } from "lucide-preact";
import { api } from "../api/calls";
import { Problem } from "../api/http";
import type { User } from "../api/types";
import { followed, setFollow } from "../feed/engagement";
import { FeedList } from "../feed/feed_list";
import { count, t } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { Note, Retry, Spinner } from "../parts/states";
import { VideoGrid } from "../parts/video_grid";
import type { Match } from "../routing/router";
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
  return <Profile user={user} />;
}

function Profile({ user }: { user: User }) {
  const list = useMemo(() => new FeedList((cursor) => api.userVideos(user.id, cursor), "profile", false), [user.id]);
  useEffect(() => void list.more(), [list]);
  const mine = me.value?.id === user.id;
  const empty = list.exhausted.value && list.items.value.length === 0;
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
        <div class="profile-acts">{mine ? <OwnActs /> : <FollowButton user={user} />}</div>
      </header>
      <Figures user={user} />
      <h2 class="section-title">{t("videos")}</h2>
      {empty ? <Note inside icon={Clapperboard} title={t("noVideos")} {...(mine ? { hint: t("noVideosOwn") } : {})} /> : <VideoGrid list={list} />}
    </section>
  );
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

function Figures({ user }: { user: User }) {
  const change = followed.value.get(user.id);
  const before = user.followedByMe ?? false;
  const shift = change === undefined || change === before ? 0 : change ? 1 : -1;
  const figures: [number, string][] = [
    [user.followingCount ?? 0, t("followingWord")],
    [(user.followerCount ?? 0) + shift, t("followersWord")],
    [user.likeCount ?? 0, t("likesWord")],
  ];
  return (
    <ul class="figures">
      {figures.map(([value, word]) => (
        <li key={word}>
          <strong>{count(value)}</strong> {word}
        </li>
      ))}
    </ul>
  );
}
