/** For You and Following: the two feeds behind one pair of tabs. */
import { Search, Users } from "lucide-preact";
import { api } from "../api/calls";
import { t } from "../i18n/i18n";
import { FeedList } from "../feed/feed_list";
import { FeedView } from "../feed/feed_view";
import { Note } from "../parts/states";
import { withAccount } from "../session/gate";
import { me } from "../session/session";

/** A small first page arrives sooner; later pages are fetched while watching. */
const FIRST_PAGE = 6;
const PAGE = 10;

type Kept = { list: FeedList; owner: string | null };
const kept: { forYou: Kept | null; following: Kept | null } = { forYou: null, following: null };

/** The feed survives a visit to another screen, and starts afresh when the account changes. */
function keep(slot: keyof typeof kept, make: () => FeedList): FeedList {
  const owner = me.value?.id ?? null;
  const known = kept[slot];
  if (known && known.owner === owner) return known.list;
  const list = make();
  kept[slot] = { list, owner };
  positions[slot] = 0;
  return list;
}

const positions = { forYou: 0, following: 0 };

export function forgetFeeds(): void {
  kept.forYou = null;
  kept.following = null;
}

export function ForYouScreen() {
  const list = keep("forYou", () => new FeedList((cursor) => api.feed(cursor ? PAGE : FIRST_PAGE, cursor), "fyp", true));
  return (
    <>
      <FeedTabs current="forYou" />
      <FeedView key={me.value?.id ?? ""} list={list} startAt={positions.forYou} onItem={(id) => remember("forYou", list, id)} />
    </>
  );
}

export function FollowingScreen() {
  const signedIn = me.value !== null;
  if (!signedIn) {
    return (
      <>
        <FeedTabs current="following" />
        <Note icon={Users} title={t("following")} hint={t("signInForFollowing")}>
          <button type="button" class="button primary" onClick={() => withAccount(() => undefined)}>
            {t("signIn")}
          </button>
        </Note>
      </>
    );
  }
  const list = keep("following", () => new FeedList((cursor) => api.following(PAGE, cursor), "following", true));
  return (
    <>
      <FeedTabs current="following" />
      <FeedView
        key={me.value?.id ?? ""}
        list={list}
        startAt={positions.following}
        empty={{ title: t("followingEmpty"), hint: t("followingEmptyHint"), link: { href: "/discover", label: t("discover") } }}
        onItem={(id) => remember("following", list, id)}
      />
    </>
  );
}

function remember(slot: keyof typeof positions, list: FeedList, id: string): void {
  positions[slot] = Math.max(0, list.items.peek().findIndex((item) => item.id === id));
}

function FeedTabs({ current }: { current: "forYou" | "following" }) {
  return (
    <nav class="feed-tabs" aria-label={t("feedLabel")}>
      <a href="/following" aria-current={current === "following" ? "page" : undefined}>
        {t("following")}
      </a>
      <a href="/" aria-current={current === "forYou" ? "page" : undefined}>
        {t("forYou")}
      </a>
      <a href="/search" class="feed-tabs-search icon-button" aria-label={t("search")}>
        <Search aria-hidden="true" />
      </a>
    </nav>
  );
}
