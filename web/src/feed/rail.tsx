/** The column of actions beside a clip. */
import { Bookmark, Check, Ellipsis, Forward, Heart, MessageCircle, Plus } from "lucide-preact";
import type { FeedItem } from "../api/types";
import { count, t } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { links } from "../routing/router";
import { me } from "../session/session";
import type { Deck } from "./deck";
import { followed, saved, setFollow, setLike, setSaved, shareVideo } from "./engagement";
import type { FeedList } from "./feed_list";


type Props = { item: FeedItem; list: FeedList; deck: Deck; onComments: () => void; onOptions: () => void };

export function Rail({ item, list, deck, onComments, onOptions }: Props) {
  const isSaved = saved.value.get(item.id) ?? item.bookmarked ?? false;
  return (
    <div class="rail" data-no-swipe>
      <CreatorButton item={item} deck={deck} />
      <button
        type="button"
        class={`rail-button like ${item.liked ? "is-on" : ""}`}
        aria-pressed={item.liked}
        onClick={() => setLike(list, deck, item, !item.liked)}
      >
        <span class="rail-icon">
          <Heart fill="currentColor" aria-hidden="true" />
        </span>
        <Count label={t("like")} n={item.likeCount} />
      </button>
      <button type="button" class="rail-button" onClick={onComments}>
        <span class="rail-icon">
          <MessageCircle fill="currentColor" aria-hidden="true" />
        </span>
        <Count label={t("comments")} n={item.commentCount} />
      </button>
      <button
        type="button"
        class={`rail-button save ${isSaved ? "is-on" : ""}`}
        aria-pressed={isSaved}
        onClick={() => setSaved(item, !isSaved)}
      >
        <span class="rail-icon">
          <Bookmark fill="currentColor" aria-hidden="true" />
        </span>
        <span class="rail-count">{t("bookmark")}</span>
      </button>
      <button type="button" class="rail-button" onClick={() => void shareVideo(list, deck, item)}>
        <span class="rail-icon">
          <Forward fill="currentColor" class="mirror" aria-hidden="true" />
        </span>
        <Count label={t("share")} n={item.shareCount} />
      </button>
      <button type="button" class="rail-button" aria-label={t("options")} onClick={onOptions}>
        <span class="rail-icon">
          <Ellipsis aria-hidden="true" />
        </span>
      </button>
    </div>
  );
}

/** The name is read out, the number is seen; both make the button's name. */
function Count({ label, n }: { label: string; n: number }) {
  return (
    <span class="rail-count">
      <span class="visually-hidden">{label}</span> {count(n)}
    </span>
  );
}

function CreatorButton({ item, deck }: { item: FeedItem; deck: Deck }) {
  const { user } = item;
  const following = followed.value.get(user.id) ?? false;
  return (
    <div class="rail-creator">
      <a href={links.profile(user.username)} aria-label={`@${user.username}`}>
        <Avatar user={user} size={48} />
      </a>
      {me.value?.id !== user.id && (
        <button
          type="button"
          class={`rail-follow ${following ? "is-on" : ""}`}
          aria-pressed={following}
          aria-label={t("followName", { name: user.displayName || user.username })}
          onClick={() => setFollow(user.id, !following, deck)}
        >
          {following ? <Check size={14} strokeWidth={3} aria-hidden="true" /> : <Plus size={14} strokeWidth={3} aria-hidden="true" />}
        </button>
      )}
    </div>
  );
}
